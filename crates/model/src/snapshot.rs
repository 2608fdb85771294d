//! One configuration in force.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::cluster::ClusterState;
use crate::ordinal;
use crate::queue_names::QueueNames;
use crate::route::RouteTable;

/// One configuration in force. A request takes one when it starts and keeps it; the clusters and
/// destinations in it are shared with the snapshots before and after.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The routes, ready to be matched.
    pub routes: RouteTable,
    /// The clusters by id.
    pub clusters: Clusters,
    /// The request queues that destinations name; the same `Arc` as long as these are the same.
    pub queues: Arc<QueueNames>,
    /// 0 for the empty configuration a model begins with, then one more with every change.
    pub revision: u64,
}

/// The clusters of a snapshot. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Clusters(Arc<Listed>);

#[derive(Debug, Default)]
struct Listed {
    /// In configuration order.
    states: Vec<Arc<ClusterState>>,
    /// Where each stands, by its id's hash.
    by_id: HashTable<u32>,
}

impl Clusters {
    /// The cluster of that id, compared without case.
    pub fn find(&self, id: &str) -> Option<&Arc<ClusterState>> {
        let states = &self.0.states;
        let is_it = |at: &u32| ordinal::eq(states[*at as usize].id(), id);
        let at = self.0.by_id.find(ordinal::folded_hash(id), is_it)?;
        Some(&states[*at as usize])
    }

    /// All of them, in configuration order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<ClusterState>> {
        self.0.states.iter()
    }

    /// All of them, in configuration order.
    pub(crate) fn states(&self) -> &[Arc<ClusterState>] {
        &self.0.states
    }
}

impl FromIterator<Arc<ClusterState>> for Clusters {
    fn from_iter<I: IntoIterator<Item = Arc<ClusterState>>>(states: I) -> Self {
        let states: Vec<_> = states.into_iter().collect();
        let hash = |at: &u32| ordinal::folded_hash(states[*at as usize].id());
        let mut by_id = HashTable::with_capacity(states.len());
        for at in 0..states.len() as u32 {
            by_id.insert_unique(hash(&at), at, hash);
        }
        Self(Arc::new(Listed { states, by_id }))
    }
}
