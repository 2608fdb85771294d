//! System calls of processes under load, counted by `strace`, which slows them: no times come from here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::servers::stop;

/// How long `strace` may take to attach.
const ATTACH_TRIES: u32 = 200;
const ATTACH_PAUSE: Duration = Duration::from_millis(10);

/// Calls by name.
pub(crate) type Counts = BTreeMap<String, Calls>;

/// How often one system call was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) calls: u64,
    /// Those among them that failed, most with `EAGAIN`.
    pub(crate) errors: u64,
}

/// A running `strace` of some processes.
#[derive(Debug)]
pub(crate) struct Tracer {
    strace: Child,
    summary: tempfile::TempPath,
}

impl Tracer {
    /// Attaches to all threads of `pids`, and returns once they are traced.
    pub(crate) fn attach(pids: &[u32], folder: &Path) -> anyhow::Result<Self> {
        let summary = tempfile::NamedTempFile::new_in(folder)?.into_temp_path();
        let messages = tempfile::NamedTempFile::new_in(folder)?;
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-o"]).arg(&summary);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        let strace = command
            .stdin(Stdio::null())
            .stderr(File::create(messages.path())?)
            .spawn()
            .context("cannot run strace (the Debian package has its name)")?;
        let mut tracer = Self { strace, summary };
        for _ in 0..ATTACH_TRIES {
            let said = fs::read_to_string(messages.path())?;
            if said.matches(" attached").count() >= pids.len() {
                return Ok(tracer);
            }
            ensure!(
                tracer.strace.try_wait()?.is_none(),
                "strace cannot attach: {said}"
            );
            thread::sleep(ATTACH_PAUSE);
        }
        bail!("strace does not attach to {pids:?}")
    }

    /// Detaches, and returns what was counted.
    pub(crate) fn finish(mut self) -> anyhow::Result<Counts> {
        // strace detaches at a signal, and only then writes its summary.
        stop(&mut self.strace);
        let text = fs::read_to_string(&self.summary)?;
        parse(&text).with_context(|| format!("cannot make sense of strace's {text}"))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        stop(&mut self.strace);
    }
}

/// The table of `strace -c`; `None` when there is none.
fn parse(text: &str) -> Option<Counts> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("---"));
    lines.next()?;
    let mut counts = Counts::new();
    for line in lines.take_while(|line| !line.starts_with("---")) {
        // The column of errors is blank where there are none.
        let words: Vec<_> = line.split_whitespace().collect();
        let (calls, errors, name) = match words[..] {
            [_, _, _, calls, name] => (calls, "0", name),
            [_, _, _, calls, errors, name] => (calls, errors, name),
            _ => return None,
        };
        let calls = Calls {
            calls: calls.parse().ok()?,
            errors: errors.parse().ok()?,
        };
        counts.insert(name.to_owned(), calls);
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_calls_and_errors_and_leaves_the_total_out() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 62.97    0.003410           2      1234       321 recvfrom
 37.03    0.002005           1      1024           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.005415           2      2258       321 total
";
        let expected = Counts::from([
            (
                "epoll_wait".to_owned(),
                Calls {
                    calls: 1024,
                    errors: 0,
                },
            ),
            (
                "recvfrom".to_owned(),
                Calls {
                    calls: 1234,
                    errors: 321,
                },
            ),
        ]);
        assert_eq!(parse(text), Some(expected));
    }

    #[test]
    fn a_summary_without_a_table_is_none() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("strace: Process 1 detached\n"), None);
        assert_eq!(parse("------ -----\n 62.97 x y z recvfrom\n"), None);
    }
}
