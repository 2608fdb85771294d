//! The configuration in force, and how another one takes its place.

mod clusters;
mod retired;
mod routes;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ostler_config::schema::ProxyConfig;

use crate::cluster::{ClusterModel, ClusterState};
use crate::error::ApplyError;
use crate::policies::{BearerScheme, Policies};
use crate::registry::PolicyRegistry;
use crate::snapshot::Snapshot;

use clusters::ClusterChanges;
use retired::Retired;
use routes::RouteChanges;

/// What the proxy knows; keeps the states of clusters and destinations across reloads.
#[derive(Debug, Default)]
pub struct ProxyModel {
    registry: PolicyRegistry,
    current: ArcSwap<Snapshot>,
    revision: AtomicU64,
    /// Held while a configuration is applied: one after the other.
    applying: Mutex<Applied>,
    retired: Retired,
    listeners: Listeners,
}

/// What the next configuration is compared with.
#[derive(Debug, Default)]
struct Applied {
    /// The configuration in force.
    config: ProxyConfig,
    /// The policies that routes name, kept across reloads where they have not changed.
    policies: Policies,
}

/// Those who are told of changes.
#[derive(Default)]
struct Listeners(Mutex<Vec<Listener>>);

/// Told of a change; false when it is not to be told any more.
type Listener = Box<dyn Fn() -> bool + Send + Sync>;

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listeners")
    }
}

impl ProxyModel {
    /// A model with the empty configuration in force: every request finds no route.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with policies of one's own for the configuration to name.
    pub fn with_policies(registry: PolicyRegistry) -> Self {
        Self {
            registry,
            ..Self::default()
        }
    }

    /// The policies that clusters may name.
    pub fn registry(&self) -> &PolicyRegistry {
        &self.registry
    }

    /// How bearers of tokens are known, for whoever fetches the keys.
    pub fn bearer_scheme(&self) -> Option<Arc<BearerScheme>> {
        let applied = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        applied.policies.bearer_scheme()
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The revision of the configuration in force, for those who keep a snapshot and want to know
    /// cheaply whether there is a newer one.
    pub fn revision(&self) -> u64 {
        // Pairs with the store in `apply`: who sees the number finds the snapshot, or a newer one.
        self.revision.load(Ordering::Acquire)
    }

    /// Puts a configuration in force (reference A2.4).
    ///
    /// What has the same id as before and compares equal stays; the state of a cluster or
    /// destination stays as long as its id does, whatever else changes: health, counters and the
    /// place in the round. What has left starts from scratch should it come back. Requests in
    /// progress keep the snapshot they have. When nothing has changed, neither does the revision.
    ///
    /// Routes and clusters that are the very same as before ([`List`](ostler_config::schema::List)) are
    /// not looked at: that costs what has changed.
    ///
    /// # Errors
    ///
    /// All mistakes at once: ids that are there twice, policies that do not exist, routes that
    /// cannot be compiled. Then nothing has changed.
    pub fn apply(&self, config: &ProxyConfig) -> Result<Arc<Snapshot>, ApplyError> {
        let mut applied = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot();

        // Everything that can fail comes first and touches no state that is in use.
        let mut mistakes = Vec::new();
        let before = &applied.config;
        let clusters = ClusterChanges::prepare(
            (&before.clusters, &config.clusters),
            &current,
            &self.registry,
            &mut mistakes,
        );
        let policies = (before.policies != config.policies)
            .then(|| Policies::resolve(&config.policies, &applied.policies));
        // Routes that answer by themselves have a cluster for policies to ask about.
        let nowhere = ClusterModel::new(Arc::default(), &self.registry)
            .map(|model| Arc::new(ClusterState::new(model)))
            .map_err(|mistake| mistakes.push(mistake));
        let routes = RouteChanges {
            nowhere: nowhere.as_ref().ok(),
            lists: (&before.routes, &config.routes),
            table: &current.routes,
            clusters: &clusters,
            policies: policies.as_ref().unwrap_or(&applied.policies),
            policies_stay: policies.is_none(),
            registry: &self.registry,
        };
        let routes = routes.prepare(&mut mistakes);
        if !mistakes.is_empty() {
            return Err(ApplyError { mistakes });
        }

        // From here on nothing can fail.
        applied.config = config.clone();
        if let Some(policies) = policies {
            applied.policies = policies;
        }
        if routes.is_none() && clusters.are_none() {
            return Ok(current);
        }
        let revision = current.revision + 1;
        let (clusters, queues) = clusters.commit(&current.queues);
        let snapshot = Arc::new(Snapshot {
            routes: routes.unwrap_or_else(|| current.routes.clone()),
            clusters,
            queues,
            revision,
        });
        self.current.store(Arc::clone(&snapshot));
        self.revision.store(revision, Ordering::Release);
        drop(applied);
        self.retired.add(current);
        let listeners = self.listeners.0.lock();
        listeners
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|tell| tell());
        Ok(snapshot)
    }

    /// Lets go of former configurations that no request needs any more; false while requests need some.
    ///
    /// Whoever reloads calls this afterwards, now and then, so that the memory of a large configuration
    /// is given back by that one and by no thread that serves requests.
    pub fn release_retired(&self) -> bool {
        self.retired.release()
    }

    /// Has `tell` called after each change of the configuration, until it returns false. It is to
    /// do no more than pass the news on: it is called by whoever applies a configuration.
    pub fn on_change(&self, tell: impl Fn() -> bool + Send + Sync + 'static) {
        let listeners = self.listeners.0.lock();
        listeners
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(tell));
    }
}

#[cfg(test)]
mod tests;
