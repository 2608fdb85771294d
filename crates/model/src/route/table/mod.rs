//! The table of routes: found by the algorithm of reference 3.1, among those whose first segment
//! can fit.

use std::collections::HashMap;
use std::sync::Arc;

use super::host::{HostName, HostPattern, RequestHost};
use super::method::MethodSet;
use super::path::RequestPath;
use super::rules::{header_holds, query_holds};
use super::template::PathTemplate;
use super::{RequestFacts, RouteModel};
use crate::ordinal;

#[cfg(test)]
mod tests;

/// A route that cannot be put into a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {route_id:?}: {part}: {message}")]
pub struct RouteBuildError {
    /// The route.
    pub route_id: String,
    /// Which part of it, as the configuration names it.
    pub part: &'static str,
    /// What is wrong.
    pub message: String,
}

/// What a request's routing gives.
#[derive(Debug)]
pub enum Found<'a> {
    /// This route.
    Route(&'a Arc<RouteModel>),
    /// None: 404.
    NotFound,
    /// The path has routes, of other methods: 405.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: String,
    },
    /// Several that nothing ranks: 500.
    Ambiguous {
        /// Their ids.
        routes: Vec<String>,
    },
}

/// Routes, compiled. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    models: Arc<[Arc<RouteModel>]>,
    index: Arc<Index>,
}

#[derive(Debug, Default)]
struct Index {
    entries: Vec<Entry>,
    /// Entries whose template begins with this literal, folded; in order of rank.
    by_first: HashMap<String, Vec<usize>>,
    /// Entries that any first segment may fit, in order of rank.
    others: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    model: Arc<RouteModel>,
    template: PathTemplate,
    hosts: Vec<HostPattern>,
    methods: MethodSet,
    /// Lists methods, and has a CORS policy: preflight requests are matched by the method they ask
    /// for (reference 3.7).
    preflight: bool,
    rank: Rank,
}

/// What decides among routes that match, smaller first (reference 3.1, step 5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    order: i32,
    precedence: Vec<u8>,
    any_method: bool,
    any_host: bool,
    fewer_headers: usize,
    fewer_parameters: usize,
}

impl RouteTable {
    /// Compiles routes.
    ///
    /// # Errors
    ///
    /// Every part of a route that cannot be understood.
    pub fn build(routes: &[Arc<RouteModel>]) -> Result<Self, Vec<RouteBuildError>> {
        let mut errors = Vec::new();
        let mut entries: Vec<_> = routes
            .iter()
            .filter_map(|route| entry(route, &mut errors))
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        entries.sort_by(|a, b| a.rank.cmp(&b.rank));
        let mut by_first: HashMap<String, Vec<usize>> = HashMap::new();
        let mut others = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            match entry.template.first_literal() {
                Some(first) => by_first.entry(ordinal::fold(first)).or_default().push(at),
                None => others.push(at),
            }
        }
        Ok(Self {
            models: routes.into(),
            index: Arc::new(Index {
                entries,
                by_first,
                others,
            }),
        })
    }

    /// The routes, in the order they were given in.
    pub(crate) fn models(&self) -> &[Arc<RouteModel>] {
        &self.models
    }

    /// The route of a request.
    pub fn find<R: RequestFacts + ?Sized>(&self, request: &R) -> Found<'_> {
        let path = RequestPath::new(request.path());
        // Step 1: by structure. The two lists are each in order of rank.
        let index = &*self.index;
        let named = index.named(&path).iter().chain(&index.others);
        let mut fitting = named
            .map(|at| &index.entries[*at])
            .filter(|entry| entry.template.fits(&path));
        let Some(first) = fitting.next() else {
            return Found::NotFound;
        };
        let Some(second) = fitting.next() else {
            return only(first, &path, request);
        };
        let fitting: Vec<_> = [first, second].into_iter().chain(fitting).collect();

        // Step 2: by method.
        let kept: Vec<_> = match by_method(&fitting, request) {
            Ok(kept) => kept,
            Err(answer) => return answer,
        };
        // Step 3: by host.
        let Some(kept) = by_host(kept, request) else {
            return Found::NotFound;
        };
        // Steps 4 and 5: by parts, then by rank.
        let mut best: Vec<&Entry> = Vec::new();
        for entry in kept.into_iter().filter(|entry| entry.holds(&path, request)) {
            match best.first().map(|best| entry.rank.cmp(&best.rank)) {
                None | Some(std::cmp::Ordering::Less) => best = vec![entry],
                Some(std::cmp::Ordering::Equal) => best.push(entry),
                Some(std::cmp::Ordering::Greater) => {}
            }
        }
        match best[..] {
            [] => Found::NotFound,
            [one] => Found::Route(&one.model),
            _ => Found::Ambiguous {
                routes: best
                    .iter()
                    .map(|entry| entry.model.config.route_id.clone())
                    .collect(),
            },
        }
    }
}

