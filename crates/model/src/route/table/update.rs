//! From the index of one list of routes to that of the next: what is new is compiled, what is gone is taken
//! out, and all else is copied as it is, memory for memory.
//!
//! The result finds what an index that is built from scratch finds. Copies are flat, so a change among
//! 100,000 routes costs a few passes over arrays of numbers, and what it leaves behind (ranges that nobody
//! points to, nodes that no path leads to) goes with the next building from scratch, which is due once
//! remains are half of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::build::{ParsedRoute, Placed, build};
use super::host_index::HostKey;
use super::index::{CompiledRoute, Entry, Filters, Group, Index, LeafRoutes};
use super::path_index::Leaf;
use crate::route::host::HostName;
use crate::route::{RouteBuildError, RouteModel};

/// What stands for a route that is gone.
const GONE: u32 = u32::MAX;

/// Changes that are always worth an update, however few routes there are.
const FEW: usize = 16;

/// Remains that are never worth building from scratch.
const LITTLE_WASTE: usize = 4096;

/// The index of `models`, of which `before` says where each stood in the list of `index`, if it is the very
/// same model.
pub(super) fn update(
    index: &Index,
    models: Box<[Arc<RouteModel>]>,
    before: &[Option<u32>],
) -> Result<Index, Vec<RouteBuildError>> {
    let Some(changes) = Changes::of(index, before) else {
        return build(models);
    };
    let mut errors = Vec::new();
    let new = changes.new.iter();
    let mut new: Vec<_> = new
        .filter_map(|&at| ParsedRoute::new(&models[at as usize], at, &mut errors))
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    new.sort_by(ParsedRoute::order);
    let Some(mut update) = Update::begin(index, &changes, &new) else {
        return build(models);
    };
    update.take_in(&new);
    update.take_out(&changes.gone);
    update.regroup();
    let Update {
        mut updated,
        new_at,
        ..
    } = update;
    for (at, route) in new_at.into_iter().zip(new) {
        updated.routes[at as usize].filters = route.compile(0).filters;
    }
    updated.models = models;
    Ok(updated)
}

/// What is different between two lists.
struct Changes {
    /// By place in the list before: the place now.
    now: Vec<u32>,
    /// Places in the list before.
    gone: Vec<u32>,
    /// Places in the list now.
    new: Vec<u32>,
}

impl Changes {
    /// `None` where building from scratch is the better way: much is different, routes have changed
    /// places, or much is left of former ones.
    fn of(index: &Index, before: &[Option<u32>]) -> Option<Self> {
        let mut now = vec![GONE; index.models.len()];
        let mut new = Vec::new();
        let mut last = None;
        for (at, before) in (0..).zip(before) {
            match *before {
                None => new.push(at),
                // A model that moved is as one that went and came, but its old place is not free.
                Some(before) if last.is_some_and(|last| last >= before) => return None,
                Some(before) => {
                    last = Some(before);
                    now[before as usize] = at;
                }
            }
        }
        let gone: Vec<_> = (0..)
            .zip(&now)
            .filter_map(|(at, now)| (*now == GONE).then_some(at))
            .collect();
        let is_much = new.len() + gone.len() > FEW + before.len() / 8;
        let live = index.entries.len().saturating_sub(index.waste);
        let is_wasteful = index.waste > LITTLE_WASTE + live / 2;
        (!is_much && !is_wasteful).then_some(Self { now, gone, new })
    }
}

/// An index on its way from one list to the next.
struct Update<'a> {
    before: &'a Index,
    /// Its models are still to be put in, and the filters of routes that are new.
    updated: Index,
    /// Where routes that are new stand in the order.
    new_at: Vec<u32>,
    /// What comes to places.
    placed: Vec<Placed>,
    /// Places that something comes to or goes from.
    touched: HashSet<(Leaf, Option<HostKey>)>,
}

