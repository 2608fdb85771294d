//! One configuration out of those of all providers: put together, filtered, validated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ostler_config::schema::{ClusterConfig, List, PoliciesConfig, ProxyConfig, RouteConfig};
use ostler_config::{Diagnostic, Diagnostics, Items, Place, Severity, Sourced, validate};

use super::{ProviderConfig, ProxyConfigFilter};
use crate::ordinal::fold;
use crate::pairs::Pairs;
use crate::registry::PolicyRegistry;
use crate::route::ConfigurationRules;

/// A configuration of one provider, with the provider's name.
pub(super) type Named<'a> = (&'a str, &'a Arc<ProviderConfig>);

/// What a single provider says whose configuration of before is in force: of that, only what has changed
/// is validated. `None` where all of it is to be looked at.
pub(super) fn build_changed(
    (origin, config): Named<'_>,
    in_force: &ProxyConfig,
    registry: &PolicyRegistry,
) -> Option<Result<ProxyConfig, Diagnostics>> {
    let proxy = &config.proxy;
    if proxy.policies != in_force.policies || proxy.pipeline != in_force.pipeline {
        return None;
    }
    let diagnostics = validate(
        &Items {
            routes: &changed(origin, &in_force.routes, &proxy.routes),
            clusters: &changed(origin, &in_force.clusters, &proxy.clusters),
            policies: &proxy.policies,
            pipeline: proxy.pipeline.as_deref(),
        },
        &ConfigurationRules(registry),
    );
    Some(match diagnostics.has_errors() {
        true => Err(diagnostics),
        false => Ok(proxy.clone()),
    })
}

/// The items that are not those in force.
fn changed<'a, T>(origin: &'a str, in_force: &List<T>, now: &'a List<T>) -> Vec<Sourced<'a, T>> {
    if now.is(in_force) {
        return Vec::new();
    }
    let pairs = Pairs::of(in_force, now);
    let new = pairs.places_of_new().map(|at| Sourced {
        origin,
        config: &now[at],
    });
    new.collect()
}

/// What all providers say, or everything that is wrong with it.
pub(super) fn build(
    configs: &[Named<'_>],
    filters: &[Arc<dyn ProxyConfigFilter>],
    registry: &PolicyRegistry,
) -> Result<ProxyConfig, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let mut clusters = unique(configs, "Clusters", &mut diagnostics, |proxy| {
        (&proxy.clusters, |cluster: &ClusterConfig| {
            &cluster.cluster_id
        })
    });
    let mut refused = false;
    for (origin, cluster) in &mut clusters {
        for filter in filters {
            if let Err(message) = filter.configure_cluster(Arc::make_mut(cluster)) {
                refused = true;
                let path = format!("ReverseProxy:Clusters:{}", cluster.cluster_id);
                diagnostics.add(error(path, origin, message, FILTER));
            }
        }
    }
    let by_id: HashMap<_, _> = match refused {
        true => HashMap::new(),
        false => clusters
            .iter()
            .map(|(_, cluster)| (fold(&cluster.cluster_id), cluster))
            .collect(),
    };
    let mut routes = unique(configs, "Routes", &mut diagnostics, |proxy| {
        (&proxy.routes, |route: &RouteConfig| &route.route_id)
    });
    for (origin, route) in &mut routes {
        for filter in filters {
            let id = route.cluster_id.as_deref();
            let cluster = id.and_then(|id| by_id.get(&fold(id)).copied());
            let cluster = cluster.map(|cluster| &**cluster);
            if let Err(message) = filter.configure_route(Arc::make_mut(route), cluster) {
                let path = format!("ReverseProxy:Routes:{}", route.route_id);
                diagnostics.add(error(path, origin, message, FILTER));
            }
        }
    }
    let pipeline = configs
        .iter()
        .find_map(|(_, config)| config.proxy.pipeline.clone());
    let policies = configs
        .iter()
        .map(|(_, config)| &config.proxy.policies)
        .find(|policies| **policies != PoliciesConfig::default());
    let policies = policies.cloned().unwrap_or_default();

    diagnostics.extend(validate(
        &Items {
            routes: &sourced(&routes),
            clusters: &sourced(&clusters),
            policies: &policies,
            pipeline: pipeline.as_deref(),
        },
        &ConfigurationRules(registry),
    ));
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    Ok(ProxyConfig {
        routes: routes.into_iter().map(|(_, route)| route).collect(),
        clusters: clusters.into_iter().map(|(_, cluster)| cluster).collect(),
        pipeline,
        policies,
    })
}

const FILTER: &str = "ask whoever wrote the filter";

/// The items of all providers in order; the first of an id is kept for further checks, every other
/// one is an error (reference A2.5: nothing is merged).
fn unique<'a, T: Clone + 'a, Id: Fn(&T) -> &String>(
    configs: &[Named<'a>],
    kind: &str,
    diagnostics: &mut Diagnostics,
    items: impl Fn(&'a ProxyConfig) -> (&'a List<T>, Id),
) -> Vec<(&'a str, Arc<T>)> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut kept = Vec::new();
    for (origin, config) in configs {
        let (items, id) = items(&config.proxy);
        for item in items {
            let id = id(item);
            if seen.insert(fold(id)) {
                kept.push((*origin, Arc::clone(item)));
            } else {
                let path = format!("ReverseProxy:{kind}:{id}");
                let message = format!("there is another one called {id:?}");
                diagnostics.add(error(path, origin, message, "choose another id"));
            }
        }
    }
    kept
}

fn error(path: String, origin: &str, message: String, remedy: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        path,
        place: Some(Place {
            origin: origin.to_owned(),
            line: 0,
            column: 0,
        }),
        message,
        remedy: Some(remedy.to_owned()),
    }
}

fn sourced<'a, T>(items: &'a [(&'a str, Arc<T>)]) -> Vec<Sourced<'a, T>> {
    let items = items.iter();
    items
        .map(|(origin, config)| Sourced {
            origin,
            config: &**config,
        })
        .collect()
}
