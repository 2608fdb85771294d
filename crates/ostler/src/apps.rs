//! `ostler apps`: the applications of pools, and what they are told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ostler_delegation::runtime::RuntimeFolder;

use crate::args::{AppsAction, AppsArgs};
use crate::pool_words::{Action, Answer, ApplicationStatus, Question, pools_path};

/// How long a pool may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lists the applications, or acts on one.
pub(crate) fn run(args: &AppsArgs) -> anyhow::Result<ExitCode> {
    let runtime = RuntimeFolder::from_environment();
    let pools = pools(&runtime);
    if let Some(action) = &args.action {
        return act(&runtime, pools, action);
    }
    let mut applications = Vec::new();
    for pool in pools {
        if let Answer::Applications(found) = ask(pool, &Question::List)? {
            applications.extend(found);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&applications)?);
    } else if applications.is_empty() {
        println!("no applications in {}", runtime.path().display());
    } else {
        applications.iter().for_each(print);
    }
    Ok(ExitCode::SUCCESS)
}

fn act(
    runtime: &RuntimeFolder,
    pools: Vec<UnixStream>,
    action: &AppsAction,
) -> anyhow::Result<ExitCode> {
    let (name, action) = match action {
        AppsAction::Recycle { name } => (name, Action::Recycle),
        AppsAction::Stop { name } => (name, Action::Stop),
        AppsAction::Start { name } => (name, Action::Start),
    };
    let question = Question::Act {
        name: name.clone(),
        action,
    };
    for pool in pools {
        if let Answer::Done = ask(pool, &question)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    bail!(
        "no pool in {} has an application {name:?}",
        runtime.path().display()
    )
}

/// Connections to the pools that run here.
fn pools(runtime: &RuntimeFolder) -> Vec<UnixStream> {
    let Ok(entries) = std::fs::read_dir(pools_path(runtime)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let pools = paths.into_iter();
    pools
        .filter_map(|path| UnixStream::connect(path).ok())
        .collect()
}

fn ask(mut pool: UnixStream, question: &Question) -> anyhow::Result<Answer> {
    pool.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(question)?;
    line.push('\n');
    pool.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(pool)
        .read_line(&mut answer)
        .context("the pool does not answer")?;
    serde_json::from_str(&answer).context("the pool's answer is not understood")
}

fn print(application: &ApplicationStatus) {
    let ApplicationStatus {
        name,
        queue,
        state,
        waiting,
        failures,
        last_failure,
        retry_after,
        instances,
        ..
    } = application;
    let state = format!("{state:?}").to_lowercase();
    println!("{name}  {state}, queue {queue}, {waiting} waiting");
    if let Some(failure) = last_failure {
        let retry = match retry_after {
            Some(seconds) => format!(", started again in {seconds} s"),
            None => String::new(),
        };
        println!("  failed {failures} time(s) in a row{retry}; the last time: {failure}");
    }
    for instance in instances {
        let state = format!("{:?}", instance.state).to_lowercase();
        let outdated = if instance.outdated {
            ", makes room"
        } else {
            ""
        };
        println!(
            "  pid {} {state}{outdated}  {} active, {} completed, {} MiB, {} s",
            instance.pid,
            instance.active,
            instance.completed,
            instance.memory / (1024 * 1024),
            instance.age
        );
    }
}
