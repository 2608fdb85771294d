//! The rules for configurations that no text was read for: written back into a tree, they are read
//! by the same code, so that each rule stands once.

mod write;

use crate::cluster::Reading;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::load::delegates;
use crate::reader::Reader;
use crate::route_validator::RouteValidator;
use crate::schema::{ClusterConfig, PoliciesConfig, RouteConfig};
use crate::tree::{ConfigurationTree, Node, Position};
use crate::{cluster, route};

/// A route or a cluster, and what to call the place it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Sourced<'a, T> {
    /// The name of its provider.
    pub origin: &'a str,
    /// What it is.
    pub config: &'a T,
}

/// What a configuration made by code is checked against.
#[derive(Debug)]
pub struct Items<'a> {
    /// Its routes; ids are unique.
    pub routes: &'a [Sourced<'a, RouteConfig>],
    /// Its clusters; ids are unique.
    pub clusters: &'a [Sourced<'a, ClusterConfig>],
    /// What routes may name.
    pub policies: &'a PoliciesConfig,
    /// The pipeline's steps; `None` when it is made by code.
    pub pipeline: Option<&'a [String]>,
}

/// Checks routes and clusters by the rules R1 to R29 and C1 to C14 of the reference.
///
/// A diagnostic's path is that of the key the value would have in a file; its place is the origin.
pub fn validate(items: &Items<'_>, validator: &dyn RouteValidator) -> Diagnostics {
    let tree = tree(items);
    let mut diagnostics = Diagnostics::default();
    let mut reader = Reader::new(
        tree.section("ReverseProxy"),
        &keys::REVERSE_PROXY,
        &mut diagnostics,
    );
    for (id, section) in reader.entries("Routes") {
        route::read(id, section, validator, items.policies, reader.diagnostics);
    }
    // A destination of a pipeline made by code is taken for what its metadata say.
    let reading = Reading {
        validator,
        delegates: items.pipeline.is_none_or(delegates),
        services: None,
    };
    for (id, section) in reader.entries("Clusters") {
        cluster::read(id, section, &reading, reader.diagnostics);
    }
    diagnostics
}

fn tree(items: &Items<'_>) -> ConfigurationTree {
    let mut root = Node::default();
    let proxy = root.child_mut("ReverseProxy");
    for Sourced { origin, config } in items.routes {
        let node = proxy.child_mut("Routes").child_mut(&config.route_id);
        write::route(node, &Position::outside_files(origin), config);
    }
    for Sourced { origin, config } in items.clusters {
        let node = proxy.child_mut("Clusters").child_mut(&config.cluster_id);
        write::cluster(node, &Position::outside_files(origin), config);
    }
    ConfigurationTree::from_root(root)
}

#[cfg(test)]
mod tests;
