//! `ostler config`: the configuration in etcd, which fronts share: pushed, pulled, compared, taken back.

mod differences;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use ostler_etcd::{Access, Client, Documents, EtcdError, Pushed, Revision};
use ostler_proxy::StepRegistry;

use crate::args::{ConfigCommand, DiffArgs, EtcdArgs, PullArgs, PushArgs, RollbackArgs};
use crate::configuration::{self, Sources};
use crate::exit::EXIT_CONFIGURATION;
use crate::rules::Rules;
use crate::{etcd, files};

use differences::differences;

/// What etcd is asked with: its place, and what a configuration is checked against.
pub(crate) struct Store {
    sources: Sources,
    access: Access,
    prefix: String,
    runtime: tokio::runtime::Runtime,
}

impl Store {
    /// Finds out from a front's own configuration where etcd is.
    pub(crate) fn open(args: &EtcdArgs, steps: &StepRegistry) -> anyhow::Result<Self> {
        let settings = args.settings.clone();
        let sources = Sources::new(&args.configuration, settings, Rules::new(steps));
        let loaded = sources.read()?;
        let Some(config) = loaded.settings.ostler.etcd else {
            configuration::print(&loaded.diagnostics);
            bail!(
                "{} names no etcd: set Ostler:Etcd:Endpoints",
                sources.name()
            );
        };
        Ok(Self {
            sources,
            access: etcd::access(&config)?,
            prefix: config.prefix,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    /// Asks one member after the other, twice, until one can say something: while they choose who leads, a
    /// member that answers may not be able to.
    pub(crate) fn run<T>(
        &self,
        ask: impl AsyncFn(&Client, &str) -> Result<T, EtcdError>,
    ) -> anyhow::Result<T> {
        self.runtime.block_on(async {
            let mut turns = 2 * self.access.endpoints.len();
            loop {
                turns -= 1;
                let asked = async {
                    let client = Client::connect(&self.access, turns).await?;
                    ask(&client, &self.prefix).await
                };
                match asked.await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if turns > 0 && error.is_of_one_member() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }

    fn documents(&self) -> anyhow::Result<Documents> {
        self.run(async |client, prefix| Documents::read(client, prefix).await)
    }

    /// Writes a document that a front can run with, if it is still at `base`; else nothing.
    fn push(
        &self,
        documents: Documents,
        text: String,
        base: Option<i64>,
        message: String,
    ) -> anyhow::Result<ExitCode> {
        let before = documents.document().cloned();
        if before.as_ref().is_some_and(|before| before.text == text) {
            println!("etcd says the same already");
            return Ok(ExitCode::SUCCESS);
        }
        let found = before.map_or(0, |before| before.revision);
        let base = base.unwrap_or(found);
        if base != found {
            let expected = base;
            return Err(EtcdError::Conflict { expected, found })
                .context("nothing is written: pull it, merge, and push again");
        }
        let all = documents.with_document(text.clone());
        let loaded = self.sources.read_with(&all, &self.prefix)?;
        configuration::print(&loaded.diagnostics);
        if loaded.diagnostics.has_errors() {
            eprintln!("error: nothing is written: no front could run with it");
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
        let pushed = Pushed {
            at: etcd::seconds_since_1970(),
            by: who(),
            message,
            document: text,
        };
        let written = self.run(async |client, prefix| pushed.write(client, prefix, base).await);
        let revision = written.map_err(|error| match error.downcast_ref() {
            Some(EtcdError::Unknown(_)) => error.context("see `ostler config history`"),
            _ => error.context("nothing is written"),
        })?;
        println!("revision {revision}");
        Ok(ExitCode::SUCCESS)
    }
}

/// Does what a command says.
pub(crate) fn run(command: &ConfigCommand, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Push(args) => push(args, steps),
        ConfigCommand::Pull(args) => pull(args, steps),
        ConfigCommand::Diff(args) => diff(args, steps),
        ConfigCommand::History(args) => history(args, steps),
        ConfigCommand::Rollback(args) => rollback(args, steps),
    }
}

fn push(args: &PushArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let text = read(&args.file)?;
    let store = Store::open(&args.etcd, steps)?;
    let message = args.message.clone().unwrap_or_default();
    store.push(store.documents()?, text, args.base, message)
}

fn pull(args: &PullArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let store = Store::open(&args.etcd, steps)?;
    let documents = store.documents()?;
    let Some(document) = documents.document() else {
        bail!("there is no document under {}", store.prefix);
    };
    match &args.output {
        Some(path) => {
            write_private(path, &document.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => std::io::stdout().write_all(document.text.as_bytes())?,
    }
    eprintln!("revision {}", document.revision);
    let others = documents.iter().count() - 1;
    if others > 0 {
        eprintln!("{others} route(s) and cluster(s) have keys of their own, which are not in it");
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that, where it is new, is this user's alone: a configuration may hold secrets.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// Succeeds where there is no difference, as `diff` does.
fn diff(args: &DiffArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let text = read(&args.file)?;
    let store = Store::open(&args.etcd, steps)?;
    let documents = store.documents()?;
    let there = documents
        .document()
        .map_or("{}", |document| document.text.as_str());
    let lines = differences(there, &text, &args.file.display().to_string())?;
    for line in &lines {
        // Whoever reads this may have seen enough.
        _ = writeln!(std::io::stdout(), "{line}");
    }
    Ok(match lines.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn history(args: &EtcdArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let store = Store::open(args, steps)?;
    let (all, current) = store.run(async |client, prefix| {
        let documents = Documents::read(client, prefix).await?;
        let current = documents.document().map(|document| document.revision);
        Ok((Revision::all(client, prefix).await?, current))
    })?;
    for Revision { number, pushed } in &all {
        let mark = if current == Some(*number) { "*" } else { " " };
        let date = ostler_http1::format_date(pushed.at);
        let date = String::from_utf8_lossy(&date);
        let (by, message) = (&pushed.by, &pushed.message);
        // Whoever reads this may have seen enough.
        _ = writeln!(
            std::io::stdout(),
            "{mark} {number}  {date}  {by}  {message}"
        );
    }
    if let Some(current) = current
        && all.iter().all(|revision| revision.number != current)
    {
        eprintln!("revision {current} is there and was not pushed by this program");
    }
    Ok(ExitCode::SUCCESS)
}

fn rollback(args: &RollbackArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let store = Store::open(&args.etcd, steps)?;
    let (revision, documents) = store.run(async |client, prefix| {
        let revision = Revision::find(client, prefix, args.revision).await?;
        Ok((revision, Documents::read(client, prefix).await?))
    })?;
    let message = args.message.clone();
    let message = message.unwrap_or_else(|| format!("back to revision {}", args.revision));
    store.push(documents, revision.pushed.document, None, message)
}

fn read(path: &Path) -> anyhow::Result<String> {
    files::read_text(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whoever runs this, as the system knows them.
fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.as_deref().unwrap_or("somebody"), host.trim())
}
