//! Operations on a client's socket that leave its description's flags alone.
//!
//! A socket that was passed to a target is one description in two processes, and O_NONBLOCK
//! belongs to the description. So every call here says for itself that it does not wait.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, getpeername, getsockname, sendmsg,
    shutdown, sockopt,
};

/// The most that sendmsg(2) takes: `UIO_MAXIOV`.
const MAX_PARTS: usize = 1024;

/// Appends what has arrived, at most `max` bytes, to `out`; 0 at the end of the stream, or when
/// `max` is 0. Memory is reserved as needed, and not zeroed.
///
/// # Errors
///
/// `WouldBlock` when nothing has arrived; else what recv(2) says.
pub fn recv(fd: BorrowedFd<'_>, out: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    out.reserve(max);
    let length = out.len();
    let spare = &mut out.spare_capacity_mut()[..max];
    let received = retry_on_intr(|| {
        let ((received, _), _) = rustix::net::recv(fd, &mut *spare, RecvFlags::DONTWAIT)?;
        Ok(received.len())
    })?;
    // SAFETY: the kernel wrote `received` bytes right behind the first `length`; both lie within
    // the capacity, since `received <= max`.
    unsafe { out.set_len(length + received) };
    Ok(received)
}

/// Sends the concatenation of `parts`, or as much of it as the socket takes now; of more than 1024
/// parts only the first are tried. Never raises SIGPIPE.
///
/// # Errors
///
/// `WouldBlock` when the socket takes nothing now; `BrokenPipe` or `ConnectionReset` when the
/// client is gone; else what sendmsg(2) says.
pub fn send(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    send_with(fd, parts, SendFlags::empty())
}

/// As [`send`], and says that more follows at once: what does not fill a segment waits for it.
///
/// # Errors
///
/// As [`send`].
pub fn send_before_more(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    send_with(fd, parts, SendFlags::MORE)
}

fn send_with(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>], flags: SendFlags) -> io::Result<usize> {
    let parts = &parts[..parts.len().min(MAX_PARTS)];
    let flags = flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut control = SendAncillaryBuffer::default();
    Ok(retry_on_intr(|| sendmsg(fd, parts, &mut control, flags))?)
}

/// Whether [`send_file`] does not wait: sendfile(2) can be told so by the description's own flag
/// alone, which every server sets, and which is not ours to set.
pub fn can_send_files(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags.contains(rustix::fs::OFlags::NONBLOCK))
}

/// Sends up to `count` bytes of a file from `offset` on, as many as the socket takes now; 0 when
/// the file has none there. Raises SIGPIPE when the client is gone, unless this thread blocks it or
/// the process ignores it, as Rust programs do.
///
/// # Errors
///
/// `WouldBlock` when the socket takes nothing now; else what sendfile(2) says.
pub fn send_file(fd: BorrowedFd<'_>, file: &File, offset: u64, count: usize) -> io::Result<usize> {
    Ok(retry_on_intr(|| {
        let mut offset = offset;
        rustix::fs::sendfile(fd, file, Some(&mut offset), count)
    })?)
}

/// Ends the stream towards the client; what it sends can still be received.
///
/// # Errors
///
/// What shutdown(2) says: `NotConnected` when the client is gone.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(shutdown(fd, Shutdown::Write)?)
}

/// Ends the stream both ways, in every process that holds the socket.
///
/// # Errors
///
/// As [`shutdown_write`].
pub fn shutdown_both(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(shutdown(fd, Shutdown::Both)?)
}

/// The client's address, and the one it connected to.
///
/// # Errors
///
/// When the socket is not connected any more, or its addresses are not IPv4 or IPv6.
pub fn peer_and_local_address(fd: BorrowedFd<'_>) -> io::Result<(SocketAddr, SocketAddr)> {
    // An unnamed peer is a local socket's.
    let peer = getpeername(fd)?.ok_or(Errno::AFNOSUPPORT)?;
    let local = getsockname(fd)?;
    Ok((peer.try_into()?, local.try_into()?))
}

/// Sends small segments at once (`TCP_NODELAY`).
///
/// # Errors
///
/// When it is no TCP socket.
pub fn set_no_delay(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(fd, true)?)
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    /// A client's end and the server's, both blocking as far as their flags go.
    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn wait(socket: &TcpStream) {
        poll(&mut [PollFd::new(socket, PollFlags::IN)], None).unwrap();
    }

    #[test]
    fn receives_behind_what_is_there_and_no_more_than_asked() {
        let (mut client, server) = connected();
        let mut out = Vec::with_capacity(100);
        out.extend_from_slice(b"GET ");
        let error = recv(server.as_fd(), &mut out, 50).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"/ HTTP/1.1").unwrap();
        wait(&server);
        assert_eq!(recv(server.as_fd(), &mut out, 2).unwrap(), 2);
        assert_eq!(out, b"GET / ");
        assert_eq!(recv(server.as_fd(), &mut out, 4000).unwrap(), 8);
        assert_eq!(out, b"GET / HTTP/1.1");
        drop(client);
        wait(&server);
        assert_eq!(recv(server.as_fd(), &mut out, 1).unwrap(), 0);
        assert_eq!(out, b"GET / HTTP/1.1");
    }

    #[test]
    fn sends_parts_as_one_and_stops_when_the_socket_is_full() {
        let (mut client, server) = connected();
        let parts = [
            IoSlice::new(b"head"),
            IoSlice::new(b""),
            IoSlice::new(b"body"),
        ];
        assert_eq!(send(server.as_fd(), &parts).unwrap(), 8);
        let mut read = [0; 8];
        client.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"headbody");
        let many = vec![IoSlice::new(b"x"); MAX_PARTS + 1];
        assert_eq!(send(server.as_fd(), &many).unwrap(), MAX_PARTS);

        let block = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = send(server.as_fd(), &[IoSlice::new(&block)]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_client_that_is_gone_is_an_error_and_no_signal() {
        let (client, server) = connected();
        drop(client);
        wait(&server);
        let error = loop {
            if let Err(error) = send(server.as_fd(), &[IoSlice::new(b"x")]) {
                break error;
            }
        };
        let kinds = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{error}");
    }

    #[test]
    fn shutting_down_one_way_leaves_the_other() {
        let (mut client, server) = connected();
        shutdown_write(server.as_fd()).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        client.write_all(b"more").unwrap();
        wait(&server);
        let mut out = Vec::new();
        assert_eq!(recv(server.as_fd(), &mut out, 9).unwrap(), 4);
        // Seen by every holder of the socket.
        shutdown_both(server.try_clone().unwrap().as_fd()).unwrap();
        assert_eq!(recv(server.as_fd(), &mut out, 9).unwrap(), 0);
    }

    #[test]
    fn knows_both_addresses() {
        let (client, server) = connected();
        let expected = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(peer_and_local_address(server.as_fd()).unwrap(), expected);
        let (local, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        peer_and_local_address(local.as_fd()).unwrap_err();
    }

    #[test]
    fn turns_nagle_off() {
        let (_client, server) = connected();
        assert!(!server.nodelay().unwrap());
        set_no_delay(server.as_fd()).unwrap();
        assert!(server.nodelay().unwrap());
    }
}
