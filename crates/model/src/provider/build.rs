//! One configuration out of those of all providers: put together, filtered, validated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ostler_config::schema::{ClusterConfig, PoliciesConfig, ProxyConfig, RouteConfig};
use ostler_config::{Diagnostic, Diagnostics, Items, Place, Severity, Sourced, validate};

use super::{ProviderConfig, ProxyConfigFilter};
use crate::ordinal::fold;
use crate::registry::PolicyRegistry;
use crate::route::ConfigurationRules;

/// A configuration of one provider, with the provider's name.
pub(super) type Named<'a> = (&'a str, &'a Arc<ProviderConfig>);

/// What all providers say, or everything that is wrong with it.
pub(super) fn build(
    configs: &[Named<'_>],
    filters: &[Arc<dyn ProxyConfigFilter>],
    registry: &PolicyRegistry,
) -> Result<ProxyConfig, Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    let mut clusters = unique(configs, "Clusters", &mut diagnostics, |proxy| {
        (proxy.clusters.as_slice(), |cluster: &ClusterConfig| {
            &cluster.cluster_id
        })
    });
    let mut refused = false;
    for (origin, cluster) in &mut clusters {
        for filter in filters {
            if let Err(message) = filter.configure_cluster(cluster) {
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
        (proxy.routes.as_slice(), |route: &RouteConfig| {
            &route.route_id
        })
    });
    for (origin, route) in &mut routes {
        for filter in filters {
            let id = route.cluster_id.as_deref();
            let cluster = id.and_then(|id| by_id.get(&fold(id)).copied());
            if let Err(message) = filter.configure_route(route, cluster) {
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
    items: impl Fn(&'a ProxyConfig) -> (&'a [T], Id),
) -> Vec<(&'a str, T)> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut kept = Vec::new();
    for (origin, config) in configs {
        let (items, id) = items(&config.proxy);
        for item in items {
            let id = id(item);
            if seen.insert(fold(id)) {
                kept.push((*origin, item.clone()));
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

fn sourced<'a, T>(items: &'a [(&'a str, T)]) -> Vec<Sourced<'a, T>> {
    let items = items.iter();
    items
        .map(|(origin, config)| Sourced { origin, config })
        .collect()
}
