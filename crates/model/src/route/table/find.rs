//! The algorithm of reference A3.1 over the index.

use std::sync::Arc;

use smallvec::SmallVec;

use super::host_index::{HostClass, HostKey};
use super::index::{CompiledRoute, Entry, Index};
use super::path_index::Leaf;
use crate::route::host::RequestHost;
use crate::route::method::MethodSet;
use crate::route::path::RequestPath;
use crate::route::{RequestView, RouteModel};

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

/// The leaves of a path.
type Leaves = SmallVec<[Leaf; 8]>;

/// What step 2 keeps.
#[derive(Debug, Clone, Copy)]
enum Kept {
    /// Routes that list this method and those that list none.
    Method(MethodSet),
    /// Routes that take preflight requests and list this method.
    Preflight(MethodSet),
}

impl Index {
    pub(super) fn find<R: RequestView + ?Sized>(&self, request: &R) -> Found<'_> {
        // Step 1: S, the routes whose templates fit the path by structure.
        let path = RequestPath::new(request.path());
        let mut leaves = Leaves::new();
        self.paths.visit(&path, |leaf| leaves.push(leaf));
        if leaves.is_empty() {
            return Found::NotFound;
        }
        // Step 2: the method, judged before the host.
        let kept = match self.keep_by_method(&leaves, request) {
            Ok(kept) => kept,
            Err(answer) => return answer,
        };
        // Step 3: the most specific host key of a route that is left.
        let key = self.choose_host_key(&leaves, kept, request);
        // Steps 4 and 5: of those that satisfy the rest, the first in rank.
        self.rank(&leaves, kept, key, request, &path)
    }

    fn keep_by_method<R: RequestView + ?Sized>(
        &self,
        leaves: &[Leaf],
        request: &R,
    ) -> Result<Kept, Found<'_>> {
        let leaves = || leaves.iter().map(|leaf| &self.leaves[leaf.index()]);
        let union = |left: MethodSet, right: MethodSet| left.union(right);
        let listed = leaves()
            .map(|leaf| leaf.methods)
            .fold(MethodSet::default(), union);
        if listed.is_empty() {
            return Ok(Kept::Method(listed));
        }
        let for_preflight = leaves()
            .map(|leaf| leaf.preflight_methods)
            .fold(MethodSet::default(), union);
        if !for_preflight.is_empty()
            && let Some(method) = preflight_method(request)
        {
            // Where one route takes preflight requests, they are for such routes alone: another
            // method finds nothing, and that is no 405.
            let is_listed = for_preflight.intersects(method);
            return if is_listed {
                Ok(Kept::Preflight(method))
            } else {
                Err(Found::NotFound)
            };
        }
        let method = MethodSet::of(request.method());
        if listed.intersects(method) || leaves().any(|leaf| leaf.has_any_method) {
            return Ok(Kept::Method(method));
        }
        Err(Found::MethodNotAllowed {
            allow: listed.allow(),
        })
    }

    /// The host key whose routes stay, besides those without hosts. `None` when no key of a route
    /// that is left matches: then only those without hosts stay, if there are any.
    fn choose_host_key<R: RequestView + ?Sized>(
        &self,
        leaves: &[Leaf],
        kept: Kept,
        request: &R,
    ) -> Option<HostKey> {
        if !leaves
            .iter()
            .any(|leaf| self.leaves[leaf.index()].has_hosts)
        {
            return None;
        }
        let host = RequestHost::new(request.authority(), request.is_https());
        let mut chosen: Option<(HostClass, (u32, u16), HostKey)> = None;
        for (class, key) in self.hosts.matching(&host) {
            if chosen.is_some_and(|(chosen, ..)| chosen != class) {
                break;
            }
            // Within a class (nested wildcards) the key that comes first in order of rank wins.
            let first = leaves
                .iter()
                .filter_map(|leaf| self.first_own(*leaf, key, kept))
                .min();
            if let Some(first) = first
                && chosen.is_none_or(|(_, best, _)| first < best)
            {
                chosen = Some((class, first, key));
            }
        }
        chosen.map(|(_, _, key)| key)
    }

    /// Where the first kept route of a leaf that carries the key stands, in order of rank.
    fn first_own(&self, leaf: Leaf, key: HostKey, kept: Kept) -> Option<(u32, u16)> {
        let mut own = self.group(leaf, key).iter().filter(|entry| entry.is_own);
        let first = own.find(|entry| kept.keeps(entry))?;
        Some((first.route, first.host_position))
    }

    fn rank<R: RequestView + ?Sized>(
        &self,
        leaves: &[Leaf],
        kept: Kept,
        key: Option<HostKey>,
        request: &R,
        path: &RequestPath<'_>,
    ) -> Found<'_> {
        let accepts = |entry: &Entry| {
            kept.keeps(entry) && (!entry.is_filtered || self.route(entry).accepts(request, path))
        };
        let mut best: Option<&Entry> = None;
        let mut is_tied = false;
        for entries in self.candidates(leaves, key) {
            for entry in entries {
                match best {
                    // Entries are in order of rank: what follows is no better.
                    Some(best) if entry.rank > best.rank => break,
                    // The same route by way of another host of its own, or one tie too many.
                    Some(best) if entry.route == best.route => continue,
                    Some(best) if entry.rank == best.rank && is_tied => break,
                    _ => {}
                }
                if accepts(entry) {
                    is_tied = best.is_some_and(|best| best.rank == entry.rank);
                    best = Some(entry);
                }
            }
        }
        match best {
            None => Found::NotFound,
            Some(best) if !is_tied => Found::Route(self.model(best.route)),
            Some(best) => {
                let entries = self.candidates(leaves, key).flatten();
                let tied = entries.filter(|entry| entry.rank == best.rank && accepts(entry));
                self.ambiguous(tied)
            }
        }
    }

    /// What is left after step 3: for each leaf the routes without hosts and those of the key.
    fn candidates(&self, leaves: &[Leaf], key: Option<HostKey>) -> impl Iterator<Item = &[Entry]> {
        leaves.iter().flat_map(move |leaf| {
            let hostless = self.entries(&self.leaves[leaf.index()].hostless);
            let with_key = key.map_or(&[][..], |key| self.group(*leaf, key));
            [with_key, hostless]
        })
    }

    #[cold]
    fn ambiguous<'e>(&self, tied: impl Iterator<Item = &'e Entry>) -> Found<'_> {
        let mut routes: Vec<_> = tied.map(|entry| entry.route).collect();
        routes.sort_unstable();
        routes.dedup();
        let id = |route: &u32| self.model(*route).config.route_id.clone();
        Found::Ambiguous {
            routes: routes.iter().map(id).collect(),
        }
    }

    fn route(&self, entry: &Entry) -> &CompiledRoute {
        &self.routes[entry.route as usize]
    }

    fn model(&self, route: u32) -> &Arc<RouteModel> {
        &self.models[self.routes[route as usize].position as usize]
    }
}

impl Kept {
    fn keeps(self, entry: &Entry) -> bool {
        match self {
            Self::Method(method) => entry.methods.is_empty() || entry.methods.intersects(method),
            Self::Preflight(method) => entry.takes_preflight && entry.methods.intersects(method),
        }
    }
}

/// The method that a CORS preflight request asks for; `None` when the request is none.
fn preflight_method<R: RequestView + ?Sized>(request: &R) -> Option<MethodSet> {
    if !request.method().eq_ignore_ascii_case("OPTIONS") {
        return None;
    }
    let mut has_origin = false;
    request.for_each_field_value("Origin", &mut |_| has_origin = true);
    let mut lines = 0;
    let mut is_empty = true;
    let mut method = MethodSet::default();
    request.for_each_field_value("Access-Control-Request-Method", &mut |value| {
        lines += 1;
        is_empty &= value.is_empty();
        method = std::str::from_utf8(value).map_or(MethodSet::default(), MethodSet::of);
    });
    // Two lines are one value with a comma to ASP.NET: not empty, and no method.
    match lines {
        1 if has_origin && !is_empty => Some(method),
        2.. if has_origin => Some(MethodSet::default()),
        _ => None,
    }
}
