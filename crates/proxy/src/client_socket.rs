//! A client's socket in the front: one registration whose interest follows what the exchange needs,
//! and the TLS session that stands between the socket and what is said over it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ostler_delegation::control::ConnectionFacts;
use ostler_shm::kernel_tls::KernelTls;
use tokio::io::unix::AsyncFd;

use crate::linger;
use crate::tls::{ClientFacts, KernelSocket, SpentError, Stays, TlsFacts, TlsSession, ToKernel};

/// Bytes asked of the kernel at a time. Together with the longest head it bounds what travels with
/// a request.
pub(crate) const READ: usize = 16 * 1024;

/// How long a connection that is being closed is waited for.
const LONGEST: Duration = Duration::from_secs(2);

/// How long a record may take that has begun and holds a session back.
const RECORD_TIMEOUT: Duration = Duration::from_millis(500);

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
pub(crate) struct ClientSocket {
    socket: Rc<OwnedFd>,
    registration: Option<AsyncFd<Rc<OwnedFd>>>,
    interest: Interest,
    facts: ClientFacts,
    tls: Option<Box<TlsSession>>,
    /// The session has moved into the kernel.
    kernel: Option<KernelSocket>,
}

impl ClientSocket {
    /// A connection in clear text, or one whose handshake is over.
    pub(crate) fn new(
        socket: OwnedFd,
        facts: ClientFacts,
        session: Option<TlsSession>,
    ) -> io::Result<Self> {
        let mut client = Self {
            socket: Rc::new(socket),
            registration: None,
            interest: Interest::Breaks,
            facts,
            tls: session.map(Box::new),
            kernel: None,
        };
        client.set_interest(Interest::Reads)?;
        Ok(client)
    }

    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    pub(crate) fn facts(&self) -> &ConnectionFacts {
        &self.facts.connection
    }

    /// The same, and what the handshake said if the client speaks TLS.
    pub(crate) fn client_facts(&self) -> &ClientFacts {
        &self.facts
    }

    pub(crate) fn tls(&self) -> Option<&TlsFacts> {
        self.facts.tls.as_deref()
    }

