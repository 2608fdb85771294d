//! A client's socket in this process: calls that never block, readiness only where one would have.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ostler_delegation::control::ConnectionFacts;
use ostler_shm::kernel_tls;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::info::TlsInfo;

/// A client's connection. The front holds it too: file status flags are shared, so every call says
/// for itself that it must not block.
#[derive(Debug)]
pub(crate) struct Client {
    socket: Arc<OwnedFd>,
    facts: ConnectionFacts,
    registration: Mutex<Option<Registration>>,
    /// What the handshake said if the client speaks TLS; the kernel then encrypts what is sent and
    /// decrypts what is received.
    tls: Option<Arc<TlsInfo>>,
    /// The client has said that it sends nothing more, which the kernel tells only once.
    ended: AtomicBool,
}

/// What the socket is registered for, if anything. Reading is registered for no longer than an
/// exchange that needs it: between exchanges what arrives is the front's, and would wake this
/// process for nothing.
#[derive(Debug, Clone)]
struct Registration {
    ready: Arc<AsyncFd<Arc<OwnedFd>>>,
    reads: bool,
    writes: bool,
}

impl Client {
    pub(crate) fn new(socket: OwnedFd, facts: ConnectionFacts, tls: Option<TlsInfo>) -> Self {
        Self {
            socket: Arc::new(socket),
            facts,
            registration: Mutex::new(None),
            tls: tls.map(Arc::new),
            ended: AtomicBool::new(false),
        }
    }

    /// What the handshake said if the client speaks TLS.
    pub(crate) fn tls(&self) -> Option<&Arc<TlsInfo>> {
        self.tls.as_ref()
    }

    pub(crate) fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Gives bytes to the socket without waiting.
    pub(crate) fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        ostler_shm::send(self.as_fd(), parts)
    }

    /// Gives bytes to the socket once it takes them; `reads` says whether the exchange reads from
    /// it as well.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        reads: bool,
    ) -> Poll<io::Result<usize>> {
        let asked: usize = parts.iter().map(|part| part.len()).sum();
        let ready = self.registration(reads)?;
        loop {
            let mut guard = ready!(ready.poll_write_ready(cx))?;
            match guard.try_io(|_| self.try_send(parts)) {
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

    /// Gives up to `count` bytes of a file to the socket once it takes them; 0 when the file has none
    /// there.
    pub(crate) fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        (file, offset): (&File, u64),
        count: usize,
        reads: bool,
    ) -> Poll<io::Result<usize>> {
        let ready = self.registration(reads)?;
        loop {
            let mut guard = ready!(ready.poll_write_ready(cx))?;
            let sent = guard.try_io(|_| ostler_shm::send_file(self.as_fd(), file, offset, count));
            if let Ok(sent) = sent {
                // Less than asked may be what the file has: the next call says which it was.
                return Poll::Ready(sent);
            }
        }
    }

    /// Appends up to `max` bytes from the socket; 0 is the end.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        if !self.is_registered_for_reading() {
            match self.recv(out, max) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
        let ready = self.registration(true)?;
        loop {
            let mut guard = ready!(ready.poll_read_ready(cx))?;
            match guard.try_io(|_| self.recv(out, max)) {
                Ok(Ok(received)) => {
                    // Less than asked means there is no more: the kernel says when there is. Except
                    // of TLS records: an alert behind the data is read by itself.
                    if received > 0 && received < max && self.tls.is_none() {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(received));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    fn recv(&self, out: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        if self.tls.is_none() {
            return ostler_shm::recv(self.as_fd(), out, max);
        }
        if self.ended.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let received = kernel_tls::recv_kernel_tls(self.as_fd(), out, max)?;
        if received == 0 && max > 0 {
            self.ended.store(true, Ordering::Relaxed);
        }
        Ok(received)
    }

    /// Says that all has been sent, before the direction is shut down: a client over TLS takes what
    /// it got to be cut off otherwise (RFC 8446 section 6.1). Waits for room in the socket, since the
    /// shutdown would cut off what the kernel has encrypted and not placed yet.
    pub(crate) fn poll_close_notify(
        &self,
        cx: &mut Context<'_>,
        reads: bool,
    ) -> Poll<io::Result<()>> {
        if self.tls.is_none() {
            return Poll::Ready(Ok(()));
        }
        let ready = self.registration(reads)?;
        loop {
            let mut guard = ready!(ready.poll_write_ready(cx))?;
            let sent = guard.try_io(|_| match kernel_tls::is_writable(self.as_fd()) {
                true => kernel_tls::send_close_notify(self.as_fd()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            });
            if let Ok(sent) = sent {
                return Poll::Ready(sent);
            }
        }
    }

    /// The same where nobody waits: only if there is room now.
    pub(crate) fn close_notify_now(&self) {
        if self.tls.is_some() && kernel_tls::is_writable(self.as_fd()) {
            let _ = kernel_tls::send_close_notify(self.as_fd());
        }
    }

    /// Ends this direction and takes in what the client still sends until it ends, too, or falls
    /// silent, so that closing with bytes unread does not destroy the response on its way (RFC 9112
    /// section 9.6).
    pub(crate) async fn linger(&self) {
        const SILENCE: Duration = Duration::from_secs(2);
        const AT_A_TIME: usize = 16 * 1024;
        if ostler_shm::shutdown_write(self.as_fd()).is_err() {
            return;
        }
        let mut sink = Vec::new();
        loop {
            sink.clear();
            let receive = poll_fn(|cx| self.poll_recv(cx, &mut sink, AT_A_TIME));
            match tokio::time::timeout(SILENCE, receive).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return,
            }
        }
    }

    /// The exchange is over: forget reading.
    pub(crate) fn end_exchange(&self) {
        let mut registration = self.lock();
        if registration
            .as_ref()
            .is_some_and(|registration| registration.reads)
        {
            *registration = None;
        }
    }

    fn is_registered_for_reading(&self) -> bool {
        self.lock()
            .as_ref()
            .is_some_and(|registration| registration.reads)
    }

    fn registration(&self, reads: bool) -> io::Result<Arc<AsyncFd<Arc<OwnedFd>>>> {
        let mut registration = self.lock();
        match &*registration {
            Some(have) if have.writes && (have.reads || !reads) => {
                return Ok(Arc::clone(&have.ready));
            }
            _ => {}
        }
        // One registration a descriptor: the narrower one goes before the wider one comes.
        *registration = None;
        let interest = if reads {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::WRITABLE
        };
        let ready = Arc::new(ostler_readiness::watched(
            Arc::clone(&self.socket),
            interest,
        )?);
        *registration = Some(Registration {
            ready: Arc::clone(&ready),
            reads,
            writes: true,
        });
        Ok(ready)
    }

    /// What tells that the client has sent something, between two exchanges that are both read here. That
    /// there is room for a response is not told: each one that is taken would be a wake-up.
    pub(crate) fn arrivals(&self) -> io::Result<Arc<AsyncFd<Arc<OwnedFd>>>> {
        let mut registration = self.lock();
        if let Some(have) = registration.as_ref().filter(|have| have.reads) {
            return Ok(Arc::clone(&have.ready));
        }
        *registration = None;
        let socket = Arc::clone(&self.socket);
        let ready = Arc::new(ostler_readiness::watched(socket, Interest::READABLE)?);
        *registration = Some(Registration {
            ready: Arc::clone(&ready),
            reads: true,
            writes: false,
        });
        Ok(ready)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Registration>> {
        self.registration
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