impl<'a> Update<'a> {
    /// Copies what stays, and has the hosts of new routes known. `None` where a wildcard comes that was
    /// not there: routes below it stand with it, too.
    fn begin(before: &'a Index, changes: &Changes, new: &[ParsedRoute<'_>]) -> Option<Self> {
        let mut hosts = Arc::clone(&before.hosts);
        for host in new.iter().flat_map(|route| &route.hosts) {
            if hosts.key(host).is_none() {
                if let HostName::Wildcard(_) = host.name {
                    return None;
                }
                Arc::make_mut(&mut hosts).insert(host);
            }
        }
        let Merge {
            routes,
            moved,
            new_at,
            ..
        } = Merge::of(before, changes, new);
        let stays = |entry: &Entry| {
            let route = moved.get(entry.route as usize).copied().unwrap_or(GONE);
            let rank = routes.get(route as usize).map_or(0, |route| route.rank);
            Entry {
                route,
                rank,
                ..*entry
            }
        };
        let updated = Index {
            models: Box::default(),
            entries: before.entries.iter().map(stays).collect(),
            routes: routes.into(),
            paths: before.paths.clone(),
            hosts,
            leaves: before.leaves.clone(),
            groups: before.groups.clone(),
            waste: before.waste,
        };
        Some(Self {
            before,
            updated,
            new_at,
            placed: Vec::new(),
            touched: HashSet::new(),
        })
    }

    fn take_in(&mut self, new: &[ParsedRoute<'_>]) {
        for (&at, route) in self.new_at.iter().zip(new) {
            let rank = self.updated.routes[at as usize].rank;
            for leaf in self.updated.paths.insert(&route.template) {
                let entry = route.entry(at, rank);
                route.place(leaf, entry, &self.updated.hosts, &mut self.placed);
            }
        }
        let mut leaves = std::mem::take(&mut self.updated.leaves).into_vec();
        leaves.resize_with(self.updated.paths.leaves(), LeafRoutes::default);
        self.updated.leaves = leaves.into();
        let placed = self.placed.iter();
        self.touched
            .extend(placed.map(|(leaf, key, _)| (*leaf, *key)));
    }

    fn take_out(&mut self, gone: &[u32]) {
        for &position in gone {
            let model = &self.before.models[position as usize];
            // It was understood when it came.
            let Some(route) = ParsedRoute::new(model, position, &mut Vec::new()) else {
                continue;
            };
            let mut places = Vec::new();
            for leaf in self.updated.paths.remove(&route.template) {
                route.place(leaf, route.entry(0, 0), &self.updated.hosts, &mut places);
            }
            let places = places.iter();
            self.touched
                .extend(places.map(|(leaf, key, _)| (*leaf, *key)));
            self.updated.waste += route.template.segments().len();
        }
    }

    /// Makes the ranges anew that something has come to or gone from, and the sums of their leaves.
    fn regroup(&mut self) {
        let mut come: HashMap<_, Vec<Entry>> = HashMap::new();
        for (leaf, key, entry) in self.placed.drain(..) {
            come.entry((leaf, key)).or_default().push(entry);
        }
        let mut entries = std::mem::take(&mut self.updated.entries).into_vec();
        for &(leaf, key) in &self.touched {
            let range = match key {
                None => self.updated.leaves[leaf.index()].hostless.clone(),
                Some(key) => self.updated.range(leaf, key),
            };
            let old = &entries[range.start as usize..range.end as usize];
            let stay = old.iter().filter(|entry| entry.route != GONE);
            let mut now: Vec<Entry> = stay.copied().collect();
            now.extend(come.remove(&(leaf, key)).into_iter().flatten());
            // Stable: of one route's entries the order stays.
            now.sort_by_key(|entry| entry.route);
            self.updated.waste += range.len();
            let start = entries.len() as u32;
            entries.extend(now);
            let range = start..entries.len() as u32;
            match key {
                None => self.updated.leaves[leaf.index()].hostless = range,
                Some(key) => self.updated.set_range(leaf, key, range),
            }
        }
        self.updated.entries = entries.into();
        self.sum_up();
    }

    fn sum_up(&mut self) {
        let leaves: HashSet<Leaf> = self.touched.iter().map(|(leaf, _)| *leaf).collect();
        let index = &mut self.updated;
        let entries = &index.entries;
        let of = |range: &std::ops::Range<u32>| &entries[range.start as usize..range.end as usize];
        for leaf in &leaves {
            let routes = &mut index.leaves[leaf.index()];
            let hostless = routes.hostless.clone();
            *routes = LeafRoutes {
                hostless,
                ..LeafRoutes::default()
            };
            for entry in of(&routes.hostless.clone()) {
                routes.count(entry);
            }
        }
        for group in index.groups.iter() {
            if leaves.contains(&group.leaf) {
                let routes = &mut index.leaves[group.leaf.index()];
                routes.has_hosts |= !group.entries.is_empty();
                for entry in of(&group.entries) {
                    routes.count(entry);
                }
            }
        }
    }
}

