//! Compiling routes into the index.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::host_index::{HostIndex, HostKey};
use super::index::{CompiledRoute, Entry, Filters, Group, Index, LeafRoutes};
use super::path_index::{Leaf, PathIndex};
use crate::ordinal;
use crate::route::host::HostPattern;
use crate::route::method::MethodSet;
use crate::route::rules::{HeaderRule, QueryRule};
use crate::route::template::PathTemplate;
use crate::route::{RouteBuildError, RouteModel};

/// What a route without a path matches (reference A3.5).
const ANY_PATH: &str = "/{**catchall}";

/// A route whose parts are understood, before it has its place.
pub(super) struct ParsedRoute<'a> {
    model: &'a Arc<RouteModel>,
    /// Where it stands in the list of routes.
    pub(super) position: u32,
    pub(super) template: PathTemplate,
    pub(super) hosts: Vec<HostPattern>,
    pub(super) methods: MethodSet,
    headers: Box<[HeaderRule]>,
    query: Box<[QueryRule]>,
    pub(super) rank: Rank,
}

/// What ranks routes that match, smaller first (reference A3.1, step 5).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    order: i32,
    precedence: Vec<u8>,
    has_no_methods: bool,
    has_no_hosts: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
}

pub(super) fn build(models: Box<[Arc<RouteModel>]>) -> Result<Index, Vec<RouteBuildError>> {
    let mut errors = Vec::new();
    let mut parsed: Vec<_> = (0..)
        .zip(&models)
        .filter_map(|(position, model)| ParsedRoute::new(model, position, &mut errors))
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    parsed.sort_by(ParsedRoute::order);
    let mut index = index(parsed);
    index.models = models;
    Ok(index)
}

/// An index of these routes, which are in order; its models are still to be put in.
fn index(parsed: Vec<ParsedRoute<'_>>) -> Index {
    let mut hosts = HostIndex::default();
    // All keys are known before any is asked what covers it.
    for host in parsed.iter().flat_map(|route| &route.hosts) {
        hosts.insert(host);
    }
    let mut paths = PathIndex::default();
    let mut leaves: Vec<LeafRoutes> = Vec::new();
    // In order of rank throughout, since routes are; so are the ranges cut from it.
    let mut placed: Vec<Placed> = Vec::new();
    let mut ranks = Vec::with_capacity(parsed.len());
    let mut rank = 0;
    for (at, route) in parsed.iter().enumerate() {
        if at > 0 && parsed[at - 1].rank != route.rank {
            rank += 1;
        }
        for leaf in paths.insert(&route.template) {
            leaves.resize_with(paths.leaves(), LeafRoutes::default);
            let entry = route.entry(at as u32, rank);
            leaves[leaf.index()].count(&entry);
            leaves[leaf.index()].has_hosts |= !route.hosts.is_empty();
            route.place(leaf, entry, &hosts, &mut placed);
        }
        ranks.push(rank);
    }
    // A stable sort, so that within a leaf and key the order of rank stays.
    placed.sort_by_key(|(leaf, key, _)| (leaf.index(), *key));
    let groups = group(&placed, &mut leaves);
    let routes = ranks.into_iter().zip(parsed);
    let routes = routes.map(|(rank, route)| route.compile(rank)).collect();
    Index {
        models: Box::default(),
        routes,
        paths,
        hosts: Arc::new(hosts),
        leaves: leaves.into(),
        groups,
        entries: placed.into_iter().map(|(_, _, entry)| entry).collect(),
        waste: 0,
    }
}

/// Cuts what is placed, in order, into the ranges of leaves and groups.
fn group(placed: &[Placed], leaves: &mut [LeafRoutes]) -> HashTable<Group> {
    let mut groups = HashTable::new();
    let mut start = 0;
    for same in placed.chunk_by(|left, right| (left.0, left.1) == (right.0, right.1)) {
        let range = start..start + same.len() as u32;
        start = range.end;
        match same[0] {
            (leaf, None, _) => leaves[leaf.index()].hostless = range,
            (leaf, Some(key), _) => {
                let group = Group {
                    leaf,
                    key,
                    entries: range,
                };
                groups.insert_unique(group.hash(), group, Group::hash);
            }
        }
    }
    groups
}

/// An entry, and where it belongs: to a leaf, and to a host key if its route has hosts.
pub(super) type Placed = (Leaf, Option<HostKey>, Entry);

