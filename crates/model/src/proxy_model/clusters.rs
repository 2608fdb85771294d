//! What a configuration changes of clusters: prepared first, carried out when all else is well.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ostler_config::schema::{ClusterConfig, List};

use crate::cluster::{ClusterModel, ClusterState};
use crate::destination::{DestinationModel, DestinationState};
use crate::equality::{same_cluster, same_destination};
use crate::error::ApplyMistake;
use crate::ordinal::fold;
use crate::pairs::Pairs;
use crate::queue_names::QueueNames;
use crate::registry::PolicyRegistry;
use crate::snapshot::{Clusters, Snapshot};

/// What is going to happen to clusters.
pub(super) struct ClusterChanges {
    /// Those there will be.
    clusters: Clusters,
    changes: Vec<ClusterChange>,
    gone: Vec<Arc<ClusterState>>,
    /// Their addresses, which nobody else can have meanwhile.
    gone_at: HashSet<usize>,
    /// Folded ids of those that were not there.
    come: HashSet<String>,
    /// Whether they are others than before, or in another order.
    are_others: bool,
}

impl ClusterChanges {
    /// Works out what is different between the list that is in force and another one.
    pub(super) fn prepare(
        (before, now): (&List<ClusterConfig>, &List<ClusterConfig>),
        current: &Snapshot,
        registry: &PolicyRegistry,
        mistakes: &mut Vec<ApplyMistake>,
    ) -> Self {
        let states = current.clusters.states();
        let mut all = Self {
            clusters: current.clusters.clone(),
            changes: Vec::new(),
            gone: Vec::new(),
            gone_at: HashSet::new(),
            come: HashSet::new(),
            are_others: false,
        };
        if before.is(now) {
            return all;
        }
        let pairs = Pairs::of(before, now);
        let mut gone: HashMap<String, u32> = pairs
            .gone
            .iter()
            .map(|&at| (fold(states[at as usize].id()), at))
            .collect();
        let mut at_place: HashMap<usize, Arc<ClusterState>> = HashMap::new();
        let mut seen = HashSet::new();
        for at in pairs.places_of_new() {
            let config = &now.iter().as_slice()[at];
            let id = fold(&config.cluster_id);
            let state = gone.remove(&id).map(|at| &states[at as usize]);
            let stays = state.is_none() && current.clusters.find(&id).is_some();
            if !seen.insert(id.clone()) || stays {
                mistakes.push(ApplyMistake::DuplicateCluster(config.cluster_id.clone()));
            }
            duplicate_destinations(config, mistakes);
            if state.is_none() {
                all.come.insert(id);
            }
            match ClusterChange::prepare(state, config, registry) {
                Ok(change) => {
                    at_place.insert(at, Arc::clone(&change.state));
                    all.changes.push(change);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let gone = gone.into_values();
        all.gone = gone.map(|at| Arc::clone(&states[at as usize])).collect();
        let addresses = all.gone.iter().map(|gone| Arc::as_ptr(gone) as usize);
        all.gone_at = addresses.collect();
        let stood = pairs
            .before
            .iter()
            .enumerate()
            .map(|(at, stood)| match stood {
                Some(stood) => Some(&states[*stood as usize]),
                None => at_place.get(&at),
            });
        let is_same = |(new, old): (Option<&Arc<ClusterState>>, &Arc<ClusterState>)| {
            new.is_some_and(|new| Arc::ptr_eq(new, old))
        };
        all.are_others = now.len() != states.len() || !stood.clone().zip(states).all(is_same);
        if all.are_others {
            all.clusters = stood.flatten().map(Arc::clone).collect();
        }
        all
    }

    /// The clusters there will be.
    pub(super) fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// Whether a route's cluster is another one than before: it is gone, or was not there.
    pub(super) fn concern(&self, cluster: Option<&Arc<ClusterState>>, id: Option<&str>) -> bool {
        match cluster {
            Some(cluster) => self.gone_at.contains(&(Arc::as_ptr(cluster) as usize)),
            None => !self.come.is_empty() && id.is_some_and(|id| self.come.contains(&fold(id))),
        }
    }

    /// Whether no cluster has come or gone.
    pub(super) fn are_all_there(&self) -> bool {
        self.gone.is_empty() && self.come.is_empty()
    }

    /// Whether there is nothing to do.
    pub(super) fn are_none(&self) -> bool {
        !self.are_others && self.changes.iter().all(ClusterChange::is_none)
    }

    /// Carries it out. Gives the clusters, and the queues that their destinations name.
    pub(super) fn commit(self, before: &Arc<QueueNames>) -> (Clusters, Arc<QueueNames>) {
        let mut queues = QueueNames::clone(before);
        for cluster in &self.gone {
            for destination in cluster.destinations().all.iter() {
                queues.remove(&destination.model());
            }
        }
        for change in self.changes {
            let state = Arc::clone(&change.state);
            for destination in state.destinations().all.iter() {
                queues.remove(&destination.model());
            }
            change.commit();
            for destination in state.destinations().all.iter() {
                queues.add(&destination.model());
            }
        }
        let queues = match queues.are(before) && queues == **before {
            true => Arc::clone(before),
            false => Arc::new(queues),
        };
        (self.clusters, queues)
    }
}

fn duplicate_destinations(cluster: &ClusterConfig, mistakes: &mut Vec<ApplyMistake>) {
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

/// What is going to happen to a cluster.
struct ClusterChange {
    state: Arc<ClusterState>,
    /// A new model, if it has changed.
    model: Option<Arc<ClusterModel>>,
    /// The destinations, if one has come, left, moved or changed.
    destinations: Option<Arc<[Arc<DestinationState>]>>,
    /// New models of destinations that stay.
    destination_models: Vec<(Arc<DestinationState>, Arc<DestinationModel>)>,
}

impl ClusterChange {
    /// Works out what `config` changes of the cluster's state, or makes one.
    fn prepare(
        state: Option<&Arc<ClusterState>>,
        config: &Arc<ClusterConfig>,
        registry: &PolicyRegistry,
    ) -> Result<Self, ApplyMistake> {
        // Checked even where the cluster is equal: an equal cluster has passed before.
        let mut model = None;
        let state = match state {
            Some(state) => {
                if !same_cluster(&state.model().config, config) {
                    model = Some(Arc::new(ClusterModel::new(Arc::clone(config), registry)?));
                }
                Arc::clone(state)
            }
            None => Arc::new(ClusterState::new(ClusterModel::new(
                Arc::clone(config),
                registry,
            )?)),
        };

        let before = state.destinations();
        let by_id: HashMap<_, _> = before
            .all
            .iter()
            .map(|destination| (fold(destination.id()), destination))
            .collect();
        let mut destination_models = Vec::new();
        let mut all = Vec::with_capacity(config.destinations.len());
        for config in &config.destinations {
            let Some(destination) = by_id.get(&fold(&config.destination_id)) else {
                let model = DestinationModel::new(config.clone());
                all.push(Arc::new(DestinationState::new(
                    model,
                    Arc::clone(state.requests()),
                )));
                continue;
            };
            if !same_destination(&destination.model().config, config) {
                let model = Arc::new(DestinationModel::new(config.clone()));
                destination_models.push((Arc::clone(destination), model));
            }
            all.push(Arc::clone(destination));
        }
        let same = all.len() == before.all.len()
            && all
                .iter()
                .zip(before.all.iter())
                .all(|(new, old)| Arc::ptr_eq(new, old));
        let destinations = (!same).then(|| Arc::from(all));
        Ok(Self {
            state,
            model,
            destinations,
            destination_models,
        })
    }

    /// Whether there is nothing to do.
    fn is_none(&self) -> bool {
        self.model.is_none() && self.destinations.is_none() && self.destination_models.is_empty()
    }

    /// Carries it out.
    fn commit(self) {
        // Models first: a destination in the new list is then never seen with its old model.
        for (destination, model) in self.destination_models {
            destination.set_model(model);
        }
        if self.model.is_some() || self.destinations.is_some() {
            self.state.replace(self.model, self.destinations);
        }
    }
}
