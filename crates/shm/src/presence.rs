//! Whether anybody is at the other end of a TCP connection, as its socket shows.
//!
//! A client that closes its connection and one that only ends its own direction send the same: FIN.
//! What the first is told then is answered with a reset, which is *told* once, to whichever of the
//! processes that hold the socket asks first. The socket's state stays: the connection hangs up. Of a
//! client on the same host the kernel knows more: whether its end of the connection is anybody's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
    sockopt,
};

use crate::client::peer_and_local_address;

/// Whether nobody is at the other end any more of a connection whose peer has ended its direction.
pub fn has_left(socket: BorrowedFd<'_>) -> bool {
    is_broken(socket) || is_closed_on_this_host(socket).unwrap_or(false)
}

/// Whether the connection is over both ways: it was reset, or the peer does not answer any more.
pub fn is_broken(socket: BorrowedFd<'_>) -> bool {
    let now = Timespec::default();
    // Nothing is asked for: that a connection hangs up, or fails, is told in any case (poll(2)).
    let mut asked = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    let polled = retry_on_intr(|| poll(&mut asked, Some(&now)));
    let broken = PollFlags::HUP | PollFlags::ERR;
    polled.is_ok() && asked[0].revents().intersects(broken)
}

/// Whether the peer's end of the connection is on this host, in this network namespace, and no process
/// has it any more (sock_diag(7)).
fn is_closed_on_this_host(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let (peer, local) = peer_and_local_address(socket)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        flags,
        Some(netlink::SOCK_DIAG),
    )?;
    retry_on_intr(|| send(&kernel, &question(peer, local), SendFlags::empty()))?;
    let mut answer = [0u8; 256];
    // The kernel answers before it returns from the question.
    let (received, _) = retry_on_intr(|| recv(&kernel, &mut answer, RecvFlags::DONTWAIT))?;
    Ok(inode(&answer[..received.min(answer.len())]) == Some(0))
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: the one TCP socket with these two addresses, the
/// first of which is its own.
fn question(own: SocketAddr, other: SocketAddr) -> Vec<u8> {
    const LENGTH: u32 = 16 + 56;
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const IPPROTO_TCP: u8 = 6;
    let family = match own {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let mut bytes = Vec::with_capacity(LENGTH as usize);
    bytes.extend_from_slice(&LENGTH.to_ne_bytes());
    bytes.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let [family, _] = family.as_raw().to_ne_bytes();
    bytes.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
    bytes.extend_from_slice(&own.port().to_be_bytes());
    bytes.extend_from_slice(&other.port().to_be_bytes());
    for address in [own.ip(), other.ip()] {
        let mut octets = [0; 16];
        match address {
            IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => octets = address.octets(),
        }
        bytes.extend_from_slice(&octets);
    }
    // Any interface, and no cookie.
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&[0xFF; 8]);
    bytes
}

/// The inode of the socket that an answer is about (`struct inet_diag_msg`), 0 where no process has it;
/// `None` if the answer is about none.
fn inode(answer: &[u8]) -> Option<u32> {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    let kind = answer.get(4..6)?;
    if u16::from_ne_bytes([kind[0], kind[1]]) != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let inode = answer.get(16 + 68..16 + 72)?;
    Some(u32::from_ne_bytes([inode[0], inode[1], inode[2], inode[3]]))
}

/// Has the kernel ask the peer whether it is there, every ten seconds. One that has closed its
/// connection says no once it has forgotten it (after 60 s, Linux' `tcp_fin_timeout`), one that is out
/// of reach says nothing for a minute: [`is_broken`] then.
///
/// # Errors
///
/// When it is no TCP socket.
pub fn ask_for_presence(socket: BorrowedFd<'_>) -> io::Result<()> {
    const INTERVAL: Duration = Duration::from_secs(10);
    const UNANSWERED: u32 = 6;
    sockopt::set_tcp_keepidle(socket, INTERVAL)?;
    sockopt::set_tcp_keepintvl(socket, INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, UNANSWERED)?;
    Ok(sockopt::set_socket_keepalive(socket, true)?)
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd as _;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn of_this_host_s_clients_the_kernel_knows_whether_they_have_closed() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                eprintln!("there is no {address} here");
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let mut server = listener.accept().unwrap().0;
            if let Err(error) = is_closed_on_this_host(server.as_fd()) {
                eprintln!("the kernel tells nothing of sockets here: {error}");
                return;
            }
            assert!(!has_left(server.as_fd()));
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
            assert!(!has_left(server.as_fd()), "it waits for its answer");
            drop(client);
            assert!(has_left(server.as_fd()));
        }
    }

    #[test]
    fn who_ends_its_own_direction_is_there_and_who_resets_is_not() {
        let (mut client, mut server) = pair();
        assert!(!is_broken(server.as_fd()));
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
        ask_for_presence(server.as_fd()).unwrap();
        assert!(!is_broken(server.as_fd()));
        server.write_all(b"still answered").unwrap();
        let mut answer = [0; 14];
        client.read_exact(&mut answer).unwrap();
        // Closing with something unread is a reset.
        server.write_all(b"more").unwrap();
        client.peek(&mut [0; 1]).unwrap();
        drop(client);
        while !is_broken(server.as_fd()) {
            std::thread::yield_now();
        }
        // The error is told once; the state stays.
        assert!(server.take_error().unwrap().is_some());
        assert!(server.take_error().unwrap().is_none());
        assert!(is_broken(server.as_fd()));
    }
}