impl Index {
    /// Entries whose template begins as the path does.
    fn named(&self, path: &RequestPath<'_>) -> &[usize] {
        let Some(first) = path.segments_for_look_up().next() else {
            return &[];
        };
        // The keys are folded; an ordinary segment is folded on the stack.
        let mut buffer = [0; 64];
        let found = match buffer.get_mut(..first.len()) {
            Some(folded) if first.is_ascii() => {
                folded.copy_from_slice(first.as_bytes());
                folded.make_ascii_uppercase();
                std::str::from_utf8(folded)
                    .ok()
                    .and_then(|folded| self.by_first.get(folded))
            }
            _ => self.by_first.get(&ordinal::fold(first)),
        };
        found.map_or(&[], Vec::as_slice)
    }
}

/// The one route that fits by its structure, if the rest fits too.
fn only<'a, R: RequestFacts + ?Sized>(
    entry: &'a Entry,
    path: &RequestPath<'_>,
    request: &R,
) -> Found<'a> {
    let kept = match by_method(&[entry], request) {
        Ok(kept) => kept,
        Err(answer) => return answer,
    };
    match by_host(kept, request) {
        Some(kept) if kept.first().is_some_and(|entry| entry.holds(path, request)) => {
            Found::Route(&entry.model)
        }
        _ => Found::NotFound,
    }
}

fn by_method<'a, R: RequestFacts + ?Sized>(
    fitting: &[&'a Entry],
    request: &R,
) -> Result<Vec<&'a Entry>, Found<'static>> {
    if fitting.iter().all(|entry| entry.methods.is_empty()) {
        return Ok(fitting.to_vec());
    }
    if let Some(asked) = preflight(request)
        && fitting.iter().any(|entry| entry.preflight)
    {
        let asked = MethodSet::of(&asked);
        let kept = fitting
            .iter()
            .filter(|entry| entry.preflight && entry.methods.intersects(asked));
        let kept: Vec<_> = kept.copied().collect();
        return if kept.is_empty() {
            Err(Found::NotFound)
        } else {
            Ok(kept)
        };
    }
    let method = MethodSet::of(request.method());
    let kept: Vec<_> = fitting
        .iter()
        .filter(|entry| entry.methods.is_empty() || entry.methods.intersects(method))
        .copied()
        .collect();
    if kept.is_empty() {
        let all = fitting
            .iter()
            .fold(MethodSet::default(), |all, entry| all.union(entry.methods));
        return Err(Found::MethodNotAllowed { allow: all.allow() });
    }
    Ok(kept)
}

/// The method a CORS preflight request asks for.
fn preflight<R: RequestFacts + ?Sized>(request: &R) -> Option<String> {
    if !request.method().eq_ignore_ascii_case("OPTIONS") {
        return None;
    }
    let first = |name: &str| {
        let mut found = None;
        request.for_each_field_value(name, &mut |value| {
            found.get_or_insert_with(|| String::from_utf8_lossy(value).into_owned());
        });
        found
    };
    first("Origin")?;
    first("Access-Control-Request-Method").filter(|method| !method.is_empty())
}

