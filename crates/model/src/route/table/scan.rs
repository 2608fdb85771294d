//! The algorithm of reference A3.1 to the letter, route by route, for comparing: slow and obvious.

use std::sync::Arc;

use crate::ordinal;
use crate::route::host::{HostName, HostPattern};
use crate::route::path::RequestPath;
use crate::route::rules::{HeaderRule, QueryRule};
use crate::route::template::{Guard, PathTemplate, Segment};
use crate::route::{RequestView, RouteBuildError, RouteModel};

pub(super) struct Scan {
    routes: Vec<Route>,
}

struct Route {
    model: Arc<RouteModel>,
    template: PathTemplate,
    hosts: Vec<HostPattern>,
}

impl Scan {
    pub(super) fn new(models: &[Arc<RouteModel>]) -> Self {
        let routes = models.iter().map(|model| {
            let matches = &model.config.matches;
            let path = matches.path.as_deref().unwrap_or("/{**catchall}");
            Route {
                model: Arc::clone(model),
                template: PathTemplate::parse(path).unwrap(),
                hosts: matches
                    .hosts
                    .iter()
                    .map(|host| HostPattern::parse(host).unwrap())
                    .collect(),
            }
        });
        let mut routes: Vec<_> = routes.collect();
        // What "first encountered" means where a host is chosen.
        routes.sort_by(|left, right| {
            let path = |route: &Route| {
                ordinal::fold(
                    route
                        .model
                        .config
                        .matches
                        .path
                        .as_deref()
                        .unwrap_or("/{**catchall}"),
                )
            };
            left.rank()
                .cmp(&right.rank())
                .then(path(left).cmp(&path(right)))
        });
        Self { routes }
    }

    /// The routes whose templates fit the path by structure. Where a route that fits so far has a
    /// segment's text as a literal, what others demand of that text counts too.
    fn fitting(&self, path: &RequestPath<'_>) -> Vec<&Route> {
        let mut fitting: Vec<&Route> = self.routes.iter().collect();
        for (at, segment) in path.segments().enumerate() {
            let names = |route: &&Route| match route.template.segments().get(at) {
                Some(Segment::Literal(text)) => ordinal::eq(text, segment),
                _ => false,
            };
            let is_named = fitting.iter().any(names);
            fitting.retain(|route| {
                let segments = route.template.segments();
                match segments.get(at).or(segments.last()) {
                    Some(Segment::CatchAll(_)) => true,
                    None | Some(_) if at >= segments.len() => false,
                    Some(Segment::Literal(_)) => names(route),
                    Some(guarded) if is_named && !segment.is_empty() => {
                        Guard::of(guarded).is_none_or(|guard| guard.admits(segment))
                    }
                    _ => !segment.is_empty(),
                }
            });
        }
        fitting.retain(|route| path.segments().count() >= route.template.required_segments());
        fitting
    }

