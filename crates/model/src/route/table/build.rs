//! Compiling routes into the index.

use std::cmp::Reverse;
use std::sync::Arc;

use hashbrown::HashTable;

use super::host_index::{HostIndex, HostKey};
use super::index::{CompiledRoute, Entry, Filters, Group, Index, LeafRoutes, group_hash};
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

pub(super) fn build(models: &[Arc<RouteModel>]) -> Result<Index, Vec<RouteBuildError>> {
    let mut errors = Vec::new();
    let mut parsed: Vec<_> = models
        .iter()
        .filter_map(|model| ParsedRoute::new(model, &mut errors))
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    // Where ranks are equal the path decides which is first, as in ASP.NET's router. That matters
    // only to the choice among nested wildcards. The sort is stable: then configuration order does.
    parsed.sort_by(|left, right| {
        let by_path = || ordinal::cmp(path_of(left.model), path_of(right.model));
        left.rank.cmp(&right.rank).then_with(by_path)
    });
    Ok(index(models, parsed))
}

fn index(models: &[Arc<RouteModel>], parsed: Vec<ParsedRoute<'_>>) -> Index {
    let mut hosts = HostIndex::default();
    // All keys are known before any is asked what covers it.
    let keys: Vec<Vec<HostKey>> = parsed
        .iter()
        .map(|route| route.hosts.iter().map(|host| hosts.insert(host)).collect())
        .collect();

    let mut paths = PathIndex::default();
    let mut leaves: Vec<LeafRoutes> = Vec::new();
    // In order of rank throughout, since routes are; so are the ranges cut from it.
    let mut placed: Vec<(Leaf, Option<HostKey>, Entry)> = Vec::new();
    let mut rank = 0;
    for (at, route) in parsed.iter().enumerate() {
        if at > 0 && parsed[at - 1].rank != route.rank {
            rank += 1;
        }
        let takes_preflight = !route.methods.is_empty() && has_cors_policy(route.model);
        for leaf in paths.insert(&route.template) {
            leaves.resize_with(paths.leaves(), LeafRoutes::default);
            leaves[leaf.index()].count(route, takes_preflight);
            let mut place = |key, host_position, is_own| {
                let entry = Entry {
                    route: at as u32,
                    rank,
                    host_position,
                    is_own,
                    is_filtered: route.is_filtered(),
                    methods: route.methods,
                    takes_preflight,
                };
                placed.push((leaf, key, entry));
            };
            if route.hosts.is_empty() {
                place(None, 0, true);
            }
            for (position, (host, key)) in route.hosts.iter().zip(&keys[at]).enumerate() {
                let position = position.min(usize::from(u16::MAX)) as u16;
                if keys[at][..usize::from(position)].contains(key) {
                    continue;
                }
                place(Some(*key), position, true);
                hosts
                    .covering(host)
                    .for_each(|above| place(Some(above), position, false));
            }
        }
    }

    // A stable sort, so that within a leaf and key the order of rank stays.
    placed.sort_by_key(|(leaf, key, _)| (leaf.index(), *key));
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
                let hash = |group: &Group| group_hash(group.leaf, group.key);
                groups.insert_unique(hash(&group), group, hash);
            }
        }
    }
    Index {
        models: models.into(),
        routes: parsed.into_iter().map(ParsedRoute::compile).collect(),
        paths,
        hosts,
        leaves: leaves.into(),
        groups,
        entries: placed.into_iter().map(|(_, _, entry)| entry).collect(),
    }
}

impl LeafRoutes {
    /// Takes a route into the sums.
    fn count(&mut self, route: &ParsedRoute<'_>, takes_preflight: bool) {
        self.methods = self.methods.union(route.methods);
        if takes_preflight {
            self.preflight_methods = self.preflight_methods.union(route.methods);
        }
        self.has_any_method |= route.methods.is_empty();
        self.has_hosts |= !route.hosts.is_empty();
    }
}

impl<'a> ParsedRoute<'a> {
    /// Parses the parts of a route; puts what is wrong with them into `errors`.
    pub(super) fn new(
        model: &'a Arc<RouteModel>,
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
            template,
            hosts,
            methods,
            headers,
            query,
            rank,
        })
    }

    /// Whether a request must satisfy more than path structure, method and host.
    pub(super) fn is_filtered(&self) -> bool {
        self.template.has_filters() || self.has_rules()
    }

    /// Whether it asks for fields or parameters of the query.
    pub(super) fn has_rules(&self) -> bool {
        !self.headers.is_empty() || !self.query.is_empty()
    }

    fn compile(self) -> CompiledRoute {
        let model = Arc::clone(self.model);
        let filters = self.is_filtered().then(|| {
            let template = self.template.has_filters().then_some(self.template);
            Box::new(Filters {
                template,
                headers: self.headers,
                query: self.query,
            })
        });
        CompiledRoute { model, filters }
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
