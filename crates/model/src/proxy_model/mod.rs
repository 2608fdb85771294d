//! The configuration in force, and how another one takes its place.

mod change;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ostler_config::schema::{ClusterConfig, ProxyConfig, RouteConfig};

use crate::cluster::ClusterState;
use crate::equality::same_route;
use crate::error::{ApplyError, ApplyMistake};
use crate::ordinal::fold;
use crate::policies::{BearerScheme, Policies};
use crate::registry::PolicyRegistry;
use crate::route::{RouteAction, RouteModel, RouteTable};
use crate::snapshot::{Clusters, Snapshot};
use crate::transforms::Transforms;

use change::ClusterChange;

/// What the proxy knows; keeps the states of clusters and destinations across reloads.
#[derive(Debug, Default)]
pub struct ProxyModel {
    registry: PolicyRegistry,
    current: ArcSwap<Snapshot>,
    revision: AtomicU64,
    /// The policies that routes name, kept across reloads where they have not changed. Held while a
    /// configuration is applied: one after the other.
    applying: Mutex<Policies>,
    listeners: Listeners,
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
        let policies = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        policies.bearer_scheme()
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
    /// # Errors
    ///
    /// All mistakes at once: ids that are there twice, policies that do not exist, routes that
    /// cannot be compiled. Then nothing has changed.
    pub fn apply(&self, config: &ProxyConfig) -> Result<Arc<Snapshot>, ApplyError> {
        let mut kept = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot();

        // Everything that can fail comes first and touches no state that is in use.
        let mut mistakes = duplicates(config);
        let mut changes = Vec::with_capacity(config.clusters.len());
        for cluster in &config.clusters {
            let state = current.clusters.find(&cluster.cluster_id);
            match ClusterChange::prepare(state, cluster, &self.registry) {
                Ok(change) => changes.push(change),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let states: Vec<_> = changes
            .iter()
            .map(|change| Arc::clone(change.state()))
            .collect();
        let routes_stand = current.clusters.are(&states);
        let clusters = Clusters::from_iter(states);
        let policies = Policies::resolve(&config.policies, &kept);
        let before = current.routes.models();
        let mut wrong = Vec::new();
        let transforms = |route: &RouteConfig| {
            Transforms::build(route, self.registry.transform_providers(), &mut wrong)
        };
        // Routes that answer by themselves have a cluster for policies to ask about.
        let nowhere = ClusterChange::prepare(None, &ClusterConfig::default(), &self.registry)
            .map(|change| Arc::clone(change.state()))
            .map_err(|mistake| mistakes.push(mistake));
        let action = |route: &RouteConfig| RouteAction::build(route, nowhere.as_ref().ok()?);
        let models = route_models(
            &config.routes,
            before,
            &clusters,
            &policies,
            action,
            transforms,
        );
        mistakes.extend(wrong.into_iter().map(ApplyMistake::from));
        let same_routes = models.len() == current.routes.models().len()
            && models
                .iter()
                .zip(current.routes.models())
                .all(|(new, old)| Arc::ptr_eq(new, old));
        let routes = if same_routes {
            Ok(current.routes.clone())
        } else {
            RouteTable::build(&models)
        };
        let routes = match (routes, mistakes.is_empty()) {
            (Ok(routes), true) => routes,
            (Ok(_), false) => return Err(ApplyError { mistakes }),
            (Err(errors), _) => {
                mistakes.extend(errors.into_iter().map(ApplyMistake::from));
                return Err(ApplyError { mistakes });
            }
        };

        // From here on nothing can fail.
        *kept = policies;
        if same_routes && routes_stand && changes.iter().all(ClusterChange::is_none) {
            return Ok(current);
        }
        changes.into_iter().for_each(ClusterChange::commit);
        let revision = current.revision + 1;
        let snapshot = Arc::new(Snapshot {
            routes,
            clusters,
            revision,
        });
        self.current.store(Arc::clone(&snapshot));
        self.revision.store(revision, Ordering::Release);
        drop(kept);
        let listeners = self.listeners.0.lock();
        listeners
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|tell| tell());
        Ok(snapshot)
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

/// The ids that are there twice.
fn duplicates(config: &ProxyConfig) -> Vec<ApplyMistake> {
    let mut mistakes = Vec::new();
    let mut seen = HashSet::new();
    for cluster in &config.clusters {
        if !seen.insert(fold(&cluster.cluster_id)) {
            mistakes.push(ApplyMistake::DuplicateCluster(cluster.cluster_id.clone()));
        }
        let mut seen = HashSet::new();
        for destination in &cluster.destinations {
            if !seen.insert(fold(&destination.destination_id)) {
                mistakes.push(ApplyMistake::DuplicateDestination {
                    cluster_id: cluster.cluster_id.clone(),
                    destination_id: destination.destination_id.clone(),
                });
            }
        }
    }
    seen.clear();
    for route in &config.routes {
        if !seen.insert(fold(&route.route_id)) {
            mistakes.push(ApplyMistake::DuplicateRoute(route.route_id.clone()));
        }
    }
    mistakes
}

/// The models of routes: those before where neither route nor cluster has changed, else new ones.
fn route_models(
    routes: &[RouteConfig],
    before: &[Arc<RouteModel>],
    clusters: &Clusters,
    policies: &Policies,
    action: impl Fn(&RouteConfig) -> Option<Arc<RouteAction>>,
    mut transforms: impl FnMut(&RouteConfig) -> Option<Arc<Transforms>>,
) -> Vec<Arc<RouteModel>> {
    let before: HashMap<_, _> = before
        .iter()
        .map(|model| (fold(&model.config.route_id), model))
        .collect();
    let mut model = |config: &RouteConfig| {
        let cluster = config
            .cluster_id
            .as_deref()
            .and_then(|id| clusters.find(id));
        let policies = policies.of_route(config);
        if let Some(model) = before.get(&fold(&config.route_id))
            && model.policies.are(&policies)
            && is_same_cluster(model.cluster.as_ref(), cluster)
            && same_route(&model.config, config)
        {
            return Arc::clone(model);
        }
        Arc::new(RouteModel {
            config: config.clone(),
            cluster: cluster.map(Arc::clone),
            policies,
            action: action(config),
            transforms: transforms(config),
        })
    };
    routes.iter().map(&mut model).collect()
}

fn is_same_cluster(left: Option<&Arc<ClusterState>>, right: Option<&Arc<ClusterState>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
