//! One end of a connection, held by the test.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use ostler_proxy::in_memory::InMemoryFront;

/// A connection of the front's, seen from the other side: a client's, or a destination's.
#[derive(Debug)]
pub struct End {
    front: Rc<InMemoryFront>,
    socket: UnixStream,
    /// The front has ended its direction, or the connection broke.
    over: bool,
}

impl End {
    pub(crate) fn new(front: &Rc<InMemoryFront>, socket: UnixStream) -> Self {
        socket
            .set_nonblocking(true)
            .expect("a socket can be made not to block");
        front.settle();
        Self {
            front: Rc::clone(front),
            socket,
            over: false,
        }
    }

    /// Sends all of it, and lets the front take it.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let all = bytes.as_ref();
        let said = self.say_what_fits(all);
        assert_eq!(said, all.len(), "the front does not take all of it");
    }

    /// Sends as much of it as the front takes; says how much that was.
    pub fn say_what_fits(&mut self, bytes: &[u8]) -> usize {
        let mut said = 0;
        let mut refused = false;
        while said < bytes.len() {
            match self.socket.write(&bytes[said..]) {
                Ok(written) => (said, refused) = (said + written, false),
                Err(error) if error.kind() == ErrorKind::WouldBlock && !refused => {
                    refused = true;
                    self.front.settle();
                }
                Err(_) => break,
            }
        }
        self.front.settle();
        said
    }

    /// What the front has said since it was last asked for, as text.
    pub fn hears(&mut self) -> String {
        String::from_utf8_lossy(&self.hears_bytes(usize::MAX)).into_owned()
    }

    /// What the front has said since it was last asked for, up to `most` bytes of it.
    pub fn hears_bytes(&mut self, most: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut silent = false;
        let mut buffer = [0; 16 * 1024];
        while heard.len() < most && !self.over {
            let room = buffer.len().min(most - heard.len());
            match self.socket.read(&mut buffer[..room]) {
                Ok(0) => self.over = true,
                Ok(read) => {
                    heard.extend_from_slice(&buffer[..read]);
                    silent = false;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if std::mem::replace(&mut silent, true) {
                        break;
                    }
                    // There is room now for what the front could not send before.
                    self.front.settle();
                }
                Err(_) => self.over = true,
            }
        }
        self.front.settle();
        heard
    }

    /// Whether the front has ended the connection, or its direction of it; what it said before must have
    /// been asked for.
    pub fn is_over(&mut self) -> bool {
        let heard = self.hears();
        assert_eq!(heard, "", "the front has said something first");
        self.over
    }

    /// Says that nothing more comes from this end, which goes on hearing.
    pub fn end(&mut self) {
        // A connection that the front has closed ends both ways.
        let _ = self.socket.shutdown(Shutdown::Write);
        self.front.settle();
    }

    /// Closes the connection.
    pub fn leave(self) {
        let Self { front, socket, .. } = self;
        drop(socket);
        front.settle();
    }
}
