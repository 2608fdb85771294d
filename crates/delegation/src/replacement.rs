//! How a front takes the place of another one: it is given the sockets that the other listens on, over
//! the other's socket in the runtime folder.
//!
//! ```text
//!  new front                                running front
//!    |  connects                               |
//!    |<-- waiting requests (see `status`) -----|
//!    |--- Replace { version } ---------------->|   same user only
//!    |<-- Sockets { sockets, more } + them ----|   a packet for some of them each
//!    |    starts, and accepts beside it        |   goes on as before
//!    |--- Ready { addresses } ---------------->|
//!    |<-- Released ----------------------------|   accepts nothing more, and drains
//! ```
//!
//! Packets are JSON. Whichever of the two ends before `Ready`: the other serves on.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use ostler_shm::{ControlSocket, MAX_DESCRIPTORS, ReceiveError};
use serde::{Deserialize, Serialize};

use crate::runtime::RuntimeFolder;
use crate::status::{fronts, receive_within};

/// The version of this conversation.
const VERSION: u32 = 1;

/// How long a running front may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a front is told that another one wants to replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Wants the sockets that it listens on.
    Replace {
        /// Of the conversation.
        version: u32,
    },
    /// Wants to hear of waiting requests, again whenever they have changed.
    Follow,
    /// Accepts connections.
    Ready {
        /// Where, as [`OfferedSocket`]s' front says it of its own: `127.0.0.1:80`, `unix:/path`.
        addresses: Vec<String>,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Answer {
    Sockets {
        /// In the order of the packet's descriptors.
        sockets: Vec<OfferedSocket>,
        /// Whether there is another packet.
        more: bool,
    },
    Refused {
        reason: String,
    },
    Released,
}

/// A socket that a front listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedSocket {
    /// What the service manager calls it.
    #[serde(default)]
    pub name: Option<String>,
    /// The URL for which a front has bound it.
    #[serde(default)]
    pub url: Option<String>,
    /// Whether the service manager keeps it open.
    #[serde(default)]
    pub is_kept: bool,
}

/// A front cannot be replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplacementError {
    /// There is none of the process id.
    #[error("no front of this user with process id {0} runs here")]
    NoSuchFront(u32),
    /// There are several, and nobody has said which.
    #[error("several fronts run here, with process ids {0:?}: say which with --replace=PID")]
    Several(Vec<u32>),
    /// It does not want to.
    #[error("the front that runs does not hand its sockets over: {0}")]
    Refused(String),
    /// It says nothing, or something else; one of an older version ends the conversation.
    #[error("the front that runs does not answer as it should")]
    NoAnswer,
    /// The system's error.
    #[error("cannot speak with the front that runs")]
    Io(#[source] io::Error),
}

/// A front that runs, as the one sees it that wants to replace it.
#[derive(Debug)]
pub struct RunningFront {
    socket: ControlSocket,
    pid: u32,
}

