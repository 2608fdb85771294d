//! The program: its start, what it said last, signals to it, its end.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use command_fds::{CommandFdExt as _, FdMapping};
use ostler_delegation::accounts;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::listening::Listening;
use super::passed_signals::{Asked, Signals};
use crate::args::ExecArgs;
use crate::service_manager::OF_THE_SERVICE;

/// The first descriptor that is passed (sd_listen_fds(3)).
const FIRST_PASSED: i32 = 3;
/// How much of what it says is kept, to be told when it fails.
const KEPT: usize = 4096;
const MOST_LINES: usize = 20;

/// A running program, in a process group of its own: a terminal's interrupt is this process' to pass on when
/// what is under way has ended.
pub(super) struct Program {
    name: String,
    child: Child,
    group: Pid,
    said: Arc<Mutex<VecDeque<u8>>>,
    copying: JoinHandle<()>,
}

impl Program {
    pub(super) fn start(args: &ExecArgs, listening: &Listening) -> anyhow::Result<Self> {
        let name = args.program.first().context("there is no program")?;
        let name = name.to_string_lossy().into_owned();
        let mut command = std::process::Command::new("/proc/self/exe");
        command
            .args(["become", "--parent", &std::process::id().to_string(), "--"])
            .args(
                args.program
                    .iter()
                    .map(|argument| listening.fill_in(argument)),
            )
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        for variable in OF_THE_SERVICE {
            command.env_remove(variable);
        }
        if let Some((uid, gid)) = account(args)? {
            command.uid(uid).gid(gid);
            listening.give_to(uid)?;
        }
        if let Some((variable, value)) = listening.told() {
            command.env(variable, value);
        }
        if let Some(socket) = listening.passed() {
            command.env("LISTEN_FDS", "1");
            let parent_fd = socket.as_fd().try_clone_to_owned()?;
            command.fd_mappings(vec![FdMapping {
                parent_fd,
                child_fd: FIRST_PASSED,
            }])?;
        }
        let mut child = Command::from(command)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let group = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let group = group.context("a process that has just begun has an id")?;
        let said = Arc::<Mutex<VecDeque<u8>>>::default();
        let stderr = child.stderr.take().context("standard error is piped")?;
        let copying = tokio::spawn(copy(stderr, Arc::clone(&said)));
        Ok(Self {
            name,
            child,
            group,
            said,
            copying,
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Completes when it has ended, and all that it said is known.
    pub(super) async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self
            .child
            .wait()
            .await
            .context("cannot wait for the program")?;
        // Others of its processes may hold the other end for longer.
        let _ = timeout(Duration::from_millis(200), &mut self.copying).await;
        Ok(status)
    }

    /// What it said last, as the end of a message.
    pub(super) fn last_lines(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<u8> = said.iter().copied().collect();
        let text = String::from_utf8_lossy(&said);
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(MOST_LINES)..];
        match last {
            [] => ", and said nothing on standard error".to_owned(),
            last => format!("; the last it said:\n  {}", last.join("\n  ")),
        }
    }

    /// Sends it a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.child.id().is_some() {
            // It may end at this moment.
            let _ = kill_process(self.group, signal);
        }
    }

    /// Ends it, and the processes that it has started, at once.
    pub(super) fn kill(&self) {
        // Those that it left behind would hold its port.
        let _ = kill_process_group(self.group, Signal::KILL);
    }

    /// Asks it to end, and ends it when it takes longer than `patience` or a signal asks again.
    pub(super) async fn stop(
        &mut self,
        patience: Duration,
        signals: &mut Signals,
    ) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM);
        let mut time_is_up = std::pin::pin!(sleep(patience));
        let name = self.name.clone();
        loop {
            tokio::select! {
                ended = self.ended() => {
                    self.kill();
                    return ended;
                }
                () = &mut time_is_up => {
                    tracing::warn!("{name} is killed: the stop timeout is over");
                    break;
                }
                asked = signals.next() => match asked {
                    Asked::End => {
                        tracing::warn!("{name} is killed: asked to end again");
                        break;
                    }
                    Asked::PassOn(signal) => self.signal(signal),
                },
            }
        }
        self.kill();
        self.ended().await
    }
}

/// The user and the group that the program runs as; `None` for this process' own.
fn account(args: &ExecArgs) -> anyhow::Result<Option<(u32, u32)>> {
    let Some(user) = &args.user else {
        return Ok(None);
    };
    let uid = accounts::uid_of(user).context("cannot read /etc/passwd")?;
    let uid = uid.with_context(|| format!("--user: there is no user {user:?}"))?;
    let own = rustix::process::geteuid().as_raw();
    if uid == own {
        return Ok(None);
    }
    ensure!(
        own == 0,
        "--user: only root can start a program as {user:?}"
    );
    let gid = accounts::first_group_of(uid).context("cannot read /etc/passwd")?;
    Ok(Some((uid, gid.unwrap_or(uid))))
}

/// What a shell would say of an end.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Passes on what the program says, and keeps the end of it.
async fn copy(mut from: ChildStderr, said: Arc<Mutex<VecDeque<u8>>>) {
    let mut to = tokio::io::stderr();
    let mut buffer = [0; 4096];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend(&buffer[..count]);
            let over = said.len().saturating_sub(KEPT);
            said.drain(..over);
        }
        // Whoever reads it may be gone; the program is not to be held up by that.
        let _ = to.write_all(&buffer[..count]).await;
        let _ = to.flush().await;
    }
}
