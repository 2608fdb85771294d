//! When a target is let read the next requests of a connection by itself, and which of them.
//!
//! A lease is granted where it is certain what would become of the next requests that it names: they match the
//! same route, nothing on their way has to see or change them, and they would be given to the same instance. It
//! is granted to connections that ask often; of others the front hears in time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ostler_delegation::lease::{Lease, MOST_EXCLUDED, Paths, Predicate};
use ostler_http1::RequestHead;
use ostler_model::{PathSet, RouteModel};

use crate::account::Account;
use crate::connection::Connection;
use crate::context::ExchangeContext;
use crate::queues::{self, Channel, LeaseSeen, Queue};
use crate::worker::Worker;

/// What an exchange is about to be handed over with.
pub(super) struct Asked<'a, 'c> {
    /// What the target sees.
    pub(super) head: &'a RequestHead,
    pub(super) context: &'a ExchangeContext<'c>,
    pub(super) account: &'a Account,
    pub(super) queue: &'a Queue,
    pub(super) channel: &'a Rc<Channel>,
    /// Whether its route leaves responses as they are.
    pub(super) is_unchanged: bool,
}

/// A lease, and what the front keeps of it.
pub(super) type Granted = (Lease, Box<queues::Lease>);

impl Asked<'_, '_> {
    /// The lease that goes along, if one does.
    pub(super) fn lease(&self, connection: &mut Connection) -> Option<Granted> {
        let Self {
            context, channel, ..
        } = self;
        let asks_often = connection.history.asks(channel, context.route());
        if !asks_often || !channel.speaks_leases() || !self.is_alone() || !is_silent(connection) {
            return None;
        }
        let granted = self.grant(connection);
        if granted.is_none() {
            // What stands in its way will do so for a while.
            connection.history.lease_is_over(0);
        }
        granted
    }

    fn grant(&self, connection: &Connection) -> Option<Granted> {
        let Self {
            context, channel, ..
        } = self;
        let worker = Rc::clone(&connection.worker);
        // Before anything is looked at that it is granted by: who changes that ends what was granted
        // before.
        let epoch = channel.lease_epoch();
        let destinations = context.cluster().destinations();
        let chosen = context.chosen()?;
        let is_determined =
            destinations.all.len() == 1 && Arc::ptr_eq(&destinations.all[0], chosen);
        if !is_determined || !is_passed_through(&worker, context) {
            return None;
        }
        // Last: it may have to look at all routes.
        let exclusive = worker.exclusive_paths(context.route(), self.head, MOST_EXCLUDED)?;
        let predicate = Predicate {
            host: self.head.authority().to_owned(),
            get: exclusive.any_method || self.head.method() == "GET",
            head: exclusive.any_method || self.head.method() == "HEAD",
            paths: match exclusive.paths {
                PathSet::Exactly(path) => Paths::Exactly(path),
                PathSet::Below { prefix, excluded } => Paths::Below { prefix, excluded },
            },
        };
        if !predicate.holds(self.head) {
            return None;
        }
        let log = worker.access_log();
        let log = log.map(|log| (Arc::clone(log), *connection.client.facts()));
        let accounts = self.account.for_lease(log, worker.metrics().cloned())?;
        let lease = Lease {
            epoch,
            tells_heads: accounts.need_heads(),
            limits: worker.limits().http1,
            predicate,
        };
        let kept = queues::Lease {
            accounts,
            epoch,
            cluster: Arc::clone(context.cluster()),
            destinations,
            socket: connection.client.socket(),
            told: 0,
            has_ended: false,
            seen: LeaseSeen::default(),
        };
        Some((lease, Box::new(kept)))
    }

    /// Whether no other instance could take the next requests, and this one may have them untouched.
    fn is_alone(&self) -> bool {
        let is_the_client_s = std::ptr::eq(self.head, self.context.head());
        is_the_client_s && self.is_unchanged && self.queue.has_one_instance()
    }
}

/// Whether the client waits for its answer and has sent nothing more, over a connection that is in use, and
/// read and written as it is.
fn is_silent(connection: &Connection) -> bool {
    /// How long a client may have been silent that is taken to ask often.
    const OFTEN: Duration = Duration::from_secs(1);
    let now = connection.worker.now();
    let is_recent = |last| now.saturating_duration_since(last) < OFTEN;
    connection.last_used.is_some_and(is_recent)
        && connection.input.is_empty()
        && !connection.read_closed
        && !connection.watch.is_ending()
        && !connection.worker.is_draining()
        && connection.client.tls().is_none()
}

/// Whether nothing on the way of a request has to see or change it.
fn is_passed_through(worker: &Worker, context: &ExchangeContext<'_>) -> bool {
    let route = context.route();
    let cluster = context.cluster();
    let is_of_route = |route: &RouteModel| {
        let cluster_of_route = route.cluster.as_ref();
        cluster_of_route.is_some_and(|of_route| Arc::ptr_eq(of_route, cluster))
    };
    let policies = &route.policies;
    let has_policy = policies.cors.is_some()
        || policies.authorization.is_some()
        || policies.rate_limiters.is_some()
        || policies.request_timeout.is_some();
    is_of_route(route)
        && !has_policy
        && context.transforms().is_none()
        && route.transforms.is_none()
        && context.directives().is_empty()
        && context.deadline().is_none()
        && cluster.session_affinity().is_none()
        && cluster.model().config.ostler.grants_leases()
        && worker.static_files().is_none()
        // Who its client is each request says for itself.
        && worker.limits().forwarded_headers.is_none()
        && worker.limits().https_redirection.is_none()
        && worker.limits().hsts.is_none()
        // Each request is a span of its own, and says so.
        && worker.traces().is_none()
        && worker.pipeline().can_be_left_out()
}