impl RunningFront {
    /// Connects to the front of a process id, or to the only one there is; `None` where there is none
    /// and it does not matter which.
    ///
    /// # Errors
    ///
    /// When there is none of the process id, or there are several.
    pub fn find(
        runtime: &RuntimeFolder,
        pid: Option<u32>,
    ) -> Result<Option<Self>, ReplacementError> {
        let mut found: Vec<_> = fronts(runtime)
            .into_iter()
            .filter(|(found, socket)| {
                pid.is_none_or(|pid| pid == *found)
                    && *found != std::process::id()
                    && is_own(socket)
            })
            .collect();
        match (found.pop(), pid) {
            (None, Some(pid)) => Err(ReplacementError::NoSuchFront(pid)),
            (None, None) => Ok(None),
            (Some((pid, socket)), _) if found.is_empty() => Ok(Some(Self { socket, pid })),
            (Some((last, _)), _) => {
                let mut pids: Vec<_> = found.into_iter().map(|(pid, _)| pid).collect();
                pids.push(last);
                Err(ReplacementError::Several(pids))
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks for the sockets that it listens on.
    ///
    /// # Errors
    ///
    /// When it does not give them.
    pub fn sockets(&self) -> Result<Vec<(OwnedFd, OfferedSocket)>, ReplacementError> {
        // What everybody is told first.
        receive_within(&self.socket, PATIENCE).ok_or(ReplacementError::NoAnswer)?;
        send(&self.socket, &Request::Replace { version: VERSION }, &[])?;
        let mut offered = Vec::new();
        loop {
            let (packet, descriptors) =
                crate::status::receive_with_descriptors(&self.socket, PATIENCE)
                    .ok_or(ReplacementError::NoAnswer)?;
            match decode(&packet)? {
                Answer::Sockets { sockets, more } if sockets.len() == descriptors.len() => {
                    offered.extend(descriptors.into_iter().zip(sockets));
                    if !more {
                        return Ok(offered);
                    }
                }
                Answer::Refused { reason } => return Err(ReplacementError::Refused(reason)),
                Answer::Sockets { .. } | Answer::Released => {
                    return Err(ReplacementError::NoAnswer);
                }
            }
        }
    }

    /// Says where connections are accepted from now on, and waits until the other has let go.
    ///
    /// # Errors
    ///
    /// When it does not say so.
    pub fn replace(self, addresses: Vec<String>) -> Result<(), ReplacementError> {
        send(&self.socket, &Request::Ready { addresses }, &[])?;
        let packet = receive_within(&self.socket, PATIENCE).ok_or(ReplacementError::NoAnswer)?;
        match decode(&packet)? {
            Answer::Released => Ok(()),
            _ => Err(ReplacementError::NoAnswer),
        }
    }
}

/// Whoever has connected to a front and may replace it, as that front sees it.
#[derive(Debug)]
pub struct Replacement {
    socket: ControlSocket,
    pid: u32,
}

impl Replacement {
    /// `None` for another user's process, unless it is root's: it is given nothing.
    pub(crate) fn new(socket: ControlSocket) -> Option<Self> {
        let peer = socket.peer_credentials().ok()?;
        // Root may do as it likes in any case.
        (is_own(&socket) || peer.uid == 0).then_some(Self {
            socket,
            pid: peer.pid.try_into().unwrap_or_default(),
        })
    }

    /// Its process id; 0 where that cannot be seen from here.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has said, or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// When it has gone, or says what nobody understands.
    pub fn receive(&self) -> io::Result<Request> {
        let mut packet = Vec::new();
        match self.socket.receive(&mut packet) {
            Ok(_) => Ok(serde_json::from_slice(&packet)?),
            Err(ReceiveError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(io::Error::new(io::ErrorKind::ConnectionReset, error)),
        }
    }

    /// Gives it the sockets that are listened on, if it speaks this version.
    ///
    /// # Errors
    ///
    /// When it does not, or takes nothing.
    pub fn offer(
        &self,
        version: u32,
        sockets: &[(OwnedFd, OfferedSocket)],
    ) -> Result<(), ReplacementError> {
        if version != VERSION {
            let reason = format!("it speaks version {VERSION}, not {version}");
            self.refuse(&reason);
            return Err(ReplacementError::Refused(reason));
        }
        let mut packets = sockets.chunks(MAX_DESCRIPTORS).peekable();
        if packets.peek().is_none() {
            return self.send_sockets(&[], false);
        }
        while let Some(packet) = packets.next() {
            self.send_sockets(packet, packets.peek().is_some())?;
        }
        Ok(())
    }

    fn send_sockets(
        &self,
        sockets: &[(OwnedFd, OfferedSocket)],
        more: bool,
    ) -> Result<(), ReplacementError> {
        let descriptors: Vec<_> = sockets.iter().map(|(socket, _)| socket.as_fd()).collect();
        let sockets = sockets.iter().map(|(_, offered)| offered.clone()).collect();
        send(
            &self.socket,
            &Answer::Sockets { sockets, more },
            &descriptors,
        )
    }

    /// Says how many requests wait, by queue folder.
    ///
    /// # Errors
    ///
    /// When it has gone, or takes nothing.
    pub fn tell_waiting(&self, waiting: &BTreeMap<String, usize>) -> io::Result<()> {
        self.socket.send(&serde_json::to_vec(waiting)?, &[])
    }

    /// Gives it nothing.
    pub fn refuse(&self, reason: &str) {
        let reason = reason.to_owned();
        // It may have gone.
        let _ = send(&self.socket, &Answer::Refused { reason }, &[]);
    }

    /// Says that nothing more is accepted here.
    pub fn release(&self) {
        let _ = send(&self.socket, &Answer::Released, &[]);
    }
}

impl AsRawFd for Replacement {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Whether the process at the other end is this user's.
fn is_own(socket: &ControlSocket) -> bool {
    let own = rustix::process::geteuid().as_raw();
    socket.peer_credentials().is_ok_and(|peer| peer.uid == own)
}

fn send<T: Serialize>(
    socket: &ControlSocket,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), ReplacementError> {
    let packet = serde_json::to_vec(message).map_err(|error| ReplacementError::Io(error.into()))?;
    let sent = socket.send(&packet, descriptors);
    sent.map_err(ReplacementError::Io)
}

fn decode(packet: &[u8]) -> Result<Answer, ReplacementError> {
    serde_json::from_slice(packet).map_err(|error| ReplacementError::Io(error.into()))
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::status::StatusListener;

    fn offered(count: usize) -> Vec<(OwnedFd, OfferedSocket)> {
        let socket = |number| {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let offered = OfferedSocket {
                name: Some(format!("socket {number}")),
                url: None,
                is_kept: number % 2 == 0,
            };
            (socket.into(), offered)
        };
        (0..count).map(socket).collect()
    }

    fn next(replacement: &Replacement) -> Request {
        loop {
            match replacement.receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                received => return received.unwrap(),
            }
        }
    }

    fn first(status: &StatusListener) -> Replacement {
        loop {
            match status.answer(&[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                answered => return answered.unwrap().unwrap(),
            }
        }
    }

    /// The conversation of a front that gives so many sockets with one that takes them, in this process.
    #[test]
    fn sockets_go_over_however_many_there_are() {
        for count in [0, 1, MAX_DESCRIPTORS, 2 * MAX_DESCRIPTORS + 1] {
            let made = tempfile::tempdir().unwrap();
            let runtime = RuntimeFolder::new(made.path());
            let status = StatusListener::bind(&runtime).unwrap();
            let (pid, socket) = fronts(&runtime).remove(0);
            let taken = std::thread::spawn(move || {
                let running = RunningFront { socket, pid };
                let sockets = running.sockets().unwrap();
                running.replace(vec!["127.0.0.1:1".to_owned()]).unwrap();
                sockets
                    .into_iter()
                    .map(|(_, offered)| offered)
                    .collect::<Vec<_>>()
            });
            let replacement = first(&status);
            assert_eq!(replacement.pid(), std::process::id());
            let Request::Replace { version } = next(&replacement) else {
                panic!("it asks for sockets first");
            };
            let offered = offered(count);
            replacement.offer(version, &offered).unwrap();
            let addresses = vec!["127.0.0.1:1".to_owned()];
            assert_eq!(next(&replacement), Request::Ready { addresses });
            replacement.release();
            let offered: Vec<_> = offered.into_iter().map(|(_, offered)| offered).collect();
            assert_eq!(taken.join().unwrap(), offered);
        }
    }

    #[test]
    fn a_front_of_another_version_is_given_nothing() {
        let (one, other) = ControlSocket::pair().unwrap();
        let replacement = Replacement::new(one).unwrap();
        assert!(replacement.offer(VERSION + 1, &offered(1)).is_err());
        let packet = receive_within(&other, PATIENCE).unwrap();
        assert!(matches!(decode(&packet), Ok(Answer::Refused { .. })));
    }

    #[test]
    fn a_front_that_ends_the_conversation_is_said_to() {
        let (one, other) = ControlSocket::pair().unwrap();
        one.send(b"{}", &[]).unwrap();
        drop(one);
        let running = RunningFront {
            socket: other,
            pid: 1,
        };
        assert!(running.sockets().is_err());
    }

    #[test]
    fn nobody_is_replaced_where_nobody_runs() {
        let made = tempfile::tempdir().unwrap();
        let runtime = RuntimeFolder::new(made.path());
        assert!(RunningFront::find(&runtime, None).unwrap().is_none());
        let error = RunningFront::find(&runtime, Some(1)).unwrap_err();
        assert!(matches!(error, ReplacementError::NoSuchFront(1)));
    }
}
