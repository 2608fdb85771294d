//! A request's body, read from the client's own socket as the handler asks for it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use ostler_delegation::entry::{Completed, ExchangeKey, RequestEntry};
use ostler_delegation::target::TargetShared;
use ostler_http1::{BodyDecoder, BodyProgress, CONTINUE};
use tokio::time::Sleep;

use crate::client::Client;
use crate::error::BodyError;
use crate::stream::StreamedBody;

/// The body of a request.
///
/// Bytes leave the kernel only as they are polled for, so a slow handler holds the client back by
/// TCP's own means.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Empty,
    Delegated(Arc<RequestBody>),
    Streamed(StreamedBody),
    Relayed(RelayedBody),
}

/// A body over a relayed connection, which tells when it is let go of before its end: nothing can
/// follow it on the connection then.
#[derive(Debug)]
struct RelayedBody {
    incoming: hyper::body::Incoming,
    ended: bool,
    left_unread: Arc<AtomicBool>,
}

impl Drop for RelayedBody {
    fn drop(&mut self) {
        if !self.ended && !self.incoming.is_end_stream() {
            self.left_unread.store(true, Ordering::Relaxed);
        }
    }
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub(crate) fn delegated(body: Arc<RequestBody>) -> Self {
        Self(Kind::Delegated(body))
    }

    pub(crate) fn streamed(body: StreamedBody) -> Self {
        Self(Kind::Streamed(body))
    }

    /// `left_unread` becomes true when the body is let go of before its end.
    pub(crate) fn relayed(incoming: hyper::body::Incoming, left_unread: Arc<AtomicBool>) -> Self {
        Self(Kind::Relayed(RelayedBody {
            incoming,
            ended: false,
            left_unread,
        }))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Delegated(body) => body.lock().poll_frame(cx),
            Kind::Streamed(body) => body.poll_frame(cx),
            Kind::Relayed(body) => {
                let frame = ready!(Pin::new(&mut body.incoming).poll_frame(cx));
                body.ended |= frame.is_none();
                Poll::Ready(
                    frame.map(|frame| frame.map_err(|error| BodyError::Relayed(error.into()))),
                )
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Delegated(body) => body.lock().decoder.is_end(),
            Kind::Streamed(body) => body.is_end_stream(),
            Kind::Relayed(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Delegated(body) => body
                .lock()
                .decoder
                .remaining()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
            Kind::Streamed(body) => body.size_hint(),
            Kind::Relayed(body) => body.incoming.size_hint(),
        }
    }
}

/// A body shared by the handler, which reads it, and its exchange, which finishes it.
#[derive(Debug)]
pub(crate) struct RequestBody(Mutex<State>);

#[derive(Debug)]
struct State {
    client: Arc<Client>,
    shared: Arc<TargetShared>,
    key: ExchangeKey,
    decoder: BodyDecoder,
    /// Bytes from the client that are not decoded yet: at first what came with the head.
    input: Bytes,
    /// `100 Continue` is to be sent before the first read.
    expects_continue: bool,
    /// The socket has been read from.
    touched: bool,
    /// The exchange is over for the handler.
    detached: bool,
    failed: bool,
    /// Most bytes of it; `u64::MAX` is any number.
    limit: u64,
    too_large: bool,
    /// The front says that the client is waited for in vain.
    too_slow: bool,
    /// The front has been told that the client is waited for.
    awaited: bool,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

/// How a body ended.
pub(crate) enum Drained {
    /// Whole; these bytes behind it are the next request's.
    End {
        /// The start of the next request.
        leftover: Vec<u8>,
    },
    /// It cannot be brought to its end: the connection must close.
    Unfinished,
}

impl RequestBody {
    pub(crate) fn new(
        client: Arc<Client>,
        shared: Arc<TargetShared>,
        key: ExchangeKey,
        entry: &RequestEntry<'_>,
        timeout: Duration,
    ) -> Self {
        // A client that sends the body unasked needs no 100 (RFC 9110 section 10.1.1).
        let prefix_is_empty = entry.prefix.is_empty();
        Self(Mutex::new(State {
            client,
            shared,
            key,
            decoder: BodyDecoder::new(entry.framing),
            input: Bytes::copy_from_slice(entry.prefix),
            expects_continue: entry.expects_continue && prefix_is_empty,
            touched: false,
            detached: false,
            failed: false,
            limit: entry.limits.body,
            too_large: false,
            too_slow: false,
            awaited: false,
            timeout,
            timer: None,
        }))
    }

    /// Body bytes delivered so far.
    pub(crate) fn received(&self) -> u64 {
        self.lock().decoder.consumed_body()
    }

    /// Whether the client broke the body's framing.
    pub(crate) fn failed(&self) -> bool {
        self.lock().failed
    }

