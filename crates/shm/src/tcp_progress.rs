//! What the kernel counts of a TCP connection (`TCP_INFO`, tcp(7)): how far its peer has come.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::Shutdown;

/// How far the peer of a connection has come, by the kernel's counters: whoever of the processes
/// that hold the socket reads from it and writes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpProgress {
    /// Bytes that the peer has acknowledged, of all that were sent.
    pub bytes_acked: u64,
    /// Bytes that have come from the peer, read or not.
    pub bytes_received: u64,
    /// Whether bytes given to the socket are not acknowledged yet.
    pub is_unsent: bool,
}

/// Bytes of `struct tcp_info` up to `tcpi_notsent_bytes`, which Linux 4.6 has.
const LEN: usize = 148;

/// Asks the kernel.
///
/// # Errors
///
/// When it is no TCP socket, or the kernel is older than Linux 4.6.
pub fn tcp_progress(fd: BorrowedFd<'_>) -> io::Result<TcpProgress> {
    let mut info = [0u8; LEN];
    let mut len = LEN as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which `info` has, and the length it wrote to
    // `len`; both outlive the call.
    let failed = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    if (len as usize) < LEN {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // Offsets of the kernel's interface, linux/tcp.h, to which fields are only ever appended.
    let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let long = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&info[at..at + 8]);
        u64::from_ne_bytes(bytes)
    };
    let (unacked, notsent) = (word(24), word(144));
    Ok(TcpProgress {
        bytes_acked: long(120),
        bytes_received: long(128),
        is_unsent: unacked > 0 || notsent > 0,
    })
}

/// Bytes that have arrived and that nobody has read (`FIONREAD`).
///
/// # Errors
///
/// What ioctl(2) says.
pub fn unread_bytes(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(fd)?)
}

/// Ends the stream from the client: whoever reads, in whatever process, finds its end.
///
/// # Errors
///
/// `NotConnected` when the client is gone.
pub fn shutdown_read(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, Shutdown::Read)?)
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn until(socket: &TcpStream, holds: impl Fn(TcpProgress) -> bool) -> TcpProgress {
        loop {
            let progress = tcp_progress(socket.as_fd()).unwrap();
            if holds(progress) {
                return progress;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn counts_what_came_and_what_was_taken() {
        let (mut client, mut server) = connected();
        let before = tcp_progress(server.as_fd()).unwrap();
        client.write_all(b"seven b").unwrap();
        until(&server, |now| {
            now.bytes_received == before.bytes_received + 7
        });
        assert_eq!(unread_bytes(server.as_fd()).unwrap(), 7);
        server.read_exact(&mut [0; 7]).unwrap();
        assert_eq!(unread_bytes(server.as_fd()).unwrap(), 0);
        server.write_all(b"eight by").unwrap();
        until(&server, |now| {
            now.bytes_acked == before.bytes_acked + 8 && !now.is_unsent
        });
    }

    #[test]
    fn a_peer_that_reads_nothing_leaves_bytes_unsent() {
        let (mut client, server) = connected();
        let block = vec![0; 1 << 20];
        let mut sent = 0;
        while let Ok(more) = crate::send(server.as_fd(), &[io::IoSlice::new(&block)]) {
            sent += more as u64;
        }
        assert!(until(&server, |now| now.is_unsent).bytes_acked < sent);
        let mut taken = vec![0; sent as usize];
        client.read_exact(&mut taken).unwrap();
        until(&server, |now| !now.is_unsent);
    }

    #[test]
    fn the_end_of_reading_is_seen_by_every_holder() {
        let (_client, server) = connected();
        let mut other = server.try_clone().unwrap();
        shutdown_read(server.as_fd()).unwrap();
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
        other.write_all(b"still").unwrap();
    }

    #[test]
    fn what_is_no_tcp_socket_has_none() {
        let (local, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        tcp_progress(local.as_fd()).unwrap_err();
    }
}
