//! `ostler queues`: the queues on this host, who serves them, and how many requests wait.

use std::process::ExitCode;
use std::time::Duration;

use ostler_delegation::control::TargetMessage;
use ostler_delegation::runtime::{QueueFolder, RuntimeFolder};
use ostler_delegation::status::{receive_within, waiting};
use ostler_delegation::{Verbosity503, target::ask_for_info};
use serde::Serialize;

use crate::args::QueuesArgs;

/// How long a front or an instance may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Serialize)]
struct Queue {
    name: String,
    limit: u32,
    verbosity: Verbosity503,
    wait_timeout_ms: u64,
    /// Requests that no instance has taken, as the fronts say.
    depth: u64,
    instances: Vec<Instance>,
}

#[derive(Debug, Serialize)]
struct Instance {
    id: String,
    pid: u32,
    label: String,
    url_prefixes: Vec<String>,
    state: State,
    fronts: u32,
    waiting: u64,
    active: u64,
    completed: u64,
    /// Connections whose next request it reads by itself, and waits for.
    leased_connections: u64,
    /// Of the completed, those that it has read by itself.
    leased: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Live,
    /// It accepts connections and says nothing: stopped, or busy.
    Silent,
    Dead,
}

/// Prints the queues.
pub(crate) fn list(args: &QueuesArgs) -> anyhow::Result<ExitCode> {
    let runtime = RuntimeFolder::from_environment();
    let in_fronts = waiting(&runtime, PATIENCE);
    let mut queues = Vec::new();
    for folder in runtime.list()? {
        let properties = match folder.properties() {
            Ok(Some(properties)) => properties,
            Ok(None) => continue,
            // The others are there to be seen.
            Err(error) => {
                eprintln!("error: {:#}", anyhow::Error::from(error));
                continue;
            }
        };
        let instances: Vec<_> = folder
            .instances()
            .iter()
            .map(|id| instance(&folder, id))
            .collect();
        let key = folder
            .path()
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let depth = in_fronts.get(key).copied().unwrap_or(0) as u64;
        queues.push(Queue {
            name: properties.name,
            limit: properties.limit,
            verbosity: properties.verbosity,
            wait_timeout_ms: properties.wait_timeout_ms,
            depth,
            instances,
        });
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&queues)?);
    } else {
        print(&runtime, &queues);
    }
    Ok(ExitCode::SUCCESS)
}

fn instance(folder: &QueueFolder, id: &str) -> Instance {
    let description = folder.instance(id);
    let (pid, label, url_prefixes) = match description {
        Some(said) => (said.pid, said.label, said.url_prefixes),
        None => (0, String::new(), Vec::new()),
    };
    let mut found = Instance {
        id: id.to_owned(),
        pid,
        label,
        url_prefixes,
        state: State::Dead,
        fronts: 0,
        waiting: 0,
        active: 0,
        completed: 0,
        leased_connections: 0,
        leased: 0,
    };
    let Ok(control) = folder.connect(id) else {
        return found;
    };
    found.state = State::Silent;
    if ask_for_info(&control).is_err() {
        return found;
    }
    let next = || {
        let packet = receive_within(&control, PATIENCE)?;
        TargetMessage::decode(&packet).ok()
    };
    if let Some(TargetMessage::Info {
        waiting,
        active,
        completed,
        fronts,
    }) = next()
    {
        found.state = State::Live;
        (found.fronts, found.waiting, found.active, found.completed) =
            (fronts, waiting, active, completed);
        // An instance with an older library closes instead.
        if let Some(TargetMessage::Leases { resting, completed }) = next() {
            (found.leased_connections, found.leased) = (resting, completed);
        }
    }
    found
}

fn print(runtime: &RuntimeFolder, queues: &[Queue]) {
    if queues.is_empty() {
        println!("no queues in {}", runtime.path().display());
    }
    for queue in queues {
        let Queue {
            name,
            limit,
            verbosity,
            wait_timeout_ms,
            depth,
            instances,
        } = queue;
        let wait = wait_timeout_ms / 1000;
        println!("{name}  depth {depth} of {limit}, waits {wait} s, 503 {verbosity:?}");
        for instance in instances {
            let Instance {
                pid,
                label,
                url_prefixes,
                state,
                fronts,
                active,
                completed,
                leased_connections,
                leased,
                ..
            } = instance;
            let leased = match leased {
                0 => String::new(),
                leased => format!(" ({leased} leased, {leased_connections} connections)"),
            };
            let prefixes = url_prefixes.join(" ");
            let state = format!("{state:?}").to_lowercase();
            println!(
                "  pid {pid} {label:?} {state}  {prefixes}  {active} active, {completed} completed{leased}, \
                 {fronts} front thread(s)"
            );
        }
        if instances.is_empty() {
            println!("  no instance: requests wait");
        }
    }
}
