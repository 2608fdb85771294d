//! A thread's connections to destinations, over HTTP/1.1 and HTTP/2: in pools, which each cluster has
//! for itself.
//!
//! Nothing is shared between threads, so nothing is locked; clusters never share connections.

mod cluster_pools;
mod connect;
mod connection_key;
mod connection_limit;
mod destination;
mod forward_body;
pub(crate) mod header_encoding;
mod http1;
mod http2;
mod interim;
mod messages;
mod pool;
mod protocols;
mod relay_connections;
mod request_error;
mod response_body;
mod retries;
mod send_error;
#[cfg(test)]
mod testing;
mod tls;
mod tunnel;
mod upload;
mod web_proxy;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Instant;

use ostler_config::schema::DestinationConfig;
use ostler_model::{ClusterModel, ClusterState, DestinationModel};

use crate::direct_forwarder::is_direct;
use crate::metrics::Ready;

use cluster_pools::ClusterPools;
pub(crate) use connection_limit::ConnectionLimits;
pub(crate) use destination::Destination;
pub(crate) use forward_body::{ForwardBody, SentPart};
pub(crate) use http1::{LongTarget, Reason};
pub(crate) use interim::Interim;
pub(crate) use pool::{ExtendedConnect, NotForwarded, Pool, Sending};
pub(crate) use relay_connections::{Left, NotRelayed, RelayedConnections};
pub(crate) use request_error::RequestError;
pub(crate) use response_body::ResponseBody;
pub(crate) use send_error::SendError;
pub(crate) use tls::system_roots;
pub(crate) use tunnel::Http2Tunnel;

/// The destinations that a thread connects to, and its connections to them.
#[derive(Debug)]
pub(crate) struct Destinations {
    /// By cluster id, in the spelling of its state.
    clusters: RefCell<HashMap<String, Rc<ClusterPools>>>,
    /// By the destination model's address: the model's memory is kept with it, so no other can have it.
    destinations: RefCell<HashMap<usize, Known>>,
    /// A configuration has come since those were last swept.
    is_stale: Cell<bool>,
    revision: Cell<u64>,
    limits: Arc<ConnectionLimits>,
    /// Advanced by [`Destinations::sweep`]: idle connections are counted in tens of seconds.
    now: Rc<Cell<Instant>>,
}

/// A destination, with the models it was made of.
#[derive(Debug)]
struct Known {
    model: Weak<DestinationModel>,
    cluster: Weak<ClusterModel>,
    destination: Rc<Destination>,
    /// The revision of the configuration for which that was looked at last.
    revision: u64,
}

impl Destinations {
    /// Those of a thread, which shares limits with other threads.
    pub(crate) fn new(limits: Arc<ConnectionLimits>) -> Self {
        Self {
            limits,
            clusters: RefCell::default(),
            destinations: RefCell::default(),
            is_stale: Cell::new(false),
            revision: Cell::new(0),
            now: Rc::new(Cell::new(crate::clock::now())),
        }
    }

    /// Where requests for a destination go. Worked out once, and anew when its cluster has changed.
    pub(crate) fn destination(
        &self,
        revision: u64,
        cluster: &ClusterState,
        model: &Arc<DestinationModel>,
    ) -> Result<Rc<Destination>, RequestError> {
        if self.revision.replace(revision) != revision {
            self.is_stale.set(true);
        }
        let address = Arc::as_ptr(model) as usize;
        if let Some(known) = self.destinations.borrow_mut().get_mut(&address) {
            let of_cluster =
                |cluster: &Arc<ClusterModel>| known.cluster.as_ptr() == Arc::as_ptr(cluster);
            if known.revision == revision || of_cluster(&cluster.model()) {
                known.revision = revision;
                return Ok(Rc::clone(&known.destination));
            }
        }
        let pools = self.of_cluster(cluster);
        let known = Known {
            model: Arc::downgrade(model),
            cluster: Arc::downgrade(&cluster.model()),
            destination: Rc::new(pools.destination(&model.config)?),
            revision,
        };
        let destination = Rc::clone(&known.destination);
        self.destinations.borrow_mut().insert(address, known);
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

    /// A cluster's pools, new ones when what they are made of has changed (reference B16.2). Exchanges
    /// under way keep those they have.
    fn of_cluster(&self, cluster: &ClusterState) -> Rc<ClusterPools> {
        let model = cluster.model();
        let mut clusters = self.clusters.borrow_mut();
        if let Some(pools) = clusters.get(cluster.id())
            && pools.is_made_of(&model.config)
        {
            return Rc::clone(pools);
        }
        let limits = Arc::clone(&self.limits);
        let pools = Rc::new(ClusterPools::new(
            &model.config,
            limits,
            Rc::clone(&self.now),
        ));
        clusters.insert(cluster.id().to_owned(), Rc::clone(&pools));
        pools
    }

    /// The connections that are ready for requests.
    pub(crate) fn ready(&self) -> Vec<Ready> {
        let clusters = self.clusters.borrow();
        clusters.values().flat_map(|pools| pools.ready()).collect()
    }

    /// Closes connections that nobody has used for a while, and forgets clusters that are no more.
    pub(crate) fn sweep(&self, now: Instant, exists: impl Fn(&str) -> bool) {
        self.now.set(now);
        if self.is_stale.take() {
            let mut destinations = self.destinations.borrow_mut();
            destinations.retain(|_, known| known.model.strong_count() > 0);
            // A former configuration that is still in use somewhere keeps its models.
            let revision = self.revision.get();
            self.is_stale.set(
                destinations
                    .values()
                    .any(|known| known.revision != revision),
            );
        }
        self.clusters.borrow_mut().retain(|id, pools| {
            let is_in_use = pools.sweep(now);
            // Of a direct forwarder no configuration says whether it is still there.
            exists(id) || (is_in_use && is_direct(id))
        });
    }
}