    /// The outcome in words, as the tests write it.
    pub(super) fn find<R: RequestView>(&self, request: &R) -> String {
        // Step 1.
        let path = RequestPath::new(request.path());
        let s = self.fitting(&path);
        if s.is_empty() {
            return "404".to_owned();
        }
        // Step 2.
        let kept: Vec<&Route> = match preflight(request) {
            Some(method) if s.iter().any(|route| route.takes_preflight()) => s
                .iter()
                .filter(|route| route.takes_preflight() && route.lists(&method))
                .copied()
                .collect(),
            _ => {
                let method = request.method();
                let kept: Vec<_> = s
                    .iter()
                    .filter(|route| route.methods().is_empty() || route.lists(method))
                    .copied()
                    .collect();
                if kept.is_empty() {
                    let mut allow: Vec<_> = s
                        .iter()
                        .flat_map(|route| route.methods())
                        .map(|method| method.to_ascii_uppercase())
                        .collect();
                    allow.sort();
                    allow.dedup();
                    return format!("405 {}", allow.join(", "));
                }
                kept
            }
        };
        // Step 3.
        let kept = if kept.iter().any(|route| !route.hosts.is_empty()) {
            let any = HostPattern::parse("*").unwrap();
            let keys = kept.iter().flat_map(|route| match &*route.hosts {
                [] => std::slice::from_ref(&any),
                hosts => hosts,
            });
            let matching = keys.filter(|key| key.matches(request.authority(), request.is_https()));
            // `min_by_key` gives the first of the least.
            let Some(key) = matching.min_by_key(|key| class(key)) else {
                return "404".to_owned();
            };
            let has_key = |route: &&&Route| {
                route.hosts.is_empty()
                    || route
                        .hosts
                        .iter()
                        .any(|host| host == key || key.covers(host))
            };
            kept.iter().filter(has_key).copied().collect()
        } else {
            kept
        };
        // Step 4.
        let left: Vec<_> = kept
            .into_iter()
            .filter(|route| route.passes_filters(request, &path))
            .collect();
        // Step 5.
        let Some(best) = left.iter().map(|route| route.rank()).min() else {
            return "404".to_owned();
        };
        match *left
            .iter()
            .filter(|route| route.rank() == best)
            .collect::<Vec<_>>()
        {
            [one] => one.model.config.route_id.clone(),
            ref several => {
                let ids = several
                    .iter()
                    .map(|route| route.model.config.route_id.as_str());
                let mut ids: Vec<_> = ids.collect();
                ids.sort_unstable();
                format!("500 {}", ids.join(" "))
            }
        }
    }
}

impl Route {
    fn methods(&self) -> &[String] {
        &self.model.config.matches.methods
    }

    fn lists(&self, method: &str) -> bool {
        self.methods()
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(method))
    }

    fn takes_preflight(&self) -> bool {
        let policy = self.model.config.cors_policy.as_deref().unwrap_or_default();
        !self.methods().is_empty() && !policy.is_empty()
    }

    fn passes_filters<R: RequestView>(&self, request: &R, path: &RequestPath<'_>) -> bool {
        let matches = &self.model.config.matches;
        let query = request.query().unwrap_or_default();
        self.template.matches(path)
            && matches
                .headers
                .iter()
                .all(|rule| HeaderRule::new(rule).unwrap().holds(request))
            && matches
                .query_parameters
                .iter()
                .all(|rule| QueryRule::new(rule).unwrap().holds(query))
    }

    #[allow(
        clippy::type_complexity,
        reason = "the list of reference A3.1, step 5, as it stands"
    )]
    fn rank(&self) -> (i32, Vec<u8>, bool, bool, isize, isize) {
        let matches = &self.model.config.matches;
        (
            self.model.config.order.unwrap_or(0),
            self.template.precedence(),
            matches.methods.is_empty(),
            matches.hosts.is_empty(),
            -(matches.headers.len() as isize),
            -(matches.query_parameters.len() as isize),
        )
    }
}

fn class(key: &HostPattern) -> u8 {
    match (&key.name, key.port) {
        (HostName::Exact(_), Some(_)) => 1,
        (HostName::Exact(_), None) => 2,
        (HostName::Wildcard(_), Some(_)) => 3,
        (HostName::Wildcard(_), None) => 4,
        (HostName::Any, Some(_)) => 5,
        (HostName::Any, None) => 6,
    }
}

fn preflight<R: RequestView>(request: &R) -> Option<String> {
    let values = |name| {
        let mut values = Vec::new();
        request.for_each_field_value(name, &mut |value| {
            values.push(String::from_utf8_lossy(value).into_owned());
        });
        values
    };
    let method = values("Access-Control-Request-Method").join(",");
    let is_preflight = request.method().eq_ignore_ascii_case("OPTIONS")
        && !values("Origin").is_empty()
        && !method.is_empty();
    is_preflight.then_some(method)
}

/// The outcome of the table, in the same words.
pub(super) fn in_words(found: super::Found<'_>) -> String {
    match found {
        super::Found::Route(route) => route.config.route_id.clone(),
        super::Found::NotFound => "404".to_owned(),
        super::Found::MethodNotAllowed { allow } => format!("405 {allow}"),
        super::Found::Ambiguous { mut routes } => {
            routes.sort_unstable();
            format!("500 {}", routes.join(" "))
        }
    }
}

/// Errors as one text.
pub(super) fn messages(errors: &[RouteBuildError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
