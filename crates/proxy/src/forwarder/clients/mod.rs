//! The forwarding clients of one thread: one a cluster, with pools of connections to destinations.
//!
//! Nothing is shared between threads, so nothing is locked; clusters never share connections.

mod cluster_client;
mod connect;
mod connection_limit;
mod endpoint;
mod http1;
mod http2;
mod interim;
mod messages;
mod pool;
mod relayed;
mod response_body;
#[cfg(test)]
mod testing;
mod tls;
mod tunnel;
mod upload;
mod web_proxy;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ostler_config::schema::DestinationConfig;
use ostler_model::{ClusterState, DestinationModel};

use super::request::RequestError;
use crate::direct_forwarder::is_direct;

use cluster_client::ClusterClient;
pub(crate) use connection_limit::ConnectionLimits;
pub(crate) use endpoint::Destination;
use http1::Http1Error;
pub(crate) use http1::{LongTarget, Reason, Upgraded};
pub(crate) use interim::Interim;
pub(crate) use pool::{ExtendedConnect, NotForwarded, Pool, Sending};
pub(crate) use relayed::{Left, NotRelayed, RelayedConnections};
pub(crate) use response_body::ResponseBody;
pub(crate) use tls::{TlsError, system_roots};
pub(crate) use tunnel::Http2Tunnel;

/// The clients of one thread.
#[derive(Debug)]
pub(crate) struct Clients {
    /// By cluster id, in the spelling of its state.
    clusters: RefCell<HashMap<String, Rc<ClusterClient>>>,
    /// By the destination model's address: the model is kept with it, so no other can have it.
    destinations: RefCell<HashMap<usize, Known>>,
    revision: Cell<u64>,
    limits: Arc<ConnectionLimits>,
    /// Advanced by [`Clients::sweep`]: idle connections are counted in tens of seconds.
    now: Rc<Cell<Instant>>,
}

/// A destination, with the model it was made of.
type Known = (Arc<DestinationModel>, Rc<Destination>);

impl Clients {
    /// The clients of a thread, which share limits with those of other threads.
    pub(crate) fn new(limits: Arc<ConnectionLimits>) -> Self {
        Self {
            limits,
            clusters: RefCell::default(),
            destinations: RefCell::default(),
            revision: Cell::new(0),
            now: Rc::new(Cell::new(crate::clock::now())),
        }
    }

    /// Where requests for a destination go. Worked out once a configuration.
    pub(crate) fn destination(
        &self,
        revision: u64,
        cluster: &ClusterState,
        model: &Arc<DestinationModel>,
    ) -> Result<Rc<Destination>, RequestError> {
        if self.revision.replace(revision) != revision {
            self.destinations.borrow_mut().clear();
        }
        let address = Arc::as_ptr(model) as usize;
        if let Some((_, destination)) = self.destinations.borrow().get(&address) {
            return Ok(Rc::clone(destination));
        }
        let client = self.of_cluster(cluster);
        let destination = Rc::new(client.destination(&model.config)?);
        self.destinations
            .borrow_mut()
            .insert(address, (Arc::clone(model), Rc::clone(&destination)));
        Ok(destination)
    }

    /// Where requests for any base go by a cluster's settings: for probes, which are seldom.
    pub(crate) fn endpoint(
        &self,
        cluster: &ClusterState,
        base: &DestinationConfig,
    ) -> Result<Destination, RequestError> {
        self.of_cluster(cluster).destination(base)
    }

    /// A cluster's client, a new one when what it is made of has changed (reference B16.2). Exchanges
    /// under way keep the one they have.
    fn of_cluster(&self, cluster: &ClusterState) -> Rc<ClusterClient> {
        let model = cluster.model();
        let mut clusters = self.clusters.borrow_mut();
        if let Some(client) = clusters.get(cluster.id())
            && client.is_made_of(&model.config)
        {
            return Rc::clone(client);
        }
        let limits = Arc::clone(&self.limits);
        let client = Rc::new(ClusterClient::new(
            &model.config,
            limits,
            Rc::clone(&self.now),
        ));
        clusters.insert(cluster.id().to_owned(), Rc::clone(&client));
        client
    }

    /// Closes connections that nobody has used for a while, and forgets clusters that are no more.
    pub(crate) fn sweep(&self, now: Instant, exists: impl Fn(&str) -> bool) {
        self.now.set(now);
        self.clusters.borrow_mut().retain(|id, client| {
            let is_in_use = client.sweep(now);
            // Of a direct forwarder no configuration says whether it is still there.
            exists(id) || (is_in_use && is_direct(id))
        });
    }
}

/// A destination could not be asked.
#[derive(Debug)]
pub(crate) struct SendError {
    pub(crate) source: Box<dyn Error + Send + Sync>,
    pub(crate) timed_out: bool,
}

impl SendError {
    pub(crate) fn of(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        let mut cause: Option<&(dyn Error + 'static)> = Some(source.as_ref());
        let mut timed_out = false;
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            timed_out |= io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
            cause = error.source();
        }
        Self { source, timed_out }
    }

    /// Whether the connection was reset, and not closed.
    pub(crate) fn is_reset(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        let mut cause: Option<&(dyn Error + 'static)> = Some(self.source.as_ref());
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            if io.is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionReset)) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether it may have come of sending the body: there was a connection, and what failed is not
    /// the response's head.
    pub(crate) fn is_of_body(&self) -> bool {
        let http1 = self.source.downcast_ref::<Http1Error>();
        http1.is_some_and(Http1Error::is_of_body)
    }
}
