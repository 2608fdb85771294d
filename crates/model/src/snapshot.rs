//! One configuration in force.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cluster::ClusterState;
use crate::ordinal::fold;
use crate::route::RouteTable;

/// One configuration in force. A request takes one when it starts and keeps it; the clusters and
/// destinations in it are shared with the snapshots before and after.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The routes, ready to be matched.
    pub routes: RouteTable,
    /// The clusters by id.
    pub clusters: Clusters,
    /// 0 for the empty configuration a model begins with, then one more with every change.
    pub revision: u64,
}

/// The clusters of a snapshot.
#[derive(Debug, Clone, Default)]
pub struct Clusters {
    /// In configuration order.
    states: Vec<Arc<ClusterState>>,
    /// Where each stands, by folded id.
    by_id: HashMap<String, usize>,
}

impl Clusters {
    /// The cluster of that id, compared without case.
    pub fn find(&self, id: &str) -> Option<&Arc<ClusterState>> {
        self.by_id
            .get(&fold(id))
            .and_then(|at| self.states.get(*at))
    }

    /// All of them, in configuration order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<ClusterState>> {
        self.states.iter()
    }

    /// Whether these are the very same states in the same order.
    pub(crate) fn are(&self, states: &[Arc<ClusterState>]) -> bool {
        self.states.len() == states.len()
            && self
                .states
                .iter()
                .zip(states)
                .all(|(left, right)| Arc::ptr_eq(left, right))
    }
}

impl FromIterator<Arc<ClusterState>> for Clusters {
    fn from_iter<I: IntoIterator<Item = Arc<ClusterState>>>(states: I) -> Self {
        let states: Vec<_> = states.into_iter().collect();
        let by_id = states
            .iter()
            .enumerate()
            .map(|(at, state)| (fold(state.id()), at))
            .collect();
        Self { states, by_id }
    }
}
