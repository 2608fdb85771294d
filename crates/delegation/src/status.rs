//! How many requests of a front no target has taken: asked over a socket in the runtime folder.
//!
//! ```text
//! <runtime folder>/fronts/<pid>.sock    SOCK_SEQPACKET; whoever connects is sent one packet:
//!                                       JSON, an object of waiting requests by queue folder
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ostler_shm::{ControlListener, ControlSocket, ReceiveError};

use crate::error::QueueError;
use crate::runtime::RuntimeFolder;

/// A front's end.
#[derive(Debug)]
pub struct StatusListener {
    listener: ControlListener,
    path: PathBuf,
}

impl StatusListener {
    /// Makes the socket, and removes those that dead fronts left.
    ///
    /// # Errors
    ///
    /// When the runtime folder cannot be written.
    pub fn bind(runtime: &RuntimeFolder) -> Result<Self, QueueError> {
        let folder = runtime.path().join("fronts");
        fs::create_dir_all(&folder).map_err(|error| QueueError::io(&folder, error))?;
        for path in sockets(runtime) {
            if is_dead(&path) {
                let _ = fs::remove_file(path);
            }
        }
        let path = folder.join(format!("{}.sock", std::process::id()));
        let listener =
            ControlListener::bind(&path).map_err(|error| QueueError::io(&path, error))?;
        Ok(Self { listener, path })
    }

    /// Answers whoever has connected since the last call.
    pub fn answer(&self, waiting: &[(String, usize)]) {
        let waiting: BTreeMap<_, _> = waiting.iter().cloned().collect();
        let Ok(packet) = serde_json::to_vec(&waiting) else {
            return;
        };
        while let Ok(asker) = self.listener.accept() {
            // Who asks and does not listen gets no answer.
            let _ = asker.send(&packet, &[]);
        }
    }
}

impl Drop for StatusListener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Requests that wait in fronts, by queue folder; a front that does not answer in `patience` is
/// left out.
pub fn waiting(runtime: &RuntimeFolder, patience: Duration) -> BTreeMap<String, usize> {
    let mut sum = BTreeMap::new();
    for path in sockets(runtime) {
        let Ok(socket) = ControlSocket::connect(&path) else {
            continue;
        };
        let answer = ask(&socket, patience);
        for (queue, waiting) in answer.unwrap_or_default() {
            *sum.entry(queue).or_default() += waiting;
        }
    }
    sum
}

fn ask(socket: &ControlSocket, patience: Duration) -> Option<BTreeMap<String, usize>> {
    let packet = receive_within(socket, patience)?;
    serde_json::from_slice(&packet).ok()
}

/// One packet, looked for again and again: for a program that asks once and ends.
pub fn receive_within(socket: &ControlSocket, patience: Duration) -> Option<Vec<u8>> {
    const STEP: Duration = Duration::from_millis(5);
    let mut packet = Vec::new();
    let mut waited = Duration::ZERO;
    loop {
        match socket.receive(&mut packet) {
            Ok(_) => return Some(packet),
            Err(ReceiveError::WouldBlock) if waited < patience => {
                std::thread::sleep(STEP);
                waited += STEP;
            }
            Err(_) => return None,
        }
    }
}

fn sockets(runtime: &RuntimeFolder) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(runtime.path().join("fronts")) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn is_dead(path: &std::path::Path) -> bool {
    matches!(ControlSocket::connect(path), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}