    /// The socket, for whoever speaks HTTP over it as it is: there is none while a session of this
    /// process encrypts what is sent, so that nothing can be sent in clear text.
    pub(crate) fn plain_fd(&self) -> Option<BorrowedFd<'_>> {
        self.tls.is_none().then(|| self.as_fd())
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.socket)
    }

    /// Whether the socket holds bytes that have not been received.
    pub(crate) fn has_unread(&self) -> bool {
        ostler_shm::unread_bytes(self.as_fd()).is_ok_and(|unread| unread > 0)
    }

    /// Registers for something else. Writing is not asked for unless somebody waits to write: each
    /// time a target's response empties the buffer, the front would be woken for nothing.
    pub(crate) fn set_interest(&mut self, interest: Interest) -> io::Result<()> {
        // A session may have something to say whenever it hears something.
        let interest = match interest {
            Interest::Reads if self.tls.is_some() => Interest::ReadsAndWrites,
            interest => interest,
        };
        if self.interest == interest && self.registration.is_some() {
            return Ok(());
        }
        // One registration a descriptor: the old one goes first.
        self.registration = None;
        let registration = ostler_readiness::watched(Rc::clone(&self.socket), interest.to_tokio())?;
        self.registration = Some(registration);
        self.interest = interest;
        Ok(())
    }

    /// There is none when a new one could not be made: the connection counts as broken then.
    fn registration(&self) -> io::Result<&AsyncFd<Rc<OwnedFd>>> {
        let registration = self.registration.as_ref();
        registration.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Ready when there may be something to read, which stays so until a read finds otherwise.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.registration()?.poll_read_ready(cx))?.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// Ready when there may be something to read. What the session has to say is said meanwhile.
    pub(crate) fn poll_stirs(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &self.tls
            && let Poll::Ready(Err(error)) = self.poll_flush(tls, cx)
        {
            return Poll::Ready(Err(error));
        }
        self.poll_readable(cx)
    }

    /// A read found nothing: the next [`poll_readable`](Self::poll_readable) waits.
    pub(crate) fn clear_readable(&self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Ok(registration) = self.registration()
            && let Poll::Ready(Ok(mut guard)) = registration.poll_read_ready(&mut cx)
        {
            guard.clear_ready();
        }
    }

    /// Completes when nobody is there any more, of a client that has ended its stream. It may only have
    /// said that it sends nothing more, and is answered then, however long that takes.
    pub(crate) async fn left(&self) {
        /// How often the socket is looked at.
        const LOOK: Duration = Duration::from_secs(1);
        self.ask_for_presence();
        while !self.has_left() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether nobody is there any more, of a client that has ended its stream.
    pub(crate) fn has_left(&self) -> bool {
        ostler_shm::has_left(self.as_fd())
    }

    /// Has the kernel find out whether the client is there, which an exchange would not otherwise.
    pub(crate) fn ask_for_presence(&self) {
        // Without it a client that has left is noticed when it is answered.
        let _ = ostler_shm::ask_for_presence(self.as_fd());
    }

    /// Ready when the connection broke. For [`Interest::Breaks`].
    pub(crate) async fn broken(&self) {
        if let Ok(registration) = self.registration() {
            let _ = registration.ready(tokio::io::Interest::PRIORITY).await;
        }
    }

    /// Appends up to `max` bytes; 0 is the end of the stream.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        match &self.tls {
            None => match &self.kernel {
                None => self.poll_recv_with(cx, max, |socket| ostler_shm::recv(socket, out, max)),
                // Whatever it gives, there may be more.
                Some(kernel) => self.poll_recv_with(cx, 0, |socket| kernel.recv(socket, out, max)),
            },
            Some(tls) => self.poll_recv_tls(tls, cx, out, max),
        }
    }

    /// Appends what has arrived, up to `max` bytes, without waiting. From a client whose session is in
    /// this process nothing is read like this.
    pub(crate) fn recv_now(&self, out: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        let socket = self.plain_fd().ok_or(io::ErrorKind::Unsupported)?;
        let received = match &self.kernel {
            None => ostler_shm::recv(socket, out, max),
            Some(kernel) => return kernel.recv(socket, out, max),
        };
        if received
            .as_ref()
            .is_ok_and(|&received| 0 < received && received < max)
        {
            self.clear_readable();
        }
        received
    }

    fn poll_recv_tls(
        &self,
        tls: &TlsSession,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let taken = tls.take(out, max);
            // What the session answers by itself, an alert say, does not wait for a response.
            let flushed = self.poll_flush(tls, cx);
            if let Some(taken) = taken? {
                return Poll::Ready(Ok(taken));
            }
            if let Poll::Ready(Err(error)) = flushed {
                return Poll::Ready(Err(error));
            }
            let receive = |socket: BorrowedFd<'_>| tls.receive(socket);
            ready!(self.poll_recv_with(cx, TlsSession::RECEIVES, receive))?;
        }
    }

    /// Gives the socket everything that the session wants to send.
    fn poll_flush(&self, tls: &TlsSession, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while tls.wants_send() {
            let mut guard = ready!(self.registration()?.poll_write_ready(cx))?;
            match guard.try_io(|_| tls.send(self.as_fd())) {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads by `receive`, which is to ask for `max` bytes.
    fn poll_recv_with(
        &self,
        cx: &mut Context<'_>,
        max: usize,
        mut receive: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.registration()?.poll_read_ready(cx))?;
            match guard.try_io(|_| receive(self.as_fd())) {
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
        if self.tls.is_some() {
            self.set_interest(Interest::ReadsAndWrites)?;
            return self.send_registered(pieces, timeout).await;
        }
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
    /// ([`Interest::ReadsAndWrites`]). What has been taken is added to `taken` as it is, so that it
    /// is known of a wait that is given up, too.
    pub(crate) async fn send_half(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Duration,
        taken: &mut u64,
    ) -> io::Result<()> {
        if let Some(socket) = self.plain_fd() {
            match ostler_shm::send(socket, pieces) {
                Ok(sent) => {
                    *taken += sent as u64;
                    IoSlice::advance_slices(&mut pieces, sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.send_counted(pieces, timeout, taken).await
    }

    /// The socket, for somebody else to serve.
    pub(crate) fn into_socket(mut self) -> io::Result<(OwnedFd, ClientFacts)> {
        // One registration a descriptor, and whoever watches the connection keeps its own.
        self.registration = None;
        Ok((self.socket.try_clone()?, self.facts))
    }

    /// Waits for room for all pieces.
    pub(crate) async fn send_registered(
        &self,
        pieces: &mut [IoSlice<'_>],
        timeout: Duration,
    ) -> io::Result<()> {
        self.send_counted(pieces, timeout, &mut 0).await
    }

    async fn send_counted(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Duration,
        taken: &mut u64,
    ) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            return self.send_tls(tls, pieces, timeout, taken).await;
        }
        while !pieces.is_empty() {
            let send = poll_fn(|cx| self.poll_send(cx, pieces));
            let sent = tokio::time::timeout(timeout, send).await;
            let sent = sent.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
            *taken += sent as u64;
            IoSlice::advance_slices(&mut pieces, sent);
        }
        Ok(())
    }

    async fn send_tls(
        &self,
        tls: &TlsSession,
        mut pieces: &mut [IoSlice<'_>],
        timeout: Duration,
        taken: &mut u64,
    ) -> io::Result<()> {
        loop {
            let put = tls.put(pieces)?;
            *taken += put as u64;
            IoSlice::advance_slices(&mut pieces, put);
            if pieces.is_empty() && !tls.wants_send() {
                return Ok(());
            }
            // Usually there is room, and nothing to wait for.
            match tls.send(self.as_fd()) {
                // A session that takes nothing and has nothing to send is closed.
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let send = poll_fn(|cx| self.poll_send_some(tls, cx));
            let sent = tokio::time::timeout(timeout, send).await;
            sent.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
        }
    }

    fn poll_send_some(&self, tls: &TlsSession, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.registration()?.poll_write_ready(cx))?;
            if let Ok(sent) = guard.try_io(|_| tls.send(self.as_fd())) {
                return Poll::Ready(sent);
            }
        }
    }

    fn poll_send(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let asked: usize = pieces.iter().map(|piece| piece.len()).sum();
        loop {
            let mut guard = ready!(self.registration()?.poll_write_ready(cx))?;
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

    /// Moves the client's session into the kernel, so that others can use the socket; what of it has
    /// been decrypted by then is appended to `input`, which is to have at most `most` bytes.
    ///
    /// # Errors
    ///
    /// When the session can neither move nor stay: the connection is lost, and shut down.
    pub(crate) async fn move_into_kernel(
        &mut self,
        input: &mut Vec<u8>,
        most: usize,
        offered: KernelTls,
    ) -> Result<Result<(), Stays>, SpentError> {
        let Some(tls) = &self.tls else {
            return Ok(Ok(()));
        };
        if let Err(stays) = self.complete_records(tls, input, most).await {
            return Ok(Err(stays));
        }
        let Some(tls) = self.tls.take() else {
            return Ok(Ok(()));
        };
        match tls.into_kernel(self.as_fd(), offered) {
            ToKernel::Moved => self.kernel = Some(KernelSocket::default()),
            ToKernel::Stays(tls, stays) => {
                self.tls = Some(Box::new(tls));
                return Ok(Err(stays));
            }
            ToKernel::Spent(error) => {
                // Before anybody writes to it.
                let _ = ostler_shm::shutdown_both(self.as_fd());
                return Err(error);
            }
        }
        // Registered anew, the socket says what it holds now; what it said before was of bytes, not
        // of records.
        self.registration = None;
        self.set_interest(self.interest)
            .map_err(SpentError::Socket)?;
        Ok(Ok(()))
    }

    /// Takes out what has been received, up to the end of a record.
    async fn complete_records(
        &self,
        tls: &TlsSession,
        input: &mut Vec<u8>,
        most: usize,
    ) -> Result<(), Stays> {
        loop {
            match tls.take(input, usize::MAX) {
                Ok(Some(0)) => return Err(Stays::NotNow("the client has ended its stream")),
                Ok(_) => {}
                Err(_) => return Err(Stays::NotNow("the client's records are broken")),
            }
            if input.len() > most {
                return Err(Stays::NotNow(
                    "more has been received than travels with a request",
                ));
            }
            if tls.missing() == 0 {
                return Ok(());
            }
            let receive = |socket: BorrowedFd<'_>| tls.receive_missing(socket);
            let received = poll_fn(|cx| self.poll_recv_with(cx, 0, receive));
            match tokio::time::timeout(RECORD_TIMEOUT, received).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Err(Stays::NotNow("the client has gone")),
                Err(_elapsed) => return Err(Stays::NotNow("a record is not whole")),
            }
        }
    }

    /// Where the kernel writes the records: waits for a moment until it has room for all of them, then
    /// says that nothing more comes.
    pub(crate) async fn close_records(&mut self) {
        let Some(kernel) = &self.kernel else { return };
        match kernel.close(self.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return,
        }
        if self.set_interest(Interest::ReadsAndWrites).is_err() {
            return;
        }
        // On the heap, since it is rare.
        let close = Box::pin(poll_fn(|cx| self.poll_close_records(cx)));
        let _ = tokio::time::timeout(LONGEST, close).await;
    }

    fn poll_close_records(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(kernel) = &self.kernel else {
            return Poll::Ready(Ok(()));
        };
        loop {
            let mut guard = ready!(self.registration()?.poll_write_ready(cx))?;
            if let Ok(closed) = guard.try_io(|_| kernel.close(self.as_fd())) {
                return Poll::Ready(closed);
            }
        }
    }

    /// Ends the front's direction and takes in for a while what the client still sends.
    pub(crate) async fn linger(&mut self) {
        if self.set_interest(Interest::Reads).is_err() {
            return;
        }
        if let Some(tls) = &self.tls {
            tls.close();
            let flush = poll_fn(|cx| self.poll_flush(tls, cx));
            if !matches!(tokio::time::timeout(LONGEST, flush).await, Ok(Ok(()))) {
                return;
            }
        }
        self.close_records().await;
        if ostler_shm::shutdown_write(self.as_fd()).is_err() {
            return;
        }
        let mut sink = Vec::new();
        linger::discard(linger::LONGEST, async || {
            sink.clear();
            // As it comes: nobody reads it.
            let mut receive = |socket: BorrowedFd<'_>| ostler_shm::recv(socket, &mut sink, READ);
            let received = poll_fn(|cx| self.poll_recv_with(cx, READ, &mut receive)).await;
            matches!(received, Ok(1..))
        })
        .await;
    }

    /// Resets the connection now, whoever else holds the socket: closing would leave it to the last
    /// holder.
    pub(crate) fn reset(&self) {
        if self.kernel.is_some() || rustix::net::connect_unspec(self.as_fd()).is_err() {
            // Kernels do not disconnect sockets whose records they write.
            let _ = ostler_shm::shutdown_both(self.as_fd());
        }
    }

    /// What was being said to the client is not whole, and the end of the connection is to show it:
    /// a session that is closed properly would say that it is (RFC 8446 section 6.1).
    pub(crate) fn cut_short(&self) {
        if let Some(tls) = &self.tls {
            tls.cut_short();
        }
        if let Some(kernel) = &self.kernel {
            kernel.cut_short();
        }
    }

    /// Ends both directions, whoever else holds the socket.
    pub(crate) fn shutdown(&self) {
        if let Some(tls) = &self.tls {
            tls.close();
            let _ = tls.send(self.as_fd());
        }
        let _ = ostler_shm::shutdown_both(self.as_fd());
    }
}
