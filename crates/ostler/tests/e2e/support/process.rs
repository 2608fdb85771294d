//! Processes of this program, stopped when a test lets go of them.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{PATIENCE, eventually};

pub(crate) struct Process {
    child: Mutex<Child>,
    lines: Mutex<Receiver<String>>,
    errors: Arc<Mutex<VecDeque<String>>>,
    errors_end: JoinHandle<()>,
}

impl Process {
    pub(crate) fn start(runtime: &Path, arguments: &[&str]) -> Self {
        Self::start_in(runtime, arguments, &[])
    }

    /// The same, with more environment variables.
    pub(crate) fn start_in(
        runtime: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
        command
            .args(arguments)
            .env("OSTLER_RUNTIME_DIR", runtime)
            .envs(environment.iter().copied());
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&errors);
        let output = BufReader::new(child.stderr.take().unwrap());
        let errors_end = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_back(line);
                if kept.len() > 1000 {
                    kept.pop_front();
                }
            }
        });
        Self {
            child: Mutex::new(child),
            lines: Mutex::new(lines),
            errors,
            errors_end,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// The next line of standard output.
    pub(crate) fn line(&self) -> String {
        match self.lines.lock().unwrap().recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!(
                "no line came ({error}); standard error: {:?}",
                self.errors()
            ),
        }
    }

    pub(crate) fn wait_for_line(&self, wanted: &str) {
        while self.line() != wanted {}
    }

    /// What it has said on standard error so far.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.errors.lock().unwrap().iter().cloned().collect()
    }

    /// Sends a signal by its name: `TERM`, `KILL`, `STOP`, `CONT`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let done = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(done.success(), "kill -s {name} {pid}");
    }

    /// SIGSTOP, and the wait until every thread stands.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.pid());
        eventually("every thread stands", || {
            let mut tasks = fs::read_dir(&tasks).unwrap();
            tasks.all(|task| {
                // A thread that has ended since it was listed stands for good.
                let stat = fs::read_to_string(task.unwrap().path().join("stat"));
                let stat = stat.unwrap_or_else(|_| ") T".to_owned());
                stat.rsplit(')').next().unwrap().trim().starts_with('T')
            })
        });
    }

    /// SIGKILL, and the wait for its effect.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
        self.wait();
    }

    /// Waits until it has ended, and [`errors`](Self::errors) has all it said.
    pub(crate) fn wait(&self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            let ended = self.child.lock().unwrap().try_wait().unwrap();
            if let Some(status) = ended
                && self.errors_end.is_finished()
            {
                return status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "the process does not end; {:?}",
                self.errors()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }

    /// Bytes read and written by its system calls, `recv` and `send` and their kin excepted, which
    /// `/proc/PID/io` leaves out: it shows what a relay copies, not what the forwarder does.
    pub(crate) fn bytes_moved(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/io", self.pid())).unwrap();
        let count = |name: &str| -> u64 {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .trim()
                .parse()
                .unwrap()
        };
        count("rchar:") + count("wchar:")
    }

    /// Descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            eprintln!("standard error of {}: {:#?}", child.id(), self.errors());
        }
    }
}
