//! The bytes of an extended CONNECT: an HTTP/2 stream as a byte stream (RFC 8441 section 5).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::http2::StreamPlace;
use super::window::Window;

/// The most that is given to a stream at a time.
const AT_A_TIME: usize = 64 * 1024;

/// A stream of bytes both ways.
#[derive(Debug)]
pub(crate) struct Http2Tunnel {
    sender: SendStream<Bytes>,
    receiver: RecvStream,
    /// Received and not yet read.
    unread: Bytes,
    window: Window,
    has_ended: bool,
    _place: StreamPlace,
}

impl Http2Tunnel {
    pub(super) fn new(sender: SendStream<Bytes>, receiver: RecvStream, place: StreamPlace) -> Self {
        Self {
            sender,
            receiver,
            unread: Bytes::new(),
            window: Window::new(),
            has_ended: false,
            _place: place,
        }
    }
}

impl AsyncRead for Http2Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            if this.has_ended {
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(data) = this.receiver.poll_data(cx) else {
                this.window.run_dry();
                return Poll::Pending;
            };
            match data {
                Some(Ok(data)) => this.unread = data,
                // RFC 8441 section 5: an orderly end is END_STREAM, and a reset is a reset.
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => this.has_ended = true,
            }
        }
        let length = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread.split_to(length));
        let taken = this.window.take(&mut this.receiver, length);
        Poll::Ready(taken.map_err(broken))
    }
}

impl AsyncWrite for Http2Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.sender.reserve_capacity(bytes.len().min(AT_A_TIME));
        let mut room = self.sender.capacity();
        while room == 0 {
            room = match ready!(self.sender.poll_capacity(cx)) {
                Some(room) => room.map_err(broken)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let length = room.min(bytes.len());
        let piece = Bytes::copy_from_slice(&bytes[..length]);
        self.sender.send_data(piece, false).map_err(broken)?;
        Poll::Ready(Ok(length))
    }

    /// The connection's task sends what it is given.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // One that has been reset is over as well.
        let _ = self.sender.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
