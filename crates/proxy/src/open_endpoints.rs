//! What the front listens on, endpoint by endpoint: begun, changed, handed to another process, ended.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::endpoint::{Bound, Claim, Endpoint, InheritedSockets, ListenAddress, SocketOrigin};
use crate::listeners::{Change, EndpointId};

/// The endpoints that are listened on. Sockets are kept here, and threads accept from copies.
#[derive(Debug)]
pub(crate) struct OpenEndpoints {
    /// To each thread with connections.
    threads: Vec<mpsc::UnboundedSender<Change>>,
    endpoints: Vec<OpenEndpoint>,
    next: EndpointId,
}

#[derive(Debug)]
struct OpenEndpoint {
    id: EndpointId,
    endpoint: Endpoint,
    bound: Vec<Bound>,
}

impl OpenEndpoint {
    fn urls(&self) -> impl Iterator<Item = String> {
        let scheme = match self.endpoint.tls {
            Some(_) => "https",
            None => "http",
        };
        let bound = self.bound.iter();
        bound.map(move |bound| format!("{scheme}://{}", bound.address))
    }
}

impl OpenEndpoints {
    pub(crate) fn new(threads: Vec<mpsc::UnboundedSender<Change>>) -> Self {
        Self {
            threads,
            endpoints: Vec::new(),
            next: 0,
        }
    }

    /// Begins endpoints, on what is inherited as far as it is theirs. The errors are of those that cannot
    /// be listened on; the others are.
    pub(crate) fn begin(
        &mut self,
        endpoints: &[Endpoint],
        mut inherited: InheritedSockets,
    ) -> Vec<io::Error> {
        let claims = claims(endpoints.iter(), &mut inherited);
        inherited.warn_of_kept();
        self.complete(claims, &inherited)
    }

    /// Listens on these endpoints and no others. The errors are as [`begin`](Self::begin)'s.
    pub(crate) fn set(&mut self, endpoints: &[Endpoint]) -> Vec<io::Error> {
        let stays = |one: &OpenEndpoint| {
            let mut wanted = endpoints.iter();
            wanted.any(|wanted| wanted.is_same(&one.endpoint))
        };
        let mut ending: Vec<_> = self.endpoints.extract_if(.., |one| !stays(one)).collect();
        let is_new = |wanted: &&Endpoint| {
            let mut there = self.endpoints.iter();
            !there.any(|there| there.endpoint.is_same(wanted))
        };
        let mut errors = Vec::new();
        let mut inherited = InheritedSockets::default();
        let urls: Vec<Vec<_>> = ending.iter().map(|one| one.urls().collect()).collect();
        for bound in ending.iter_mut().flat_map(|one| one.bound.drain(..)) {
            errors.extend(inherited.add_bound(bound).err());
        }
        let claims = claims(endpoints.iter().filter(is_new), &mut inherited);
        // The threads' copies of what nobody has claimed are to be the last.
        drop(inherited);
        for (one, urls) in ending.iter().zip(urls) {
            self.end(one.id);
            for url in urls {
                tracing::info!(url, "no longer listened on");
            }
        }
        errors.extend(self.complete(claims, &InheritedSockets::default()));
        errors
    }

    fn complete(
        &mut self,
        claims: Vec<(Endpoint, Claim)>,
        left: &InheritedSockets,
    ) -> Vec<io::Error> {
        let completed = claims.into_iter().filter_map(|(endpoint, claim)| {
            let bound = claim.complete(self.threads.len(), left);
            bound.and_then(|bound| self.listen(endpoint, bound)).err()
        });
        completed.collect()
    }

    fn listen(&mut self, endpoint: Endpoint, bound: Vec<Bound>) -> io::Result<()> {
        let id = self.next;
        self.next += 1;
        let shares = bound
            .iter()
            .map(|bound| bound.share_out(self.threads.len()));
        let mut shares = shares.collect::<io::Result<Vec<_>>>()?;
        // From the last to the first, as they are taken out of the shares.
        for thread in self.threads.iter().rev() {
            let own = shares.iter_mut().filter_map(Vec::pop).flatten().collect();
            // A thread that has ended takes no connections.
            let _ = thread.send(Change::Begin(id, endpoint.clone(), own));
        }
        self.endpoints.push(OpenEndpoint {
            id,
            endpoint,
            bound,
        });
        Ok(())
    }

    fn end(&self, id: EndpointId) {
        // A thread that does not answer is busy beyond reason; its sockets close when it is not.
        const PATIENCE: Duration = Duration::from_secs(1);
        let (sender, ended) = std::sync::mpsc::channel();
        for thread in &self.threads {
            let _ = thread.send(Change::End(id, sender.clone()));
        }
        for _ in &self.threads {
            let _ = ended.recv_timeout(PATIENCE);
        }
    }

    /// Lets go of all sockets but for the threads' copies.
    pub(crate) fn close(&mut self) {
        self.endpoints.clear();
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        let endpoints = self.endpoints.iter();
        endpoints.flat_map(OpenEndpoint::urls).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.bound().map(|one| one.address.to_string()).collect()
    }

    pub(crate) fn tcp_addresses(&self) -> Vec<SocketAddr> {
        let tcp = self.bound().filter_map(|bound| match bound.address {
            ListenAddress::Tcp(address) => Some(address),
            ListenAddress::Unix(_) => None,
        });
        tcp.collect()
    }

    /// Copies of all sockets.
    pub(crate) fn sockets(&self) -> io::Result<Vec<(OwnedFd, SocketOrigin)>> {
        let mut copies = Vec::new();
        for bound in self.bound() {
            let sockets = bound.copies()?.into_iter();
            copies.extend(sockets.map(|socket| (socket, bound.origin().clone())));
        }
        Ok(copies)
    }

    /// Somebody else listens at these addresses from now on.
    pub(crate) fn hand_over(&self, addresses: &[String]) {
        let handed = self
            .bound()
            .filter(|bound| addresses.contains(&bound.address.to_string()));
        handed.for_each(Bound::hand_over);
    }

    /// Whoever listened at these addresses before listens no more.
    pub(crate) fn take_over(&self) {
        self.bound().for_each(Bound::take_over);
    }

    fn bound(&self) -> impl Iterator<Item = &Bound> {
        self.endpoints.iter().flat_map(|one| one.bound.iter())
    }
}

/// What of each endpoint is listened on already.
fn claims<'e>(
    endpoints: impl Iterator<Item = &'e Endpoint>,
    inherited: &mut InheritedSockets,
) -> Vec<(Endpoint, Claim)> {
    let claims = endpoints.map(|endpoint| (endpoint.clone(), inherited.claim(endpoint)));
    claims.collect()
}
