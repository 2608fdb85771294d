//! What a configuration changes of routes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ostler_config::schema::{List, RouteConfig};

use super::clusters::ClusterChanges;
use crate::cluster::ClusterState;
use crate::equality::same_route;
use crate::error::ApplyMistake;
use crate::ordinal::{fold, folded_hash};
use crate::pairs::Pairs;
use crate::policies::Policies;
use crate::registry::PolicyRegistry;
use crate::route::{RouteAction, RouteModel, RouteTable};
use crate::transforms::Transforms;

/// The routes of two configurations, and what else decides about them.
pub(super) struct RouteChanges<'a> {
    /// In force, and what is to be.
    pub(super) lists: (&'a List<RouteConfig>, &'a List<RouteConfig>),
    /// The table of those in force.
    pub(super) table: &'a RouteTable,
    pub(super) clusters: &'a ClusterChanges,
    pub(super) policies: &'a Policies,
    /// Whether those are the ones in force.
    pub(super) policies_stay: bool,
    pub(super) registry: &'a PolicyRegistry,
    /// A cluster without destinations.
    pub(super) nowhere: Option<&'a Arc<ClusterState>>,
}

impl RouteChanges<'_> {
    /// The table there will be; `None` if it is the one there is.
    pub(super) fn prepare(&self, mistakes: &mut Vec<ApplyMistake>) -> Option<RouteTable> {
        let (before, now) = self.lists;
        if before.is(now) && self.policies_stay && self.clusters.are_all_there() {
            return None;
        }
        let mut pairs = Pairs::of(before, now);
        if pairs.are_same()
            && pairs.before.is_sorted()
            && self.policies_stay
            && self.clusters.are_all_there()
        {
            return None;
        }
        mistakes.extend(duplicates(before, now, &pairs));
        let known = self.table.models();
        let mut gone: HashMap<String, u32> = pairs
            .gone
            .iter()
            .map(|&at| (fold(&before[at as usize].route_id), at))
            .collect();
        let mut models = Vec::with_capacity(now.len());
        for (config, stood) in now.iter().zip(&mut pairs.before) {
            let is_kept = stood.is_some();
            let at = stood
                .take()
                .or_else(|| gone.remove(&fold(&config.route_id)));
            let model = at.map(|at| &known[at as usize]);
            let model = model.filter(|model| self.stays(model, config, is_kept));
            *stood = model.and(at);
            models.push(match model {
                Some(model) => Arc::clone(model),
                None => self.model(config, mistakes),
            });
        }
        let same = models.len() == known.len() && pairs.before.iter().all(Option::is_some);
        if same && pairs.before.is_sorted() {
            return None;
        }
        match self.table.update(models, &pairs.before) {
            Ok(table) => Some(table),
            Err(errors) => {
                mistakes.extend(errors.into_iter().map(ApplyMistake::from));
                None
            }
        }
    }

    /// Whether what is in force of a route is what there will be of it.
    fn stays(&self, model: &RouteModel, config: &RouteConfig, is_kept: bool) -> bool {
        let cluster = model.cluster.as_ref();
        if !is_kept {
            let id = config.cluster_id.as_deref();
            let wanted = id.and_then(|id| self.clusters.clusters().find(id));
            let is_same = match (cluster, wanted) {
                (Some(cluster), Some(wanted)) => Arc::ptr_eq(cluster, wanted),
                (None, None) => true,
                _ => false,
            };
            return is_same
                && model.policies.are(&self.policies.of_route(config))
                && same_route(&model.config, config);
        }
        // Most routes of a large configuration are here, and nothing is looked up for them.
        (self.clusters.are_all_there()
            || !self.clusters.concern(cluster, config.cluster_id.as_deref()))
            && (self.policies_stay || model.policies.are(&self.policies.of_route(config)))
    }

    fn model(
        &self,
        config: &Arc<RouteConfig>,
        mistakes: &mut Vec<ApplyMistake>,
    ) -> Arc<RouteModel> {
        let id = config.cluster_id.as_deref();
        let cluster = id.and_then(|id| self.clusters.clusters().find(id));
        let mut wrong = Vec::new();
        let providers = self.registry.transform_providers();
        let transforms = Transforms::build(config, providers, &mut wrong);
        mistakes.extend(wrong.into_iter().map(ApplyMistake::from));
        Arc::new(RouteModel {
            config: Arc::clone(config),
            cluster: cluster.map(Arc::clone),
            policies: self.policies.of_route(config),
            action: self
                .nowhere
                .and_then(|nowhere| RouteAction::build(config, nowhere)),
            transforms,
        })
    }
}

/// The ids of new routes that are there twice. Those that stay have ids of their own.
fn duplicates(
    before: &[Arc<RouteConfig>],
    now: &[Arc<RouteConfig>],
    pairs: &Pairs,
) -> Vec<ApplyMistake> {
    let gone = pairs.gone.iter();
    let mut free: HashSet<String> = gone
        .map(|&at| fold(&before[at as usize].route_id))
        .collect();
    let mut mistakes = Vec::new();
    let mut seen = HashSet::new();
    let mut come: HashMap<String, &RouteConfig> = HashMap::new();
    for at in pairs.places_of_new() {
        let id = fold(&now[at].route_id);
        if !seen.insert(id.clone()) {
            mistakes.push(ApplyMistake::DuplicateRoute(now[at].route_id.clone()));
        } else if !free.remove(&id) {
            come.insert(id, &now[at]);
        }
    }
    if !come.is_empty() {
        let hashes: HashSet<u64> = come.keys().map(|id| folded_hash(id)).collect();
        let kept = now.iter().zip(&pairs.before);
        let kept = kept.filter(|(_, stood)| stood.is_some());
        for (config, _) in kept.filter(|(it, _)| hashes.contains(&folded_hash(&it.route_id))) {
            if let Some(again) = come.remove(&fold(&config.route_id)) {
                mistakes.push(ApplyMistake::DuplicateRoute(again.route_id.clone()));
            }
        }
    }
    mistakes
}
