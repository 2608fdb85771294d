//! What an instance does, as it says itself, and what it takes.

use std::fs;
use std::time::Duration;

use ostler_delegation::QueueName;
use ostler_delegation::control::TargetMessage;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::status::receive_within;
use ostler_delegation::target::ask_for_info;

/// How long an instance may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many requests an instance has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Given to it and not taken.
    pub(super) waiting: u64,
    pub(super) active: u64,
    pub(super) completed: u64,
}

/// Asks the instances of the queue with these ids, and adds up what they say; `None` where one does not answer.
pub(super) fn figures(
    runtime: &RuntimeFolder,
    queue: &QueueName,
    ids: &[String],
) -> Option<Figures> {
    let folder = runtime.queue(queue);
    let mut sum = Figures::default();
    for id in ids {
        let control = folder.connect(id).ok()?;
        ask_for_info(&control).ok()?;
        let packet = receive_within(&control, PATIENCE)?;
        let TargetMessage::Info {
            waiting,
            active,
            completed,
            ..
        } = TargetMessage::decode(&packet).ok()?
        else {
            return None;
        };
        sum.waiting += waiting;
        sum.active += active;
        sum.completed += completed;
    }
    Some(sum)
}

/// Bytes that a process and those that it has started have resident.
pub(super) fn resident(pid: u32) -> u64 {
    let mut sum = 0;
    let mut left = vec![pid];
    while let Some(pid) = left.pop() {
        sum += resident_of_one(pid);
        left.extend(children(pid));
    }
    sum
}

/// Whether a process is another one, or has been started by it or by one that it has started.
pub(super) fn is_of(pid: u32, ancestor: u32) -> bool {
    let mut at = pid;
    while at > 1 {
        if at == ancestor {
            return true;
        }
        at = parent(at).unwrap_or(0);
    }
    false
}

fn resident_of_one(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0u64) * 1024
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    found
}

/// The fourth column; the second, a name in parentheses, may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let behind_name = stat.rsplit(')').next()?;
    behind_name.split_whitespace().nth(1)?.parse().ok()
}