    /// Whether more was read than the body may have.
    pub(crate) fn is_too_large(&self) -> bool {
        self.lock().too_large
    }

    /// Whether the front has ended it for its slowness.
    pub(crate) fn is_too_slow(&self) -> bool {
        self.lock().too_slow
    }

    /// Whether the client still waits to be told to send the body.
    pub(crate) fn awaits_continue(&self) -> bool {
        let state = self.lock();
        state.expects_continue && !state.decoder.is_end()
    }

    /// Takes the body from the handler.
    pub(crate) fn detach(&self) {
        self.lock().detached = true;
    }

    /// Reads the rest so that the connection can carry another request: up to `most` bytes.
    pub(crate) async fn drain(&self, most: u64) -> Drained {
        let begun = self.received();
        loop {
            let frame = std::future::poll_fn(|cx| {
                let mut state = self.lock();
                // A client that was not told to continue may or may not send the body: RFC 9110
                // section 10.1.1 leaves closing as the only safe way on.
                if state.expects_continue && !state.decoder.is_end() {
                    return Poll::Ready(Some(Err(BodyError::ExchangeOver)));
                }
                state.poll_decode(cx)
            });
            match frame.await {
                Some(Ok(_)) if self.received() - begun <= most => {}
                Some(_) => return Drained::Unfinished,
                None => break,
            }
        }
        let leftover = std::mem::take(&mut self.lock().input);
        if leftover.len() > Completed::MAX_LEFTOVER {
            return Drained::Unfinished;
        }
        Drained::End {
            leftover: leftover.into(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.detached && !self.decoder.is_end() {
            return Poll::Ready(Some(Err(BodyError::ExchangeOver)));
        }
        match ready!(self.poll_decode(cx)) {
            Some(Ok(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(
                self.decoder
                    .trailers()
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            ),
        }
    }

    fn poll_decode(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if self.failed {
                return Poll::Ready(Some(Err(BodyError::ExchangeOver)));
            }
            match self.decoder.decode(&self.input) {
                Ok(BodyProgress::Data {
                    start,
                    end,
                    consumed,
                }) => {
                    if self.decoder.consumed_body() > self.limit {
                        (self.failed, self.too_large) = (true, true);
                        return Poll::Ready(Some(Err(BodyError::TooLarge(self.limit))));
                    }
                    let data = self.input.slice(start..end);
                    self.consume(consumed);
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(BodyProgress::End { consumed }) => {
                    self.consume(consumed);
                    return Poll::Ready(None);
                }
                Ok(BodyProgress::NeedMore { consumed }) => self.consume(consumed),
                Err(error) => {
                    self.failed = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            if let Err(error) = ready!(self.poll_fill(cx)) {
                self.failed = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn consume(&mut self, consumed: usize) {
        let _ = self.input.split_to(consumed);
    }

    /// Tells the front whether it is the client that the read waits for.
    fn set_awaited(&mut self, awaited: bool) {
        if std::mem::replace(&mut self.awaited, awaited) != awaited {
            self.shared.await_body(self.key, awaited);
        }
    }

    /// Reads no further past the end of the body than the decoder's hint: what follows is the
    /// front's to read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        const MOST: usize = 64 * 1024;
        if !self.touched {
            self.touched = true;
            self.shared.body_read(self.key);
        }
        if std::mem::take(&mut self.expects_continue) {
            // Said first: a client that has heard the 100 is waited for, even should this process stand
            // still from then on.
            self.set_awaited(true);
            // 25 bytes into a buffer that this exchange has not written to: it takes them whole,
            // or the client is gone, which the read says.
            let _ = self.client.try_send(&[std::io::IoSlice::new(CONTINUE)]);
        }
        let max = self.decoder.read_hint().clamp(1, MOST);
        let mut read = Vec::with_capacity(self.input.len() + max);
        read.extend_from_slice(&self.input);
        let received = self.client.poll_recv(cx, &mut read, max);
        self.set_awaited(received.is_pending());
        match received {
            Poll::Ready(Ok(0)) if self.shared.is_body_too_slow(self.key) => {
                self.too_slow = true;
                Poll::Ready(Err(BodyError::TooSlow))
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(BodyError::ClientGone)),
            Poll::Ready(Ok(_)) => {
                self.timer = None;
                self.input = read.into();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) if is_disconnect(&error) => {
                Poll::Ready(Err(BodyError::ClientGone))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(BodyError::Io(error))),
            Poll::Pending => {
                let timeout = self.timeout;
                let timer = self.timer.get_or_insert_with(|| {
                    Box::pin(tokio::time::sleep_until(crate::clock::now() + timeout))
                });
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Err(BodyError::TimedOut(timeout)))
            }
        }
    }
}

/// The client's end is gone, as opposed to something being wrong here.
pub(crate) fn is_disconnect(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut
    )
}
