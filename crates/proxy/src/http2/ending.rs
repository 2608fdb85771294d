//! The end of a connection: whatever has been said reaches the client before it closes.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::slow_timer::{SlowTimer, TICK, now};

/// How long a client that has everything may take to close.
pub(super) const LONGEST: Duration = Duration::from_secs(2);
/// How long one may take nothing of what is on its way.
const STALLED: Duration = Duration::from_secs(30);
/// Bytes read of one that goes on talking. Its windows, which are not opened any more, let less pass.
const MOST: usize = 4 * 1024 * 1024;

/// A client's connection whose shutting down completes when the client has closed its side, or has
/// had time to: a socket that is closed with bytes unread (a window's update is enough) is reset,
/// and what was on its way to the client is lost (RFC 9112 section 9.6).
#[derive(Debug)]
pub(super) struct Lingering<T> {
    io: T,
    last_exchange: Rc<Cell<Option<Instant>>>,
    taking: Taking,
    is_shut: bool,
    /// Bytes that may still be read.
    left: usize,
    timer: SlowTimer,
}

impl<T> Lingering<T> {
    /// `last_exchange` is when one last ended: where that is long ago, the client has had time to take
    /// all that concerns it.
    pub(super) fn new(
        io: T,
        socket: Rc<OwnedFd>,
        last_exchange: Rc<Cell<Option<Instant>>>,
    ) -> Self {
        Self {
            io,
            last_exchange,
            taking: Taking::new(socket),
            is_shut: false,
            left: MOST,
            timer: SlowTimer::default(),
        }
    }
}

/// How a client takes what it is sent.
#[derive(Debug)]
pub(super) struct Taking {
    socket: Rc<OwnedFd>,
    acked: u64,
    since: Option<Instant>,
}

impl Taking {
    pub(super) fn new(socket: Rc<OwnedFd>) -> Self {
        Self {
            socket,
            acked: 0,
            since: None,
        }
    }

    /// Whether the client, which is to do nothing but to take what is there and then, within
    /// `to_close`, to close, has had its time. The time begins with the first call.
    pub(super) fn is_over(&mut self, now: Instant, to_close: Duration) -> bool {
        let progress = ostler_shm::tcp_progress(self.socket.as_fd());
        let (acked, is_unsent) = match progress {
            Ok(progress) => (progress.bytes_acked, progress.is_unsent),
            // It breaks by itself.
            Err(_) => (self.acked, false),
        };
        if self.since.is_none() || acked != self.acked {
            (self.acked, self.since) = (acked, Some(now));
        }
        let waited = self
            .since
            .map(|since| now.saturating_duration_since(since))
            .unwrap_or_default();
        waited >= if is_unsent { STALLED } else { to_close }
    }
}

impl<T: AsyncRead + Unpin> Lingering<T> {
    /// Reads until the client closes, or has had its time.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sink = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut sink);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && self.left > 0 => {
                    self.left = self.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        let now = now();
        let last = self.last_exchange.get();
        let is_recent = last.is_some_and(|last| now.saturating_duration_since(last) < LONGEST);
        let to_close = if is_recent { LONGEST } else { Duration::ZERO };
        if self.taking.is_over(now, to_close) {
            return Poll::Ready(());
        }
        self.timer.poll_until(now + TICK, cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Lingering<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        self.poll_closed(cx).map(Ok)
    }
}
