//! The sockets of listening addresses: bound here, or taken over from whoever listened before. Those of
//! TCP are bound once a thread so that the kernel shares out.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::inherited::SocketOrigin;
use super::unix::SocketFile;

/// Connections that wait to be accepted, at most: what the system allows is usually less.
const BACKLOG: i32 = 4096;

/// Where something is listened on, with the port that was picked.
#[derive(Debug)]
pub(crate) enum ListenAddress {
    Tcp(SocketAddr),
    Unix(SocketFile),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(file) => write!(f, "unix:{}", file.path().display()),
        }
    }
}

/// One listening address and its sockets. Threads accept from copies, so that an address can be handed
/// to another endpoint, or another process, without a moment in which nobody has its sockets.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: ListenAddress,
    pub(super) sockets: Vec<OwnedFd>,
    pub(super) origin: SocketOrigin,
    /// Whether somebody else has the sockets open and accepts, or will, what waits on them when this
    /// endpoint ends.
    pub(super) is_shared: Arc<AtomicBool>,
}

/// A listening socket as one thread has it.
#[derive(Debug)]
pub(crate) struct ThreadSocket {
    pub(crate) socket: OwnedFd,
    is_shared: Arc<AtomicBool>,
}

impl ThreadSocket {
    /// The socket, and what tells whether the connections that wait on it are left to somebody else.
    pub(crate) fn into_parts(self) -> (OwnedFd, Arc<AtomicBool>) {
        (self.socket, self.is_shared)
    }
}

impl Bound {
    pub(super) fn new(address: ListenAddress, sockets: Vec<OwnedFd>, origin: SocketOrigin) -> Self {
        let is_shared = Arc::new(AtomicBool::new(origin.is_kept));
        Self {
            address,
            sockets,
            origin,
            is_shared,
        }
    }

    /// A copy of each socket, shared out to so many threads: each has one at least, and no socket is
    /// without a thread.
    pub(crate) fn share_out(&self, threads: usize) -> io::Result<Vec<Vec<ThreadSocket>>> {
        let mut shares: Vec<_> = (0..threads).map(|_| Vec::new()).collect();
        for number in 0..threads.max(self.sockets.len()) {
            let socket = self.sockets[number % self.sockets.len()].try_clone()?;
            let is_shared = Arc::clone(&self.is_shared);
            shares[number % threads].push(ThreadSocket { socket, is_shared });
        }
        Ok(shares)
    }

    /// Copies of the sockets, for another process.
    pub(crate) fn copies(&self) -> io::Result<Vec<OwnedFd>> {
        self.sockets.iter().map(OwnedFd::try_clone).collect()
    }

    /// Where the sockets are from.
    pub(crate) fn origin(&self) -> &SocketOrigin {
        &self.origin
    }

    /// Somebody else accepts from the sockets from now on, and looks after a socket's file.
    pub(crate) fn hand_over(&self) {
        self.is_shared.store(true, Ordering::Release);
        self.set_own_file(false);
    }

    /// The process that had the sockets before has let go of them.
    pub(crate) fn take_over(&self) {
        self.set_own_file(!self.origin.is_kept);
    }

    fn set_own_file(&self, is_own: bool) {
        if let ListenAddress::Unix(file) = &self.address {
            file.set_own(is_own);
        }
    }

    /// Listens on an address of TCP. `is_overlapped` is whether a process of this user that is about to
    /// end listens on its port, too.
    pub(super) fn tcp(
        address: SocketAddr,
        threads: usize,
        is_overlapped: bool,
        url: &str,
    ) -> io::Result<Self> {
        if address.port() != 0 && !is_overlapped {
            // Sharing a port with another program of this user would split its clients among the two:
            // found out by binding once without sharing.
            net::bind(&socket(address)?, &address)?;
        }
        let mut bound = Self::new(
            ListenAddress::Tcp(address),
            Vec::new(),
            SocketOrigin::url(url),
        );
        bound.add_sockets(address, threads)?;
        Ok(bound)
    }

    /// Has a socket a thread, where there are fewer and more can be made beside them.
    pub(super) fn top_up(&mut self, threads: usize) -> io::Result<()> {
        let ListenAddress::Tcp(address) = self.address else {
            return Ok(());
        };
        // Where the service manager keeps sockets, what waits on others would be lost with this process.
        if self.origin.is_kept || !sockopt::socket_reuseport(&self.sockets[0])? {
            return Ok(());
        }
        self.add_sockets(address, threads)
    }

    fn add_sockets(&mut self, mut address: SocketAddr, threads: usize) -> io::Result<()> {
        while self.sockets.len() < threads {
            let socket = socket(address)?;
            sockopt::set_socket_reuseport(&socket, true)?;
            net::bind(&socket, &address)?;
            net::listen(&socket, BACKLOG)?;
            // The first picks the port where none was asked for.
            address = SocketAddr::try_from(net::getsockname(&socket)?)?;
            self.sockets.push(socket);
        }
        self.address = ListenAddress::Tcp(address);
        Ok(())
    }

    /// One socket, which all threads accept from: the kernel shares out no path.
    pub(super) fn unix(path: &Path, url: &str) -> io::Result<Self> {
        let (file, socket) = SocketFile::bind(path, BACKLOG)?;
        let address = ListenAddress::Unix(file);
        Ok(Self::new(address, vec![socket], SocketOrigin::url(url)))
    }
}

fn socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}
