//! From the tree to settings: everything read, every mistake collected.

mod outermost;
mod routes_alike;

use std::collections::HashSet;

use crate::cluster::{Reading, Services};
use crate::diagnostics::{Diagnostics, Severity};
use crate::keys::{self, PROXY_SECTION};
use crate::nearest::{nearest, suggestion};
use crate::reader::{Reader, note};
use crate::route_validator::{AnyRoute, RouteValidator};
use crate::schema::ProxyConfig;
use crate::settings::{
    DestinationResolverConfig, DestinationResolverKind, Settings, destination_resolver,
};
use crate::tree::ConfigurationTree;
use crate::tree::key::{fold, same};
use crate::{cluster, not_yet, policies, route};

/// What a configuration says, and everything that is wrong or ineffective in it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says. What is wrong is left out or at its default, so this is to be used only when
    /// [`Diagnostics::has_errors`] says no.
    pub settings: Settings,
    /// What is wrong, and what has no effect.
    pub diagnostics: Diagnostics,
}

/// Reads a tree. It never fails: everything that is wrong is in the result.
///
/// Path templates and hosts are taken as they are; see [`load_with`].
pub fn load(tree: &ConfigurationTree) -> Loaded {
    load_with(tree, &AnyRoute)
}

/// Reads a tree and has `validator` check path templates and hosts. It never fails: everything that
/// is wrong is in the result.
pub fn load_with(tree: &ConfigurationTree, validator: &dyn RouteValidator) -> Loaded {
    load_section(tree, PROXY_SECTION, validator)
}

/// The same, of a tree whose routes and clusters stand in the section `name` instead of
/// `ReverseProxy`. It is an error if there is no such section.
pub fn load_section(
    tree: &ConfigurationTree,
    name: &str,
    validator: &dyn RouteValidator,
) -> Loaded {
    let mut diagnostics = Diagnostics::default();
    let section = tree.section(name);
    outermost::check(tree, name, &mut diagnostics);
    if section.is_empty() && !same(name, PROXY_SECTION) {
        let message = "there is no such section, and routes are to be read from it";
        note(&mut diagnostics, Severity::Error, &section, message, None);
    }
    let policies = policies::read(tree, &mut diagnostics);
    let mut reader = Reader::new(section, &keys::REVERSE_PROXY, &mut diagnostics);
    let pipeline = pipeline(&mut reader, validator);
    let destination_resolver = destination_resolver::read(
        tree.section("Ostler:DestinationResolver"),
        reader.diagnostics,
    );
    let reading = Reading {
        validator,
        delegates: delegates(pipeline.as_deref().unwrap_or_default()),
        services: services(tree, &destination_resolver, reader.diagnostics),
    };
    let routes = reader.entries("Routes").into_iter();
    let routes = routes
        .map(|(id, section)| route::read(id, section, validator, &policies, reader.diagnostics))
        .collect();
    let clusters = reader.entries("Clusters").into_iter();
    let clusters = clusters
        .map(|(id, section)| cluster::read(id, section, &reading, reader.diagnostics))
        .collect();
    let proxy = ProxyConfig {
        routes,
        clusters,
        pipeline,
        policies,
    };
    check_clusters_of_routes(&mut reader, &proxy);
    routes_alike::warn(&mut reader, &proxy.routes);
    warn_of_empty_clusters(&mut reader, &proxy);
    reader.finish();
    let settings = Settings::read(tree, proxy, destination_resolver, &mut diagnostics);
    not_yet::warn(tree, name, &mut diagnostics);
    diagnostics.sort();
    Loaded {
        settings,
        diagnostics,
    }
}

