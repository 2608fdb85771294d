//! What processes have consumed, read from `/proc`: CPU time and voluntary context switches.

use std::ops::{Add, Sub};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use anyhow::Context as _;

/// What a process has consumed since it started, all its threads together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// How often a thread gave the CPU up to wait for something.
    pub(crate) voluntary_switches: u64,
}

impl Usage {
    /// Adds up the threads of `pid`.
    pub(crate) fn of_process(pid: u32) -> anyhow::Result<Self> {
        let process = format!("/proc/{pid}");
        let mut usage = Self::default();
        // schedstat counts nanoseconds where stat counts hundredths of a second, but has no total
        // over the threads. Threads that ended in between are missed: these servers keep theirs.
        let mut precise = true;
        let tasks = fs::read_dir(format!("{process}/task"))
            .with_context(|| format!("process {pid} is gone"))?;
        for task in tasks {
            let task = task?.path();
            usage.voluntary_switches += read(&task.join("status"), voluntary_switches)?;
            match read(&task.join("schedstat"), time_on_cpu) {
                Ok(time) => usage.cpu += time,
                Err(_) => precise = false,
            }
        }
        if !precise {
            // The kernel was built without schedstat.
            usage.cpu = read(&Path::new(&process).join("stat"), user_and_system_time)?;
        }
        Ok(usage)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            voluntary_switches: self.voluntary_switches + other.voluntary_switches,
        }
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            voluntary_switches: self
                .voluntary_switches
                .saturating_sub(earlier.voluntary_switches),
        }
    }
}

/// `pid` and all processes below it: nginx works in a child of the process that was started.
pub(crate) fn with_descendants(pid: u32) -> io::Result<Vec<u32>> {
    let mut pids = vec![pid];
    let mut at = 0;
    while let Some(pid) = pids.get(at) {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let children = fs::read_to_string(task?.path().join("children"))?;
            pids.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        at += 1;
    }
    Ok(pids)
}

fn read<T>(path: &Path, parse: fn(&str) -> Option<T>) -> anyhow::Result<T> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    parse(&text).with_context(|| format!("cannot make sense of {shown}: {text:?}"))
}

/// `/proc/PID/task/TID/schedstat`: time on a CPU, time waiting for one, timeslices.
fn time_on_cpu(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// `/proc/PID/stat`: fields 14 and 15, in ticks.
fn user_and_system_time(stat: &str) -> Option<Duration> {
    // Field 2 is the program's name in parentheses, and may hold spaces and parentheses itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    // USER_HZ is part of the ABI and 100 wherever Ostler runs.
    Some(Duration::from_millis((user + system) * 10))
}

/// `/proc/PID/task/TID/status`.
fn voluntary_switches(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nanoseconds_from_schedstat() {
        assert_eq!(
            time_on_cpu("272956 50054 1\n"),
            Some(Duration::from_nanos(272_956))
        );
        assert_eq!(time_on_cpu(""), None);
        assert_eq!(time_on_cpu("x 1 2"), None);
    }

    #[test]
    fn finds_the_times_in_stat_behind_a_name_with_parentheses_and_spaces() {
        let stat = "41 (a) b (c) S 1 41 41 0 -1 4194304 90 0 0 0 150 25 7 8 20 0 1 0 9 1 1";
        assert_eq!(
            user_and_system_time(stat),
            Some(Duration::from_millis(1750))
        );
        assert_eq!(user_and_system_time("41 (a) S 1"), None);
    }

    #[test]
    fn does_not_take_involuntary_switches_for_voluntary_ones() {
        let status = "Name:\ta\nnonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t153\n";
        assert_eq!(voluntary_switches(status), Some(153));
        assert_eq!(voluntary_switches("nonvoluntary_ctxt_switches:\t9\n"), None);
    }

    #[test]
    fn this_process_consumes_and_is_its_own_first_descendant() {
        let pid = std::process::id();
        assert!(Usage::of_process(pid).unwrap().cpu > Duration::ZERO);
        assert_eq!(with_descendants(pid).unwrap().first(), Some(&pid));
    }
}
