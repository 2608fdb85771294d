//! A stream behind a response that switches the protocol: bytes both ways.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::StreamHandle;

/// A stream of bytes both ways.
#[derive(Debug)]
pub(crate) struct StreamTunnel {
    stream: StreamHandle,
    /// Received and not yet read.
    unread: Bytes,
    /// This direction has ended.
    ended: bool,
}

impl StreamTunnel {
    pub(super) fn new(stream: StreamHandle) -> Self {
        Self {
            stream,
            unread: Bytes::new(),
            ended: false,
        }
    }
}

impl Drop for StreamTunnel {
    fn drop(&mut self) {
        self.stream.give_up();
    }
}

impl AsyncRead for StreamTunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            match ready!(this.stream.poll_data(cx)) {
                Some(Ok(data)) => this.unread = data,
                Some(Err(error)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error)));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamTunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.stream.takes_body() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            // A piece of a body has bytes, or is the last.
            return Poll::Ready(Ok(0));
        }
        let channel = self.stream.channel();
        let most = channel.may_send(self.stream.stream.key);
        if most == 0 {
            self.stream.stream.keep(cx);
            return Poll::Pending;
        }
        let part = &bytes[..bytes.len().min(most).min(channel.longest_data())];
        let key = self.stream.stream.key;
        ready!(
            self.stream
                .poll_push(cx, || channel.send_data(key, part, false))
        );
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.stream.poll_send(cx, &mut Bytes::new(), true));
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}
