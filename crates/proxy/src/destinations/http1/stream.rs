//! What a connection is made of, and what its kernel knows of it before the runtime does.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::upgraded::Upgraded;

/// A connection, whatever it is made of.
pub(in crate::destinations) trait Stream:
    AsyncRead + AsyncWrite + Unpin + Send
{
    /// What there is to be read by now. The runtime tells of it a turn later, and on a busy thread
    /// a turn is long.
    fn look(&self) -> Unread;
}

/// What a connection would give to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::destinations) enum Unread {
    Nothing,
    Bytes,
    /// The other end has closed it, or it is broken.
    End,
}

impl Unread {
    fn of(socket: impl AsFd) -> Self {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(socket, &mut [0; 1], flags) {
            Ok((_, 0)) => Self::End,
            Ok(_) => Self::Bytes,
            Err(Errno::WOULDBLOCK | Errno::INTR) => Self::Nothing,
            Err(_) => Self::End,
        }
    }
}

impl Stream for TcpStream {
    fn look(&self) -> Unread {
        Unread::of(self)
    }
}

impl Stream for UnixStream {
    fn look(&self) -> Unread {
        Unread::of(self)
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn look(&self) -> Unread {
        match self.get_ref().0.look() {
            // They may be the session's own: tickets, say.
            Unread::Bytes => Unread::Nothing,
            other => other,
        }
    }
}

impl Stream for Box<dyn Stream> {
    fn look(&self) -> Unread {
        (**self).look()
    }
}

impl Stream for Upgraded {
    fn look(&self) -> Unread {
        self.stream.look()
    }
}

#[cfg(test)]
impl Stream for tokio::io::DuplexStream {
    fn look(&self) -> Unread {
        Unread::Nothing
    }
}
