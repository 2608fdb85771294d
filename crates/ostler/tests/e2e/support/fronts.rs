//! Fronts by their process ids: one that another has started is no child of the test's.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::eventually;

/// The fronts of a runtime folder. Those that are left are killed with it.
pub(crate) struct Fronts {
    folder: PathBuf,
}

impl Fronts {
    pub(crate) fn new(runtime: &Path) -> Self {
        let folder = runtime.join("fronts");
        Self { folder }
    }

    /// Process ids of those that can be replaced.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names
            .filter_map(|name| name.strip_suffix(".sock")?.parse().ok())
            .collect()
    }

    /// The one there is, once there is one and it is not this.
    pub(crate) fn other_than(&self, pid: u32) -> u32 {
        let mut other = 0;
        eventually("another front is there, and alone", || {
            let pids = self.pids();
            other = pids.first().copied().unwrap_or_default();
            pids.len() == 1 && other != pid
        });
        other
    }
}

impl Drop for Fronts {
    fn drop(&mut self) {
        for pid in self.pids() {
            let _ = signal(pid, "KILL");
        }
    }
}

/// Sends a signal; false where there is no such process.
pub(crate) fn signal(pid: u32, name: &str) -> bool {
    let kill = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status();
    kill.unwrap().success()
}

/// Whether a process has ended, be it that nobody has asked how.
pub(crate) fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let stat = stat.unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default();
    state
        .trim_start()
        .chars()
        .next()
        .is_none_or(|state| state == 'Z')
}