/// Keeps the routes of the most specific host key that matches, and those without hosts; `None`
/// when no key matches.
fn by_host<'a, R: RequestFacts + ?Sized>(
    kept: Vec<&'a Entry>,
    request: &R,
) -> Option<Vec<&'a Entry>> {
    if kept.iter().all(|entry| entry.hosts.is_empty()) {
        return Some(kept);
    }
    let (authority, https) = (request.authority(), request.is_https());
    let host = RequestHost::new(authority, https);
    let class = |pattern: &HostPattern| {
        let by_name = match pattern.name {
            HostName::Exact(_) => 0,
            HostName::Wildcard(_) => 2,
            HostName::Any => 4,
        };
        by_name + usize::from(pattern.port.is_none())
    };
    let hosts = kept.iter().flat_map(|entry| &entry.hosts);
    let matching = hosts.filter(|pattern| matches_host(pattern, authority, https, &host));
    let key = matching.min_by_key(|pattern| class(pattern));
    let has_any = kept.iter().any(|entry| entry.hosts.is_empty());
    match key {
        Some(key) => Some(
            kept.into_iter()
                .filter(|entry| {
                    entry.hosts.is_empty()
                        || entry.hosts.iter().any(|pattern| {
                            pattern == key
                                || key.covers(pattern) && pattern.matches(authority, https)
                        })
                })
                .collect(),
        ),
        None if has_any => Some(
            kept.into_iter()
                .filter(|entry| entry.hosts.is_empty())
                .collect(),
        ),
        None => None,
    }
}

fn matches_host(
    pattern: &HostPattern,
    authority: &str,
    https: bool,
    host: &RequestHost<'_>,
) -> bool {
    // The port first: it costs nothing.
    pattern.port.is_none_or(|port| Some(port) == host.port()) && pattern.matches(authority, https)
}

impl Entry {
    fn holds<R: RequestFacts + ?Sized>(&self, path: &RequestPath<'_>, request: &R) -> bool {
        let matches = &self.model.config.matches;
        self.template.accepts(path)
            && matches
                .headers
                .iter()
                .all(|rule| header_holds(rule, request))
            && matches
                .query_parameters
                .iter()
                .all(|rule| query_holds(rule, request.query()))
    }
}

fn entry(route: &Arc<RouteModel>, errors: &mut Vec<RouteBuildError>) -> Option<Entry> {
    let matches = &route.config.matches;
    let mut error = |part, message: String| {
        errors.push(RouteBuildError {
            route_id: route.config.route_id.clone(),
            part,
            message,
        });
    };
    // A route without a path is one for every path.
    let template = match PathTemplate::parse(matches.path.as_deref().unwrap_or("/{**catchall}")) {
        Ok(template) => Some(template),
        Err(reason) => {
            error("Match:Path", reason.to_string());
            None
        }
    };
    let mut hosts = Vec::new();
    for host in matches.hosts.iter().filter(|host| !host.is_empty()) {
        match HostPattern::parse(host) {
            Ok(host) => hosts.push(host),
            Err(reason) => error("Match:Hosts", reason.to_string()),
        }
    }
    let mut methods = MethodSet::default();
    for method in &matches.methods {
        let one = MethodSet::of(method);
        if one.is_empty() {
            error("Match:Methods", format!("{method:?} is not supported"));
        }
        methods = methods.union(one);
    }
    let template = template?;
    let cors = route
        .config
        .cors_policy
        .as_ref()
        .is_some_and(|policy| !policy.is_empty());
    let rank = Rank {
        order: route.config.order.unwrap_or(0),
        precedence: template.precedence(),
        any_method: methods.is_empty(),
        any_host: hosts.is_empty(),
        fewer_headers: usize::MAX - matches.headers.len(),
        fewer_parameters: usize::MAX - matches.query_parameters.len(),
    };
    let preflight = cors && !methods.is_empty();
    Some(Entry {
        model: Arc::clone(route),
        template,
        hosts,
        methods,
        preflight,
        rank,
    })
}