/// Where services are, if destinations may name them; else it is said that nobody looks.
fn services(
    tree: &ConfigurationTree,
    resolver: &DestinationResolverConfig,
    diagnostics: &mut Diagnostics,
) -> Option<Services> {
    let section = tree.section("Services");
    if resolver.kind == DestinationResolverKind::ServiceDiscovery {
        return Some(Services::read(&section, diagnostics));
    }
    // Variables of the environment are everybody's.
    if section.is_written() {
        let message = "the section has no effect: destinations name no services";
        let remedy = "set Ostler:DestinationResolver:Type to ServiceDiscovery".to_owned();
        note(
            diagnostics,
            Severity::Warning,
            &section,
            message,
            Some(remedy),
        );
    }
    None
}

const DELEGATION: &str = "HttpSysDelegation";
const LOAD_BALANCING: &str = "LoadBalancing";

/// Whether the steps of a pipeline include delegation.
pub(crate) fn delegates(steps: &[String]) -> bool {
    steps.iter().any(|step| same(step, DELEGATION))
}

/// Reads `Pipeline`, our own key: in YARP the pipeline is written in code (reference A4).
fn pipeline(reader: &mut Reader<'_, '_>, validator: &dyn RouteValidator) -> Option<Vec<String>> {
    let steps = reader.list("Pipeline");
    for (at, (item, name)) in steps.iter().enumerate() {
        let mut before = steps[..at].iter().map(|(_, other)| other);
        if !keys::STEPS.iter().any(|step| same(step, name)) && !validator.has_step(name) {
            let remedy = suggestion(name, &keys::STEPS);
            let message = format!("there is no pipeline step {name:?}");
            reader.error(item, message, Some(remedy));
        } else if before.any(|other| same(other, name)) {
            let message = format!("the step {name:?} is there twice");
            reader.error(item, message, Some("remove one".to_owned()));
        }
    }
    let position = |wanted| steps.iter().position(|(_, name)| same(name, wanted));
    if let (Some(delegation), Some(balancing)) = (position(DELEGATION), position(LOAD_BALANCING))
        && delegation < balancing
    {
        // Reference A8, step 2.
        let message = "before LoadBalancing, this chooses a destination at random";
        let remedy = "put it behind LoadBalancing".to_owned();
        reader.warn(&steps[delegation].0, message, Some(remedy));
    }
    // An empty list is as absent (reference A1.1).
    (!steps.is_empty()).then(|| steps.into_iter().map(|(_, name)| name).collect())
}

/// Warns of routes whose requests are all answered 503 (reference A3.9), which is no error: the
/// cluster may come with a later reload.
fn check_clusters_of_routes(reader: &mut Reader<'_, '_>, proxy: &ProxyConfig) {
    let clusters = proxy.clusters.iter();
    let known: Vec<_> = clusters
        .map(|cluster| cluster.cluster_id.as_str())
        .collect();
    let folded: HashSet<_> = known.iter().map(|id| fold(id)).collect();
    let sections = reader.section.section("Routes");
    for ((_, section), route) in sections.children().zip(&proxy.routes) {
        let at = section.section("ClusterId");
        match &route.cluster_id {
            Some(id) if folded.contains(&fold(id)) => {}
            Some(id) => {
                let message = format!("there is no cluster {id:?}: requests are answered 503");
                let remedy = nearest(id, &known).map(|near| format!("did you mean {near}?"));
                reader.warn(&at, message, remedy);
            }
            None if route.redirect.is_some() || route.respond.is_some() => {}
            None => {
                let message = "the route names no cluster: requests are answered 503";
                reader.warn(&at, message, None);
            }
        }
    }
}

/// Warns of clusters that nobody can be asked of, which is no error either.
fn warn_of_empty_clusters(reader: &mut Reader<'_, '_>, proxy: &ProxyConfig) {
    let sections = reader.section.section("Clusters");
    for ((_, section), cluster) in sections.children().zip(&proxy.clusters) {
        if cluster.destinations.is_empty() {
            let message = "the cluster has no destinations: requests are answered 503";
            let remedy = "add one, as \"Destinations\": { \"d1\": { \"Address\": \
                          \"http://localhost:5001/\" } }";
            reader.warn(&section, message, Some(remedy.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
