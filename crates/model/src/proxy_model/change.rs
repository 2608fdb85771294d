//! What a configuration changes of one cluster: prepared first, carried out when all else is well.

use std::collections::HashMap;
use std::sync::Arc;

use ostler_config::schema::ClusterConfig;

use crate::cluster::{ClusterModel, ClusterState};
use crate::destination::{DestinationModel, DestinationState};
use crate::equality::{same_cluster, same_destination};
use crate::error::ApplyMistake;
use crate::ordinal::fold;
use crate::registry::PolicyRegistry;

/// What is going to happen to a cluster.
pub(super) struct ClusterChange {
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
    pub(super) fn prepare(
        state: Option<&Arc<ClusterState>>,
        config: &ClusterConfig,
        registry: &PolicyRegistry,
    ) -> Result<Self, ApplyMistake> {
        // Checked even where the cluster is equal: an equal cluster has passed before.
        let mut model = None;
        let state = match state {
            Some(state) => {
                if !same_cluster(&state.model().config, config) {
                    model = Some(Arc::new(ClusterModel::new(config.clone(), registry)?));
                }
                Arc::clone(state)
            }
            None => Arc::new(ClusterState::new(ClusterModel::new(
                config.clone(),
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

    /// The state that is going to change.
    pub(super) fn state(&self) -> &Arc<ClusterState> {
        &self.state
    }

    /// Whether there is nothing to do.
    pub(super) fn is_none(&self) -> bool {
        self.model.is_none() && self.destinations.is_none() && self.destination_models.is_empty()
    }

    /// Carries it out.
    pub(super) fn commit(self) {
        // Models first: a destination in the new list is then never seen with its old model.
        for (destination, model) in self.destination_models {
            destination.set_model(model);
        }
        if self.model.is_some() || self.destinations.is_some() {
            self.state.replace(self.model, self.destinations);
        }
    }
}
