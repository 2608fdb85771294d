//! A TLS session over a socket that is not waited on here: what can be moved at once is moved.

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, IoSlice, Write};
use std::os::fd::BorrowedFd;

use rustls::ServerConnection;

/// Bytes asked of the kernel at a time: two records of the largest size.
const READ: usize = 32 * 1024;

/// Encrypts what a client is sent and decrypts what it sends.
///
/// Both directions of a tunnel use it at once, in one task: nothing is borrowed between two calls.
#[derive(Debug)]
pub(crate) struct TlsSession {
    connection: RefCell<ServerConnection>,
    /// Received and not decrypted yet. Idle connections hold no memory for it.
    received: RefCell<Received>,
    cut_short: Cell<bool>,
}

#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    start: usize,
}

impl TlsSession {
    pub(crate) fn new(connection: ServerConnection) -> Self {
        Self {
            connection: RefCell::new(connection),
            received: RefCell::default(),
            cut_short: Cell::new(false),
        }
    }

    /// Appends up to `max` bytes of what has been received; `None` when there is nothing, 0 when the
    /// client has ended its direction. Its socket's end without a word is an error: somebody else
    /// may have cut the connection.
    pub(crate) fn take(&self, out: &mut Vec<u8>, max: usize) -> io::Result<Option<usize>> {
        let mut connection = self.connection.borrow_mut();
        let mut received = self.received.borrow_mut();
        let mut taken = 0;
        loop {
            let mut reader = connection.reader();
            while taken < max {
                let chunk = match reader.fill_buf() {
                    Ok([]) => return Ok(Some(taken)),
                    Ok(chunk) => chunk,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) if taken > 0 => return Ok(Some(taken)),
                    Err(error) => return Err(error),
                };
                let length = chunk.len().min(max - taken);
                out.extend_from_slice(&chunk[..length]);
                reader.consume(length);
                taken += length;
            }
            if taken == max || !received.decrypt(&mut connection)? {
                return Ok((taken > 0).then_some(taken));
            }
        }
    }

    /// Reads from the socket what [`take`](Self::take) gives; the number of bytes, still encrypted.
    pub(crate) fn receive(&self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut received = self.received.borrow_mut();
        let read = ostler_shm::recv(socket, &mut received.bytes, READ)?;
        if read == 0 {
            self.connection.borrow_mut().read_tls(&mut io::empty())?;
        }
        Ok(read)
    }

    /// How much a full [`receive`](Self::receive) reads.
    pub(crate) const RECEIVES: usize = READ;

    /// Encrypts as much as there is room for.
    pub(crate) fn put(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.borrow_mut().writer().write_vectored(pieces)
    }

    /// Whether there is something to give to the socket.
    pub(crate) fn wants_send(&self) -> bool {
        self.connection.borrow().wants_write()
    }

    /// Gives the socket what it takes now: `WouldBlock` when that is nothing.
    pub(crate) fn send(&self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.connection.borrow_mut().write_tls(&mut Socket(socket))
    }

    /// The next end of the connection is no end of what was being said: closing it says nothing.
    pub(crate) fn cut_short(&self) {
        self.cut_short.set(true);
    }

    /// Says that nothing more comes (RFC 8446 section 6.1), unless something has been cut short.
    pub(crate) fn close(&self) {
        if !self.cut_short.get() {
            self.connection.borrow_mut().send_close_notify();
        }
    }
}

impl Received {
    /// Decrypts some; false when there is nothing to decrypt.
    fn decrypt(&mut self, connection: &mut ServerConnection) -> io::Result<bool> {
        let mut rest = &self.bytes[self.start..];
        if rest.is_empty() {
            return Ok(false);
        }
        // Takes a few kilobytes at a time. There is room for it, since everything decrypted has been
        // taken out.
        let read = connection.read_tls(&mut rest)?;
        self.start += read;
        if self.start == self.bytes.len() {
            *self = Self::default();
        }
        let decrypted = connection.process_new_packets();
        decrypted.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(read > 0)
    }
}

/// Writes without waiting and without SIGPIPE.
struct Socket<'a>(BorrowedFd<'a>);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        ostler_shm::send(self.0, parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