impl<'a> ParsedRoute<'a> {
    /// Parses the parts of a route; puts what is wrong with them into `errors`.
    pub(super) fn new(
        model: &'a Arc<RouteModel>,
        position: u32,
        errors: &mut Vec<RouteBuildError>,
    ) -> Option<Self> {
        let before = errors.len();
        let config = &model.config.matches;
        let mut wrong = |part: String, message: String| {
            let route_id = model.config.route_id.clone();
            errors.push(RouteBuildError {
                route_id,
                part,
                message,
            });
        };
        let template = PathTemplate::parse(path_of(model))
            .map_err(|error| wrong("Match:Path".to_owned(), error.to_string()))
            .ok();
        let mut hosts = Vec::with_capacity(config.hosts.len());
        for (at, host) in config.hosts.iter().enumerate() {
            match HostPattern::parse(host) {
                Ok(host) => hosts.push(host),
                Err(error) => wrong(format!("Match:Hosts:{at}"), error.to_string()),
            }
        }
        let mut methods = MethodSet::default();
        for (at, method) in config.methods.iter().enumerate() {
            let set = MethodSet::of(method);
            if set.is_empty() {
                wrong(
                    format!("Match:Methods:{at}"),
                    format!("{method:?} cannot be routed by"),
                );
            }
            methods = methods.union(set);
        }
        let mut rules = Vec::with_capacity(config.headers.len());
        for (at, rule) in config.headers.iter().enumerate() {
            match HeaderRule::new(rule) {
                Some(rule) => rules.push(rule),
                None => wrong(
                    format!("Match:Headers:{at}:Values"),
                    "a value is empty".to_owned(),
                ),
            }
        }
        let headers = rules.into_boxed_slice();
        let mut rules = Vec::with_capacity(config.query_parameters.len());
        for (at, rule) in config.query_parameters.iter().enumerate() {
            match QueryRule::new(rule) {
                Some(rule) => rules.push(rule),
                None => wrong(
                    format!("Match:QueryParameters:{at}:Values"),
                    "a value is empty".to_owned(),
                ),
            }
        }
        let query = rules.into_boxed_slice();
        if errors.len() > before {
            return None;
        }
        let template = template?;
        let rank = Rank {
            order: model.config.order.unwrap_or(0),
            precedence: template.precedence(),
            has_no_methods: methods.is_empty(),
            has_no_hosts: hosts.is_empty(),
            headers: Reverse(headers.len()),
            query: Reverse(query.len()),
        };
        Some(Self {
            model,
            position,
            template,
            hosts,
            methods,
            headers,
            query,
            rank,
        })
    }

    /// Which of two comes first. Where ranks are equal the path decides, as in ASP.NET's router, which
    /// matters only to the choice among nested wildcards; then their places in the list.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let by_path = || ordinal::cmp(path_of(self.model), path_of(other.model));
        let by_position = || self.position.cmp(&other.position);
        let by_rank = self.rank.cmp(&other.rank);
        by_rank.then_with(by_path).then_with(by_position)
    }

    /// What stands for it at each of its places.
    pub(super) fn entry(&self, route: u32, rank: u32) -> Entry {
        Entry {
            route,
            rank,
            host_position: 0,
            is_own: true,
            is_filtered: self.is_filtered(),
            methods: self.methods,
            takes_preflight: !self.methods.is_empty() && has_cors_policy(self.model),
        }
    }

    /// Puts it into its places at one of its leaves. The index of hosts has all of its own.
    pub(super) fn place(
        &self,
        leaf: Leaf,
        entry: Entry,
        hosts: &HostIndex,
        placed: &mut Vec<Placed>,
    ) {
        if self.hosts.is_empty() {
            placed.push((leaf, None, entry));
            return;
        }
        let keys: SmallVec<[Option<HostKey>; 4]> =
            self.hosts.iter().map(|host| hosts.key(host)).collect();
        for (at, host) in self.hosts.iter().enumerate() {
            if keys[at].is_none() || keys[..at].contains(&keys[at]) {
                continue;
            }
            let host_position = at.min(usize::from(u16::MAX)) as u16;
            let own = Entry {
                host_position,
                ..entry
            };
            placed.push((leaf, keys[at], own));
            let covered = Entry {
                is_own: false,
                ..own
            };
            let above = hosts.covering(host);
            placed.extend(above.map(|above| (leaf, Some(above), covered)));
        }
    }

    /// Whether a request must satisfy more than path structure, method and host.
    pub(super) fn is_filtered(&self) -> bool {
        self.template.has_filters() || self.has_rules()
    }

    /// Whether it asks for fields or parameters of the query.
    pub(super) fn has_rules(&self) -> bool {
        !self.headers.is_empty() || !self.query.is_empty()
    }

    pub(super) fn compile(self, rank: u32) -> CompiledRoute {
        let position = self.position;
        let filters = self.is_filtered().then(|| {
            let template = self.template.has_filters().then_some(self.template);
            Arc::new(Filters {
                template,
                headers: self.headers,
                query: self.query,
            })
        });
        CompiledRoute {
            position,
            rank,
            filters,
        }
    }
}

/// The template of a route. An empty one is as none.
fn path_of(model: &RouteModel) -> &str {
    let path = model.config.matches.path.as_deref();
    path.filter(|path| !path.is_empty()).unwrap_or(ANY_PATH)
}

/// Whether a route has a CORS policy, `Disable` included.
fn has_cors_policy(model: &RouteModel) -> bool {
    model
        .config
        .cors_policy
        .as_deref()
        .is_some_and(|policy| !policy.is_empty())
}
