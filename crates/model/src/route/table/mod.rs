//! The table of routes: an index by path, then by host, so that a request looks at few of many.
//!
//! A *leaf* is a place of the path index: all routes whose templates have one structure. A path
//! leads to few leaves (`/a/b` to those of `/a/b`, `/a/{x}`, `/a/{**x}`, `/{**x}` ...), and together
//! they hold the set S of reference A3.1. What steps 2 and 3 ask of S is kept with each leaf, summed
//! up or by host key, and so it makes no difference how many routes a leaf has that are not meant.

mod build;
mod find;
mod host_index;
mod path_index;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashTable;

use super::RouteModel;
use super::method::MethodSet;
use super::path::RequestPath;
use super::rules::{HeaderRule, QueryRule};
use super::template::PathTemplate;
use crate::ordinal;
use crate::route::RequestView;

pub use build::RouteBuildError;
use host_index::{HostIndex, HostKey};
use path_index::{Leaf, PathIndex};

/// Which route a request belongs to.
#[derive(Debug)]
pub enum Found<'a> {
    /// This one.
    Route(&'a Arc<RouteModel>),
    /// None: 404.
    NotFound,
    /// None, and only because of the method: 405.
    MethodNotAllowed {
        /// The value of the `Allow` field: every method of every route the path leads to, sorted.
        allow: String,
    },
    /// Several, and nothing ranks one before the others: 500.
    Ambiguous {
        /// Their ids.
        routes: Vec<String>,
    },
}

/// Routes, ready to be matched. Cloning shares them.
#[derive(Clone, Default)]
pub struct RouteTable {
    index: Arc<Index>,
}

impl RouteTable {
    /// Compiles routes.
    ///
    /// # Errors
    ///
    /// Every part of every route that cannot be used: a path that is no template, an entry that is
    /// no host, a method that does not exist, a rule with an empty value.
    pub fn build(routes: &[Arc<RouteModel>]) -> Result<Self, Vec<RouteBuildError>> {
        build::build(routes).map(|index| Self {
            index: Arc::new(index),
        })
    }

    /// Finds the route of a request: reference A3.1.
    ///
    /// Allocates nothing for an ordinary request: a path and a host in ASCII, without escapes and
    /// dot segments, that lead to few candidates without regular expressions.
    pub fn find<R: RequestView + ?Sized>(&self, request: &R) -> Found<'_> {
        self.index.find(request)
    }

    /// The routes, in the order they were given in.
    pub fn models(&self) -> &[Arc<RouteModel>] {
        &self.index.models
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.models().iter().map(|model| &model.config.route_id);
        f.debug_set().entries(ids).finish()
    }
}

#[derive(Default)]
struct Index {
    /// In the order they were given in.
    models: Box<[Arc<RouteModel>]>,
    /// In order of rank; within one rank by path, then in the order they were given in.
    routes: Box<[CompiledRoute]>,
    paths: PathIndex,
    hosts: HostIndex,
    /// By leaf.
    leaves: Box<[LeafRoutes]>,
    /// The routes of leaves by host key; found by [`Index::group`].
    groups: HashTable<Group>,
    /// What the ranges of `leaves` and `groups` point into. Within each range in order of rank.
    entries: Box<[Entry]>,
}

/// A route as matching needs it.
struct CompiledRoute {
    model: Arc<RouteModel>,
    /// What a request must satisfy besides path structure, method and host; most routes have none.
    filters: Option<Box<Filters>>,
}

struct Filters {
    /// The template, where it has constraints or mixed segments.
    template: Option<PathTemplate>,
    headers: Box<[HeaderRule]>,
    query: Box<[QueryRule]>,
}

/// The routes of a leaf, summed up for steps 2 and 3.
#[derive(Debug, Default)]
struct LeafRoutes {
    /// All methods that routes list.
    methods: MethodSet,
    /// All methods that routes list which take preflight requests (reference A3.7).
    preflight_methods: MethodSet,
    /// Whether a route lists no methods.
    has_any_method: bool,
    /// Whether a route has hosts.
    has_hosts: bool,
    /// The entries of routes without hosts.
    hostless: Range<u32>,
}

/// The routes of one leaf for one host key.
#[derive(Debug)]
struct Group {
    leaf: Leaf,
    key: HostKey,
    entries: Range<u32>,
}

/// A route in its place.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Index in [`Index::routes`].
    route: u32,
    /// Equal for routes that nothing ranks; smaller goes first.
    rank: u32,
    /// Where the host key stands among the route's hosts.
    host_position: u16,
    /// Whether the route carries the host key itself; else it is here because a wildcard sees what
    /// is below it ([`HostIndex::covering`]).
    is_own: bool,
    /// Whether the route has filters; here, so that those of others need not be fetched.
    is_filtered: bool,
    /// Empty is any.
    methods: MethodSet,
    /// Whether preflight requests are matched by the method they ask for (reference A3.7).
    takes_preflight: bool,
}

impl Index {
    /// The entries of a leaf for a host key.
    fn group(&self, leaf: Leaf, key: HostKey) -> &[Entry] {
        let group = self.groups.find(group_hash(leaf, key), |group| {
            group.leaf == leaf && group.key == key
        });
        group.map_or(&[], |group| self.entries(&group.entries))
    }

    fn entries(&self, range: &Range<u32>) -> &[Entry] {
        &self.entries[range.start as usize..range.end as usize]
    }
}

fn group_hash(leaf: Leaf, key: HostKey) -> u64 {
    ordinal::mix(leaf.index() as u64, key.index() as u64)
}

impl CompiledRoute {
    /// Step 4: whether a request that came this far satisfies the rest.
    fn accepts<R: RequestView + ?Sized>(&self, request: &R, path: &RequestPath<'_>) -> bool {
        let Some(filters) = &self.filters else {
            return true;
        };
        let query = || request.query().unwrap_or_default();
        filters
            .template
            .as_ref()
            .is_none_or(|template| template.matches(path))
            && filters.headers.iter().all(|rule| rule.holds(request))
            && filters.query.iter().all(|rule| rule.holds(query()))
    }
}
