//! What the table of routes is made of.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashTable;

use super::host_index::{HostIndex, HostKey};
use super::path_index::{Leaf, PathIndex};
use crate::ordinal;
use crate::route::method::MethodSet;
use crate::route::path::RequestPath;
use crate::route::rules::{HeaderRule, QueryRule};
use crate::route::template::PathTemplate;
use crate::route::{RequestView, RouteModel};

#[derive(Default)]
pub(super) struct Index {
    /// In the order they were given in.
    pub(super) models: Box<[Arc<RouteModel>]>,
    /// In order of rank; within one rank by path, then in the order they were given in.
    pub(super) routes: Box<[CompiledRoute]>,
    pub(super) paths: PathIndex,
    /// Shared with the index that follows, until a host comes that it has not.
    pub(super) hosts: Arc<HostIndex>,
    /// By leaf.
    pub(super) leaves: Box<[LeafRoutes]>,
    /// The routes of leaves by host key; found by [`Index::group`].
    pub(super) groups: HashTable<Group>,
    /// What the ranges of `leaves` and `groups` point into. Within each range in order of rank.
    pub(super) entries: Box<[Entry]>,
    /// Entries that no range holds any more, and other remains of indexes before this one.
    pub(super) waste: usize,
}

/// A route as matching needs it.
#[derive(Clone)]
pub(super) struct CompiledRoute {
    /// Index in [`Index::models`].
    pub(super) position: u32,
    /// That of its entries.
    pub(super) rank: u32,
    /// What a request must satisfy besides path structure, method and host; most routes have none.
    pub(super) filters: Option<Arc<Filters>>,
}

pub(super) struct Filters {
    /// The template, where it has constraints or mixed segments.
    pub(super) template: Option<PathTemplate>,
    pub(super) headers: Box<[HeaderRule]>,
    pub(super) query: Box<[QueryRule]>,
}

/// The routes of a leaf, summed up for steps 2 and 3.
#[derive(Debug, Default, Clone)]
pub(super) struct LeafRoutes {
    /// All methods that routes list.
    pub(super) methods: MethodSet,
    /// All methods that routes list which take preflight requests (reference A3.7).
    pub(super) preflight_methods: MethodSet,
    /// Whether a route lists no methods.
    pub(super) has_any_method: bool,
    /// Whether a route has hosts.
    pub(super) has_hosts: bool,
    /// The entries of routes without hosts.
    pub(super) hostless: Range<u32>,
}

/// The routes of one leaf for one host key.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) leaf: Leaf,
    pub(super) key: HostKey,
    pub(super) entries: Range<u32>,
}

/// A route in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Index in [`Index::routes`].
    pub(super) route: u32,
    /// Equal for routes that nothing ranks; smaller goes first.
    pub(super) rank: u32,
    /// Where the host key stands among the route's hosts.
    pub(super) host_position: u16,
    /// Whether the route carries the host key itself; else it is here because a wildcard sees what
    /// is below it ([`HostIndex::covering`]).
    pub(super) is_own: bool,
    /// Whether the route has filters; here, so that those of others need not be fetched.
    pub(super) is_filtered: bool,
    /// Empty is any.
    pub(super) methods: MethodSet,
    /// Whether preflight requests are matched by the method they ask for (reference A3.7).
    pub(super) takes_preflight: bool,
}

impl Index {
    /// The entries of a leaf for a host key.
    pub(super) fn group(&self, leaf: Leaf, key: HostKey) -> &[Entry] {
        let group = self.groups.find(group_hash(leaf, key), |group| {
            group.leaf == leaf && group.key == key
        });
        group.map_or(&[], |group| self.entries(&group.entries))
    }

    pub(super) fn entries(&self, range: &Range<u32>) -> &[Entry] {
        &self.entries[range.start as usize..range.end as usize]
    }
}

fn group_hash(leaf: Leaf, key: HostKey) -> u64 {
    ordinal::mix(leaf.index() as u64, key.index() as u64)
}

impl Group {
    pub(super) fn hash(&self) -> u64 {
        group_hash(self.leaf, self.key)
    }
}

impl LeafRoutes {
    /// Takes a route into the sums.
    pub(super) fn count(&mut self, entry: &Entry) {
        self.methods = self.methods.union(entry.methods);
        if entry.takes_preflight {
            self.preflight_methods = self.preflight_methods.union(entry.methods);
        }
        self.has_any_method |= entry.methods.is_empty();
    }
}

impl CompiledRoute {
    /// Step 4: whether a request that came this far satisfies the rest.
    pub(super) fn accepts<R: RequestView + ?Sized>(
        &self,
        request: &R,
        path: &RequestPath<'_>,
    ) -> bool {
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
