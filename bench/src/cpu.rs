//! What processes have consumed, read from `/proc`: CPU time and voluntary context switches.

use std::ops::{Add, Sub};
use std::time::Duration;
use std::{fs, io};

use anyhow::Context as _;
use rustix::io::Errno;

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
        // over the threads. What threads that ended had consumed is missed: servers keep theirs.
        let mut precise = true;
        let tasks = fs::read_dir(format!("{process}/task"))
            .with_context(|| format!("process {pid} is gone"))?;
        for task in tasks {
            let task = task?.path();
            let Some(status) = unless_gone(fs::read_to_string(task.join("status")))? else {
                continue;
            };
            usage.voluntary_switches += parsed(voluntary_switches, &status)?;
            match fs::read_to_string(task.join("schedstat")) {
                Ok(schedstat) => usage.cpu += parsed(time_on_cpu, &schedstat)?,
                Err(_) if !task.exists() => {}
                Err(_) => precise = false,
            }
        }
        if !precise {
            // The kernel was built without schedstat.
            let stat = fs::read_to_string(format!("{process}/stat"))?;
            usage.cpu = parsed(user_and_system_time, &stat)?;
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
    pids.extend(descendants(pid)?);
    Ok(pids)
}

fn descendants(pid: u32) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = unless_gone(fs::read_to_string(task?.path().join("children")))?;
        for child in children.unwrap_or_default().split_whitespace() {
            let Ok(child) = child.parse() else { continue };
            if let Some(below) = unless_gone(descendants(child))? {
                pids.push(child);
                pids.extend(below);
            }
        }
    }
    Ok(pids)
}

/// Threads and processes can end between being listed and being read.
fn unless_gone<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn parsed<T>(parse: fn(&str) -> Option<T>, text: &str) -> anyhow::Result<T> {
    parse(text).with_context(|| format!("cannot make sense of /proc's {text:?}"))
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
    fn reads_this_process_and_none_that_is_not_there() {
        let pid = std::process::id();
        Usage::of_process(pid).unwrap();
        assert_eq!(with_descendants(pid).unwrap().first(), Some(&pid));
        // Linux numbers processes up to 4194304.
        assert!(Usage::of_process(u32::MAX).is_err());
        assert!(with_descendants(u32::MAX).is_err());
    }
}