impl Index {
    fn range(&self, leaf: Leaf, key: HostKey) -> std::ops::Range<u32> {
        let wanted = Group {
            leaf,
            key,
            entries: 0..0,
        };
        let is_it = |group: &Group| group.leaf == leaf && group.key == key;
        let found = self.groups.find(wanted.hash(), is_it);
        found.map_or(0..0, |group| group.entries.clone())
    }

    fn set_range(&mut self, leaf: Leaf, key: HostKey, entries: std::ops::Range<u32>) {
        let group = Group { leaf, key, entries };
        let is_it = |other: &Group| other.leaf == leaf && other.key == key;
        let found = self.groups.entry(group.hash(), is_it, Group::hash);
        match found {
            hashbrown::hash_table::Entry::Occupied(found) if group.entries.is_empty() => {
                found.remove();
            }
            hashbrown::hash_table::Entry::Occupied(mut found) => *found.get_mut() = group,
            hashbrown::hash_table::Entry::Vacant(_) if group.entries.is_empty() => {}
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(group);
            }
        }
    }
}

/// The order of routes that stay and of those that are new, on its way.
struct Merge<'a> {
    before: &'a Index,
    changes: &'a Changes,
    routes: Vec<CompiledRoute>,
    /// By place in the order before: the place now.
    moved: Vec<u32>,
    /// The places of those that are new, which have no filters yet.
    new_at: Vec<u32>,
    last: Option<Last<'a>>,
}

/// The route that was put last.
#[derive(Clone, Copy)]
enum Last<'a> {
    /// By its place in the order before.
    Stayed(u32),
    New(&'a ParsedRoute<'a>),
}

impl<'a> Merge<'a> {
    fn of(before: &'a Index, changes: &'a Changes, new: &'a [ParsedRoute<'a>]) -> Self {
        let mut merge = Self {
            before,
            changes,
            routes: Vec::with_capacity(before.routes.len() + new.len()),
            moved: vec![GONE; before.routes.len()],
            new_at: Vec::with_capacity(new.len()),
            last: None,
        };
        let stays: Vec<u32> = (0..before.routes.len() as u32)
            .filter(|&route| merge.now(route) != GONE)
            .collect();
        let mut rest = stays.as_slice();
        for new in new {
            let is_before = |route: &u32| {
                let route = merge.parsed(*route);
                route.is_some_and(|route| route.order(new).is_lt())
            };
            let (first, behind) = rest.split_at(rest.partition_point(is_before));
            rest = behind;
            first.iter().for_each(|route| merge.stay(*route));
            merge.come(new);
        }
        rest.iter().for_each(|route| merge.stay(*route));
        merge
    }

    /// Where a route of the order before stands in the list now.
    fn now(&self, route: u32) -> u32 {
        self.changes.now[self.before.routes[route as usize].position as usize]
    }

    /// A route of the order before, parsed once more: nothing is kept of that, and only the few are
    /// asked for that a new one is compared with.
    fn parsed(&self, route: u32) -> Option<ParsedRoute<'a>> {
        let position = self.before.routes[route as usize].position;
        let model = &self.before.models[position as usize];
        ParsedRoute::new(model, self.now(route), &mut Vec::new())
    }

    fn stay(&mut self, route: u32) {
        let compiled = &self.before.routes[route as usize];
        let is_higher = match self.last {
            None => false,
            Some(Last::Stayed(last)) => self.before.routes[last as usize].rank != compiled.rank,
            Some(Last::New(last)) => self.parsed(route).is_some_and(|it| it.rank != last.rank),
        };
        self.moved[route as usize] = self.routes.len() as u32;
        let (position, filters) = (self.now(route), compiled.filters.clone());
        self.put(position, is_higher, filters, Last::Stayed(route));
    }

    fn come(&mut self, new: &'a ParsedRoute<'a>) {
        let is_higher = match self.last {
            None => false,
            Some(Last::Stayed(last)) => self.parsed(last).is_some_and(|it| it.rank != new.rank),
            Some(Last::New(last)) => last.rank != new.rank,
        };
        self.new_at.push(self.routes.len() as u32);
        self.put(new.position, is_higher, None, Last::New(new));
    }

    fn put(
        &mut self,
        position: u32,
        is_higher: bool,
        filters: Option<Arc<Filters>>,
        last: Last<'a>,
    ) {
        let rank = self.routes.last().map_or(0, |route| route.rank);
        self.routes.push(CompiledRoute {
            position,
            rank: rank + u32::from(is_higher),
            filters,
        });
        self.last = Some(last);
    }
}
