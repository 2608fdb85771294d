//! The control socket: packets with descriptors over `AF_UNIX`, non-blocking.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, listen, recvmsg, sendmsg, socket_with, socketpair,
};

use crate::error::ReceiveError;
use crate::peer_credentials::PeerCredentials;

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Most descriptors with one message.
pub const MAX_DESCRIPTORS: usize = 8;

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// A bound control socket that accepts connections.
///
/// Dropping it closes the socket and leaves its file, which then refuses connections.
#[derive(Debug)]
pub struct ControlListener {
    socket: OwnedFd,
    path: PathBuf,
}

impl ControlListener {
    /// Creates a socket file and listens on it. Its permissions are the umask's.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when the file exists, also one that a dead process left; `InvalidInput` when
    /// the path is longer than 107 bytes; else what socket(2), bind(2) and listen(2) say.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let address = address(path)?;
        let socket = new_socket()?;
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Accepts one connection.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when none waits; else what accept(2) says.
    pub fn accept(&self) -> io::Result<ControlSocket> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = retry_on_intr(|| accept_with(&self.socket, flags))?;
        Ok(ControlSocket { socket })
    }

    /// The socket's file, as given to [`bind`](Self::bind).
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for ControlListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for ControlListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// One end of a connection over which packets and descriptors go.
#[derive(Debug)]
pub struct ControlSocket {
    socket: OwnedFd,
}

/// What came with a message beside its bytes.
#[derive(Debug)]
#[must_use]
pub struct Received {
    /// Its descriptors, in the order they were sent, close-on-exec; at most [`MAX_DESCRIPTORS`].
    pub descriptors: Vec<OwnedFd>,
    /// Its length in bytes: that of the buffer.
    pub len: usize,
}

impl ControlSocket {
    /// Connects to a [`ControlListener`].
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file, `ConnectionRefused` when nobody listens on it any
    /// more, `WouldBlock` when too many wait to be accepted, `InvalidInput` when the path is longer
    /// than 107 bytes; else what connect(2) says.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let address = address(path)?;
        let socket = new_socket()?;
        retry_on_intr(|| connect(&socket, &address))?;
        Ok(Self { socket })
    }

    /// Two ends connected to each other.
    ///
    /// # Errors
    ///
    /// When descriptors are short.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// Sends one message: all of it with all its descriptors, or nothing. The descriptors stay
    /// open here; the receiver gets duplicates.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the peer has not received enough of what was sent before; `BrokenPipe` or
    /// `ConnectionReset` when it is gone; `InvalidInput` for a message that is empty or longer
    /// than [`MAX_MESSAGE`], or has more than [`MAX_DESCRIPTORS`]; else what sendmsg(2) says.
    pub fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        // An empty packet could not be told from the end of the stream.
        if message.is_empty() || message.len() > MAX_MESSAGE || descriptors.len() > MAX_DESCRIPTORS
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let message = [IoSlice::new(message)];
        let sent = retry_on_intr(|| sendmsg(&self.socket, &message, &mut control, flags))?;
        debug_assert_eq!(sent, message[0].len(), "a packet is sent whole");
        Ok(())
    }

    /// Receives one message into `buffer`, replacing what is there.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]; `buffer` is then empty, and every descriptor that came is closed.
    pub fn receive(&self, buffer: &mut Vec<u8>) -> Result<Received, ReceiveError> {
        buffer.clear();
        // recvmsg(2) through rustix takes initialized bytes only; control messages are rare.
        buffer.resize(MAX_MESSAGE, 0);
        let received = self.receive_into(buffer);
        buffer.truncate(received.as_ref().map_or(0, |received| received.len));
        received
    }

    /// The same, where this process may have no room for the descriptors: true is that some could not be
    /// received. They are lost, the message is not.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), but that [`ReceiveError::DescriptorsTruncated`] is no error unless
    /// more came than may.
    pub fn receive_in_part(&self, buffer: &mut Vec<u8>) -> Result<(Received, bool), ReceiveError> {
        buffer.clear();
        buffer.resize(MAX_MESSAGE, 0);
        let received = self.receive_message(buffer);
        buffer.truncate(received.as_ref().map_or(0, |(received, _)| received.len));
        received
    }

    fn receive_into(&self, buffer: &mut [u8]) -> Result<Received, ReceiveError> {
        match self.receive_message(buffer)? {
            (received, false) => Ok(received),
            (_, true) => Err(ReceiveError::DescriptorsTruncated),
        }
    }

    /// A message, and whether descriptors of it could not be received.
    fn receive_message(&self, buffer: &mut [u8]) -> Result<(Received, bool), ReceiveError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut iov = [IoSliceMut::new(buffer)];
        let message = retry_on_intr(|| recvmsg(&self.socket, &mut iov, &mut control, flags))
            .map_err(|error| match error {
                Errno::AGAIN => ReceiveError::WouldBlock,
                // The peer closed its end without having received everything.
                Errno::CONNRESET => ReceiveError::Closed,
                error => ReceiveError::Io(error.into()),
            })?;
        let mut descriptors = Vec::new();
        for ancillary in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = ancillary {
                descriptors.extend(rights);
            }
        }
        // Whatever is returned as an error from here on drops, and so closes, the descriptors.
        if message.bytes == 0 {
            return Err(ReceiveError::Closed);
        }
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(ReceiveError::MessageTruncated);
        }
        // The kernel's limit is the control buffer's, which has room to spare for its alignment.
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(ReceiveError::DescriptorsTruncated);
        }
        let is_cut = message.flags.contains(ReturnFlags::CTRUNC);
        let len = message.bytes;
        Ok((Received { descriptors, len }, is_cut))
    }

    /// Who was at the other end when the connection was made, as the kernel says.
    ///
    /// # Errors
    ///
    /// When the socket is no `AF_UNIX` socket.
    pub fn peer_credentials(&self) -> io::Result<PeerCredentials> {
        PeerCredentials::of(self.socket.as_fd())
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for ControlSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl From<OwnedFd> for ControlSocket {
    /// Takes a connected `SOCK_SEQPACKET` socket; anything else fails with the first operation.
    fn from(socket: OwnedFd) -> Self {
        Self { socket }
    }
}

impl From<ControlSocket> for OwnedFd {
    fn from(control: ControlSocket) -> Self {
        control.socket
    }
}

fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(path).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn new_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
