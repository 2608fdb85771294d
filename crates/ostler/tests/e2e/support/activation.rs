//! The part of a service manager: it listens, passes its sockets on, and hears how a service is.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use command_fds::{CommandFdExt as _, FdMapping};

use super::{PATIENCE, Process, Sandbox};

/// A socket that is passed, and its name.
pub(crate) type Passed<'s> = (&'s dyn AsFd, &'s str);

/// This program with arguments, started with sockets as descriptors 3 and following.
pub(crate) fn activated(sandbox: &Sandbox, passed: &[Passed<'_>], arguments: &[&str]) -> Process {
    activated_in(sandbox, passed, arguments, &[])
}

/// The same, with more environment variables.
pub(crate) fn activated_in(
    sandbox: &Sandbox,
    passed: &[Passed<'_>],
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Process {
    let mut command = Command::new("sh");
    // The variable names the process that the sockets are for.
    command.args(["-c", "LISTEN_PID=$$ exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_ostler")).args(arguments);
    let names: Vec<_> = passed.iter().map(|(_, name)| *name).collect();
    command.env("OSTLER_RUNTIME_DIR", sandbox.runtime());
    command.env("LISTEN_FDS", passed.len().to_string());
    command.env("LISTEN_FDNAMES", names.join(":"));
    command.envs(environment.iter().copied());
    let mappings = passed.iter().zip(3..).map(|((socket, _), child_fd)| {
        let parent_fd: OwnedFd = socket.as_fd().try_clone_to_owned().unwrap();
        FdMapping {
            parent_fd,
            child_fd,
        }
    });
    command.fd_mappings(mappings.collect()).unwrap();
    Process::spawn(command)
}

/// What services say of themselves.
pub(crate) struct Notifications(UnixDatagram);

impl Notifications {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let socket = UnixDatagram::bind(Self::path(sandbox)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// What `NOTIFY_SOCKET` says.
    pub(crate) fn path(sandbox: &Sandbox) -> std::path::PathBuf {
        sandbox.path().join("notify")
    }

    /// The next message with an assignment such as `READY=1`.
    pub(crate) fn wait_for(&self, wanted: &str) -> Vec<String> {
        loop {
            let lines = self.next();
            if lines.iter().any(|line| line.starts_with(wanted)) {
                return lines;
            }
        }
    }

    fn next(&self) -> Vec<String> {
        let mut packet = [0; 4096];
        let length = self.0.recv(&mut packet).unwrap();
        let text = String::from_utf8(packet[..length].to_vec()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}
