//! A client's socket in the front: one registration whose interest follows what the exchange needs.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ostler_delegation::control::ConnectionFacts;
use tokio::io::unix::AsyncFd;

/// Bytes asked of the kernel at a time. Together with the longest head it bounds what travels with
/// a request.
pub(crate) const READ: usize = 16 * 1024;

/// What wakes the connection's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes from the client, and its end of stream.
    Reads,
    /// Only the connection's breaking: somebody else reads, or nothing more is to be read.
    Breaks,
    /// Bytes from the client, and room for bytes to it.
    ReadsAndWrites,
}

impl Interest {
    fn to_tokio(self) -> tokio::io::Interest {
        match self {
            Self::Reads => tokio::io::Interest::READABLE,
            // Urgent data does not occur in HTTP; that a connection broke is always reported.
            Self::Breaks => tokio::io::Interest::PRIORITY,
            Self::ReadsAndWrites => tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE,
        }
    }
}

/// A client's connection.
///
/// The file status flags belong to every process that holds the socket, so calls say for
/// themselves that they must not block.
#[derive(Debug)]
pub(crate) struct Client {
    socket: Rc<OwnedFd>,
    registration: Option<AsyncFd<Rc<OwnedFd>>>,
    interest: Interest,
    facts: ConnectionFacts,
}

impl Client {
    pub(crate) fn new(socket: OwnedFd, facts: ConnectionFacts) -> io::Result<Self> {
        let mut client = Self {
            socket: Rc::new(socket),
            registration: None,
            interest: Interest::Breaks,
            facts,
        };
        client.set_interest(Interest::Reads)?;
        Ok(client)
    }

    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    pub(crate) fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.socket)
    }

    /// Registers for something else. Writing is not asked for unless somebody waits to write: each
    /// time a target's response empties the buffer, the front would be woken for nothing.
    pub(crate) fn set_interest(&mut self, interest: Interest) -> io::Result<()> {
        if self.interest == interest && self.registration.is_some() {
            return Ok(());
        }
        // One registration a descriptor: the old one goes first.
        self.registration = None;
        let registration = crate::readiness::shared(Rc::clone(&self.socket), interest.to_tokio())?;
        self.registration = Some(registration);
        self.interest = interest;
        Ok(())
    }

    fn registration(&self) -> &AsyncFd<Rc<OwnedFd>> {
        self.registration
            .as_ref()
            .expect("made by `new`, replaced by `set_interest`")
    }

    /// Ready when there may be something to read, which stays so until a read finds otherwise.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.registration().poll_read_ready(cx))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// A read found nothing: the next [`poll_readable`](Self::poll_readable) waits.
    pub(crate) fn clear_readable(&self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(Ok(mut guard)) = self.registration().poll_read_ready(&mut cx) {
            guard.clear_ready();
        }
    }

    /// Ready when the connection broke. For [`Interest::Breaks`].
    pub(crate) async fn broken(&self) {
        let _ = self
            .registration()
            .ready(tokio::io::Interest::PRIORITY)
            .await;
    }

    /// Appends up to `max` bytes; 0 is the end of the stream.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.registration().poll_read_ready(cx))?;
            match guard.try_io(|_| ostler_shm::recv(self.as_fd(), out, max)) {
                Ok(Ok(received)) => {
                    // Less than asked means there is no more: the kernel says when there is.
                    if received > 0 && received < max {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(received));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    pub(crate) async fn recv(&self, out: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        poll_fn(|cx| self.poll_recv(cx, out, max)).await
    }

    /// Gives all bytes to the socket, or fails when it takes none for `timeout`.
    pub(crate) async fn send_all(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.send_pieces(&mut [IoSlice::new(bytes)], timeout).await
    }

    /// Gives all pieces to the socket, or fails when it takes no byte for `timeout`.
    pub(crate) async fn send_pieces(
        &mut self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Duration,
    ) -> io::Result<()> {
        match ostler_shm::send(self.as_fd(), pieces) {
            Ok(sent) => IoSlice::advance_slices(&mut pieces, sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if pieces.is_empty() {
            return Ok(());
        }
        if self.interest != Interest::ReadsAndWrites {
            self.set_interest(Interest::ReadsAndWrites)?;
        }
        self.send_registered(pieces, timeout).await
    }

    /// The same for one who has only half of the connection: it must be registered for writing
    /// ([`Interest::ReadsAndWrites`]).
    pub(crate) async fn send_half(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Duration,
    ) -> io::Result<()> {
        match ostler_shm::send(self.as_fd(), pieces) {
            Ok(sent) => IoSlice::advance_slices(&mut pieces, sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        self.send_registered(pieces, timeout).await
    }

    /// The socket, for somebody else to serve.
    pub(crate) fn into_socket(mut self) -> io::Result<(OwnedFd, ConnectionFacts)> {
        // One registration a descriptor, and whoever watches the connection keeps its own.
        self.registration = None;
        Ok((self.socket.try_clone()?, self.facts))
    }

    /// Waits for room for all pieces.
    pub(crate) async fn send_registered(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Duration,
    ) -> io::Result<()> {
        while !pieces.is_empty() {
            let send = poll_fn(|cx| self.poll_send(cx, pieces));
            let sent = tokio::time::timeout(timeout, send).await;
            let sent = sent.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
            IoSlice::advance_slices(&mut pieces, sent);
        }
        Ok(())
    }

    fn poll_send(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let asked: usize = pieces.iter().map(|piece| piece.len()).sum();
        loop {
            let mut guard = ready!(self.registration().poll_write_ready(cx))?;
            match guard.try_io(|_| ostler_shm::send(self.as_fd(), pieces)) {
                Ok(Ok(sent)) => {
                    // Less than asked means the buffer is full: the kernel says when it is not.
                    if sent < asked {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(sent));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// Ends the front's direction and takes in for a moment what the client still sends: closing
    /// with bytes unread would destroy the response on its way (RFC 9112 section 9.6).
    pub(crate) async fn linger(&mut self) {
        const MOST: usize = 256 * 1024;
        const LONGEST: Duration = Duration::from_secs(2);
        if ostler_shm::shutdown_write(self.as_fd()).is_err()
            || self.set_interest(Interest::Reads).is_err()
        {
            return;
        }
        let drain = async {
            let mut sink = Vec::new();
            let mut left = MOST;
            while left > 0 {
                sink.clear();
                match self.recv(&mut sink, READ).await {
                    Ok(0) | Err(_) => return,
                    Ok(received) => left = left.saturating_sub(received),
                }
            }
        };
        let _ = tokio::time::timeout(LONGEST, drain).await;
    }

    /// Resets the connection now, whoever else holds the socket: closing would leave it to the last
    /// holder.
    pub(crate) fn reset(&self) {
        let _ = rustix::net::connect_unspec(self.as_fd());
    }

    /// Ends both directions, whoever else holds the socket.
    pub(crate) fn shutdown(&self) {
        let _ = ostler_shm::shutdown_both(self.as_fd());
    }
}
