//! How many requests of a front no target has taken: asked over a socket in the runtime folder.
//!
//! ```text
//! <runtime folder>/fronts/<pid>.sock    SOCK_SEQPACKET; whoever connects is sent one packet:
//!                                       JSON, an object of waiting requests by queue folder
//!                                       and again after each change, once it has said "Follow"
//! ```
//!
//! Over the same socket another front asks to take this one's place: [`crate::replacement`].

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use ostler_shm::{ControlListener, ControlSocket, ReceiveError};

use crate::error::QueueError;
use crate::folder::Folder;
use crate::replacement::{Replacement, Request};
use crate::runtime::{FRONTS, RuntimeFolder};

const SOCKET: &str = ".sock";

/// A front's end.
#[derive(Debug)]
pub struct StatusListener {
    listener: ControlListener,
    folder: Folder,
    name: String,
}

impl StatusListener {
    /// Makes the socket, and removes those that dead fronts left.
    ///
    /// # Errors
    ///
    /// When the runtime folder cannot be written.
    pub fn bind(runtime: &RuntimeFolder) -> Result<Self, QueueError> {
        let folder = runtime.make(FRONTS, 0o750)?;
        for name in sockets(&folder) {
            if is_dead(&folder, &name) {
                folder.remove(&name);
            }
        }
        let name = format!("{}{SOCKET}", std::process::id());
        let listener = folder.bind(&name)?;
        Ok(Self {
            listener,
            folder,
            name,
        })
    }

    /// Answers one who has connected, who may have more to ask if it is this user's process.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nobody has connected; else what accept(2) says.
    pub fn answer(&self, waiting: &[(String, usize)]) -> io::Result<Option<Replacement>> {
        let asker = self.listener.accept()?;
        let waiting: BTreeMap<_, _> = waiting.iter().cloned().collect();
        // Who asks and does not listen gets no answer.
        let sent = asker.send(&serde_json::to_vec(&waiting)?, &[]);
        Ok(sent.ok().and_then(|()| Replacement::new(asker)))
    }
}

impl AsRawFd for StatusListener {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

impl Drop for StatusListener {
    fn drop(&mut self) {
        self.folder.remove(&self.name);
    }
}

/// Requests that wait in fronts, by queue folder; a front that does not answer in `patience` is
/// left out.
pub fn waiting(runtime: &RuntimeFolder, patience: Duration) -> BTreeMap<String, usize> {
    let mut sum = BTreeMap::new();
    for (_, socket) in fronts(runtime) {
        let answer = ask(&socket, patience);
        for (queue, waiting) in answer.unwrap_or_default() {
            *sum.entry(queue).or_default() += waiting;
        }
    }
    sum
}

/// A front that tells how many requests wait in it, again and again.
#[derive(Debug)]
pub struct FollowedFront {
    socket: ControlSocket,
    pid: u32,
}

impl FollowedFront {
    /// Begins to follow the fronts that run and are not among `known`. One of an older version tells once and
    /// closes.
    pub fn others_than(known: &[u32], runtime: &RuntimeFolder) -> Vec<Self> {
        let found = fronts(runtime).into_iter();
        let new = found.filter(|(pid, _)| !known.contains(pid));
        new.filter_map(|(pid, socket)| {
            let follow = serde_json::to_vec(&Request::Follow).ok()?;
            socket.send(&follow, &[]).ok()?;
            Some(Self { socket, pid })
        })
        .collect()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it says: waiting requests by queue folder; a folder that is not named has none.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when it has said nothing; else it has gone, or says what nobody understands.
    pub fn receive(&self) -> io::Result<BTreeMap<String, usize>> {
        let mut packet = Vec::new();
        match self.socket.receive(&mut packet) {
            Ok(_) => Ok(serde_json::from_slice(&packet)?),
            Err(ReceiveError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(io::Error::new(io::ErrorKind::ConnectionReset, error)),
        }
    }
}

impl AsRawFd for FollowedFront {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Fronts that run, by process id, each connected to.
pub(crate) fn fronts(runtime: &RuntimeFolder) -> Vec<(u32, ControlSocket)> {
    let Ok(Some(fronts)) = runtime.existing(FRONTS) else {
        return Vec::new();
    };
    let connected = sockets(&fronts).into_iter().filter_map(|name| {
        let pid = name.strip_suffix(SOCKET)?.parse().ok()?;
        Some((pid, fronts.connect(&name).ok()?))
    });
    connected.collect()
}

fn ask(socket: &ControlSocket, patience: Duration) -> Option<BTreeMap<String, usize>> {
    let packet = receive_within(socket, patience)?;
    serde_json::from_slice(&packet).ok()
}

/// One packet, looked for again and again: for a program that asks once and ends.
pub fn receive_within(socket: &ControlSocket, patience: Duration) -> Option<Vec<u8>> {
    receive_with_descriptors(socket, patience).map(|(packet, _)| packet)
}

/// The same, with what came beside it.
pub(crate) fn receive_with_descriptors(
    socket: &ControlSocket,
    patience: Duration,
) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
    const STEP: Duration = Duration::from_millis(5);
    let mut packet = Vec::new();
    let mut waited = Duration::ZERO;
    loop {
        match socket.receive(&mut packet) {
            Ok(received) => return Some((packet, received.descriptors)),
            Err(ReceiveError::WouldBlock) if waited < patience => {
                std::thread::sleep(STEP);
                waited += STEP;
            }
            Err(_) => return None,
        }
    }
}

/// What fronts have made here: `<pid>.sock`.
fn sockets(folder: &Folder) -> Vec<String> {
    let is_front = |name: &String| {
        let pid = name.strip_suffix(SOCKET).unwrap_or_default();
        !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut names = folder.names().unwrap_or_default();
    names.retain(is_front);
    names
}

/// Whether it is a socket that nobody listens on: only such are removed.
fn is_dead(folder: &Folder, name: &str) -> bool {
    let connected = folder.connect(name);
    matches!(connected, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_front_that_starts_removes_the_sockets_of_dead_fronts_and_nothing_else() {
        let made = tempfile::tempdir().unwrap();
        let runtime = RuntimeFolder::new(made.path());
        let fronts = runtime.make(FRONTS, 0o750).unwrap();
        drop(fronts.bind("4711.sock").unwrap());
        let alive = fronts.bind("4712.sock").unwrap();
        let file = fronts.path().join("4713.sock");
        fs::write(&file, "precious").unwrap();
        symlink("4711.sock", fronts.path().join("4714.sock")).unwrap();
        drop(fronts.bind("other.sock").unwrap());
        let status = StatusListener::bind(&runtime).unwrap();
        let mut names = fronts.names().unwrap();
        names.retain(|name| *name != status.name);
        names.sort();
        assert_eq!(names, ["4712.sock", "4713.sock", "4714.sock", "other.sock"]);
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        drop((alive, status));
        assert_eq!(fronts.names().unwrap().len(), 4);
    }

    #[test]
    fn a_front_does_not_follow_a_link_in_place_of_the_folder_of_fronts() {
        let made = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("1.sock");
        fs::write(&file, "precious").unwrap();
        symlink(elsewhere.path(), made.path().join(FRONTS)).unwrap();
        let runtime = RuntimeFolder::new(made.path());
        let error = StatusListener::bind(&runtime).unwrap_err().to_string();
        assert!(error.ends_with("it is a symbolic link"), "{error}");
        assert!(waiting(&runtime, Duration::ZERO).is_empty());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    }
}
