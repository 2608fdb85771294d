//! Accepting connections, and what goes before HTTP on one: a PROXY header, the limit on the client's
//! address, TLS.

mod handshake;
mod plain_http;
pub(crate) mod proxy_protocol;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use ostler_delegation::control::ConnectionFacts;
use ostler_readiness::readable;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::connection_counts::Counted;
use crate::endpoint::Endpoint;
use crate::error_chain::Chain;
use crate::serve::{Accepted, Begun};
use crate::tls::ClientFacts;
use crate::worker::Worker;

use handshake::Ready;
use proxy_protocol::Ends;

/// A listening socket, of TCP or in the file system.
#[derive(Debug)]
pub(crate) struct Listener(AsyncFd<OwnedFd>);

/// A connection that was accepted a moment ago.
#[derive(Debug)]
pub(crate) struct Incoming {
    socket: OwnedFd,
    /// Who has connected; nobody has an address who came through a file.
    pub(crate) peer: Option<SocketAddr>,
    accepted_ns: u64,
}

impl Listener {
    /// Waits for connections on a socket that does not block.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        readable(socket).map(Self)
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Incoming> {
        self.0.async_io(Interest::READABLE, accept).await
    }

    /// The next connection that is there already.
    pub(crate) fn try_accept(&self) -> io::Result<Incoming> {
        accept(self.0.get_ref())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl AsFd for Incoming {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn accept(listener: &OwnedFd) -> io::Result<Incoming> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, peer) = acceptfrom_with(listener, flags)?;
    Ok(Incoming {
        socket,
        peer: peer.and_then(|peer| SocketAddr::try_from(peer).ok().map(canonical)),
        accepted_ns: ostler_shm::monotonic_nanoseconds(),
    })
}

/// An address of IPv4 as such, where it came to a socket for both families (`::ffff:192.0.2.1`).
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => (ip, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

/// Serves a connection of an endpoint until it is over.
pub(crate) fn serve(
    worker: Rc<Worker>,
    endpoint: Rc<Endpoint>,
    incoming: Incoming,
    counted: Counted,
) -> impl Future<Output = ()> {
    // On the heap, since most of a connection's life comes behind its beginning.
    let ready = Box::pin(begin(worker, endpoint, incoming, counted));
    async move {
        let ready = ready.await;
        match ready {
            Some(Ready::Http1(connection)) => connection.serve().await,
            Some(Ready::Http2(connection)) => connection.await,
            None => {}
        }
    }
}

/// Does what goes before HTTP.
async fn begin(
    worker: Rc<Worker>,
    endpoint: Rc<Endpoint>,
    incoming: Incoming,
    mut counted: Counted,
) -> Option<Ready> {
    let connection = facts(&worker, &endpoint, &incoming).await?;
    if let Some(client) = connection.client
        && let Err(refused) = counted.bind_to(client.ip(), &worker.limits())
    {
        worker.refused(refused);
        tracing::debug!(%client, ?refused, "a connection is closed at once");
        return None;
    }
    let socket = incoming.socket;
    if let Some(endpoint) = &endpoint.tls {
        return handshake::shake(worker, socket, Arc::clone(endpoint), connection, counted).await;
    }
    let accepted = Accepted {
        socket,
        facts: ClientFacts::clear(connection),
        session: None,
        protocols: endpoint.protocols,
        counted,
    };
    Begun::new(&worker, accepted).map(Ready::Http1)
}

/// Whose connection it is; `None` where it does not say so and must.
async fn facts(
    worker: &Rc<Worker>,
    endpoint: &Endpoint,
    incoming: &Incoming,
) -> Option<ConnectionFacts> {
    let peer = incoming.peer;
    let local = getsockname(&incoming.socket).ok();
    let mut facts = ConnectionFacts {
        client: peer,
        local: local.and_then(|local| SocketAddr::try_from(local).ok().map(canonical)),
        accepted_ns: incoming.accepted_ns,
    };
    if !endpoint.proxy_protocol.contain(peer.map(|peer| peer.ip())) {
        return Some(facts);
    }
    let limit = worker.limits().head_timeout;
    let said = tokio::time::timeout(limit, proxy_protocol::read(&incoming.socket)).await;
    match said.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
        Ok(Some(Ends { client, local })) => {
            facts.client = Some(client);
            facts.local = Some(local);
        }
        // It speaks for itself: a health check of its own, say.
        Ok(None) => {}
        // It checks whether a connection can be made, and nothing else.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
        Err(error) => {
            let url = endpoint.url.as_str();
            tracing::info!(?peer, url, error = %Chain(&error), "a trusted peer's connection is closed");
            return None;
        }
    }
    Some(facts)
}
