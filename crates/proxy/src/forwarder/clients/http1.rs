//! An HTTP/1.1 connection to a destination, run by the task of whoever uses it.
//!
//! hyper's connection is a future that somebody has to poll. A task of its own would be woken for
//! each request and wake the exchange for each response; here the exchange itself polls it, first
//! while it waits for the response's head, then while it reads the body ([`Http1Body`]). Nobody
//! polls an idle connection but the pool's sweep.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_limit::Permit;
use super::pool::Pool;
use crate::forwarder::body::ForwardBody;

/// The longest response head (reference part B, 16.4).
const LONGEST_HEAD: usize = 64 * 1024;

type Running = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// A connection that speaks HTTP/1.1.
pub(super) struct Http1<B = ForwardBody> {
    sender: http1::SendRequest<B>,
    /// `None` once the connection has ended.
    running: Option<Running>,
    user: Arc<User>,
    /// What wakes the user; made once.
    waker: Waker,
    heard: Arc<AtomicBool>,
    /// Its place among `MaxConnectionsPerServer`, kept through an upgrade.
    permit: Option<Permit>,
}

impl<B> std::fmt::Debug for Http1<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1")
            .field("is_open", &self.running.is_some())
            .finish_non_exhaustive()
    }
}

/// A request has no response.
pub(super) struct Unanswered<B> {
    pub(super) error: hyper::Error,
    /// The request, if not a byte of it was sent.
    pub(super) unsent: Option<Request<B>>,
    /// Whether the destination has said anything since.
    pub(super) heard: bool,
}

impl<B> Http1<B>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Starts HTTP/1.1 on a connection.
    pub(super) async fn handshake<I>(stream: I) -> Result<Self, hyper::Error>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let user = Arc::new(User::default());
        let heard = Arc::new(AtomicBool::new(false));
        let stream = Listening {
            stream,
            heard: Arc::clone(&heard),
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(LONGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self {
            sender,
            running: Some(Box::pin(connection.with_upgrades())),
            waker: Waker::from(Arc::clone(&user)),
            user,
            heard,
            permit: None,
        })
    }

    /// Sends a request and waits for the response's head.
    pub(super) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, Unanswered<B>> {
        self.heard.store(false, Ordering::Relaxed);
        self.user.is_here(true);
        // A budget spent elsewhere would wake nobody here.
        let sent = tokio::task::unconstrained(self.sender.try_send_request(request));
        let mut sent = pin!(sent);
        let response = poll_fn(|cx| {
            self.run(cx);
            // Only running the connection completes it, so that it need not wake anybody.
            sent.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await;
        match response {
            Ok(response) => {
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    self.run_apart();
                }
                Ok(response)
            }
            Err(error) => Err(self.unanswered(error)),
        }
    }

    fn unanswered(&self, mut error: TrySendError<Request<B>>) -> Unanswered<B> {
        Unanswered {
            unsent: error.take_message(),
            error: error.into_error(),
            heard: self.heard.load(Ordering::Relaxed),
        }
    }

    /// Lets the connection do what it can; `cx` is woken when there is more.
    fn run(&mut self, cx: &Context<'_>) {
        let Some(running) = &mut self.running else {
            return;
        };
        self.user.is_here(true);
        let _seen_to_here = self.user.was_woken();
        let mut ended = running.as_mut().poll(&mut Context::from_waker(&self.waker));
        if ended.is_pending() && self.user.was_woken() {
            ended = running.as_mut().poll(&mut Context::from_waker(&self.waker));
        }
        self.user.leaves(cx.waker());
        if let Poll::Ready(ended) = ended {
            self.running = None;
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to a destination ended");
            }
        }
    }

    /// After a 101 hyper hands the socket over, and waits for nobody here.
    fn run_apart(&mut self) {
        if let Some(running) = self.running.take() {
            self.user.is_here(false);
            tokio::task::spawn_local(async move {
                if let Err(error) = running.await {
                    tracing::debug!(%error, "a connection to a destination ended");
                }
            });
        }
    }

    /// Whether a connection that nobody uses is still open.
    pub(super) fn is_still_open(&mut self) -> bool {
        self.run(&Context::from_waker(Waker::noop()));
        self.is_ready()
    }

    /// Whether it can take a request: the exchange before is over, request and response.
    pub(super) fn is_ready(&self) -> bool {
        self.running.is_some() && self.sender.is_ready()
    }

    /// It counts among the connections of its endpoint for as long as it lives.
    pub(super) fn counted_by(mut self, permit: Option<Permit>) -> Self {
        self.permit = permit;
        self
    }

    /// Leaves the connection to a task of its own; for those that no pool has.
    pub(super) fn apart(mut self) -> http1::SendRequest<B> {
        self.run_apart();
        self.sender
    }
}

/// The task that uses a connection.
///
/// What it does itself (sending a request, asking for more of a body) wakes the connection, and so
/// would have it polled once more for nothing. As long as it is here, it is only noted that it was
/// woken.
#[derive(Debug, Default)]
struct User {
    is_here: AtomicBool,
    woken: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl User {
    fn is_here(&self, is_here: bool) {
        self.is_here.store(is_here, Ordering::Relaxed);
    }

    /// Whether the connection has been woken since it was asked.
    fn was_woken(&self) -> bool {
        self.woken.swap(false, Ordering::Relaxed)
    }

    /// From now on `waker` is woken; at once if the connection was meanwhile.
    fn leaves(&self, waker: &Waker) {
        let mut kept = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *kept {
            Some(kept) => kept.clone_from(waker),
            None => *kept = Some(waker.clone()),
        }
        drop(kept);
        self.is_here(false);
        if self.was_woken() {
            waker.wake_by_ref();
        }
    }
}

impl Wake for User {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_here.load(Ordering::Relaxed) {
            self.woken.store(true, Ordering::Relaxed);
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}

/// A response's body, which runs the connection it comes from.
#[derive(Debug)]
pub(crate) struct Http1Body {
    incoming: Incoming,
    /// `None` where the connection is another task's.
    from: Option<(Http1, Rc<Pool>)>,
}

impl Http1Body {
    pub(super) fn new(incoming: Incoming, connection: Http1, pool: Rc<Pool>) -> Self {
        Self {
            incoming,
            from: Some((connection, pool)),
        }
    }

    /// The body of a connection that a task of its own runs.
    pub(super) fn apart(incoming: Incoming) -> Self {
        let from = None;
        Self { incoming, from }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some((connection, _)) = &mut self.from else {
            return Pin::new(&mut self.incoming).poll_frame(cx);
        };
        connection.user.is_here(true);
        // What has been read already first; asking for more tells the connection to read.
        let unwoken = &mut Context::from_waker(Waker::noop());
        let mut frame = Pin::new(&mut self.incoming).poll_frame(unwoken);
        if frame.is_pending() {
            connection.run(cx);
            frame = Pin::new(&mut self.incoming).poll_frame(unwoken);
        }
        let frame = ready!(frame);
        if frame.is_none() {
            self.give_back();
        }
        Poll::Ready(frame)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    /// Gives the connection to whoever needs one next if both messages are over. Any other is
    /// closed.
    fn give_back(&mut self) {
        if let Some((connection, pool)) = self.from.take()
            && connection.is_ready()
        {
            // Whoever has just used it is no longer concerned.
            connection.user.leaves(Waker::noop());
            pool.put_back(connection);
        }
    }
}

impl Drop for Http1Body {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A stream that remembers whether it has been heard of.
struct Listening<I> {
    stream: I,
    heard: Arc<AtomicBool>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Listening<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Listening<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
