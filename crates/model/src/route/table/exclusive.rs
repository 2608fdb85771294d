//! Which further requests are certain to take the route that one has taken: for who is to let them take it
//! without asking again.
//!
//! It errs on one side. A request that is named here takes the route; of those that are not, many would.

use std::sync::Arc;

use super::build::ParsedRoute;
use crate::route::host::{HostName, HostPattern};
use crate::route::template::{PathTemplate, Segment};
use crate::route::{RequestView, RouteModel};

/// Paths of which it is certain that requests of one host take one route, if their paths have no escapes, no
/// dot segments and no empty ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExclusivePaths {
    /// Which paths.
    pub paths: PathSet,
    /// Whether the method makes no difference; else it is to be the one that was asked for.
    pub any_method: bool,
}

/// A set of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSet {
    /// This one.
    Exactly(String),
    /// Those that begin with a path and with none of some longer ones, these without case.
    Below {
        /// The path; it ends in a slash.
        prefix: String,
        /// The longer ones.
        excluded: Vec<String>,
    },
}

/// Of more routes it is not said: all of them are looked at, by who answers requests meanwhile.
const MOST_ROUTES: usize = 512;

/// What a route may take of the paths that another one takes.
enum Overlap {
    Nothing,
    /// Paths that begin with this.
    Deeper(String),
    Anything,
}

/// See [`RouteTable::exclusive_paths`](super::RouteTable::exclusive_paths).
pub(super) fn exclusive_paths<R: RequestView + ?Sized>(
    models: &[Arc<RouteModel>],
    route: &Arc<RouteModel>,
    request: &R,
    most: usize,
) -> Option<ExclusivePaths> {
    if models.len() > MOST_ROUTES {
        return None;
    }
    // Their places in the list decide nothing here.
    let parse = |model| ParsedRoute::new(model, 0, &mut Vec::new());
    let taken = parse(route)?;
    if taken.is_filtered() || !models.iter().any(|model| Arc::ptr_eq(model, route)) {
        return None;
    }
    let mut others = Vec::new();
    for model in models {
        if !Arc::ptr_eq(model, route) {
            let other = parse(model)?;
            if may_match_host(&other.hosts, request) {
                others.push(other);
            }
        }
    }
    let lists_methods = |route: &ParsedRoute<'_>| !route.methods.is_empty();
    let any_method = !lists_methods(&taken) && !others.iter().any(lists_methods);
    let paths = match below(&taken, &others, request.path(), most) {
        Some(paths) => paths,
        // With the path everything is the same but fields and the query.
        None if others.iter().any(ParsedRoute::has_rules) => return None,
        None => PathSet::Exactly(request.path().to_owned()),
    };
    Some(ExclusivePaths { paths, any_method })
}

/// Whether a route may have to do with requests of this host. Nested wildcards see each other's routes
/// (reference A3.3), so a wildcard counts as matching.
fn may_match_host<R: RequestView + ?Sized>(hosts: &[HostPattern], request: &R) -> bool {
    let matches = |host: &HostPattern| {
        matches!(host.name, HostName::Wildcard(_))
            || host.matches(request.authority(), request.is_https())
    };
    hosts.is_empty() || hosts.iter().any(matches)
}

/// All that lies below the text that a template begins with, if the rest of it is a catch-all.
fn below(
    taken: &ParsedRoute<'_>,
    others: &[ParsedRoute<'_>],
    path: &str,
    most: usize,
) -> Option<PathSet> {
    let (last, literals) = taken.template.segments().split_last()?;
    let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
    if !matches!(last, Segment::CatchAll(_)) || !literals.iter().all(is_literal) {
        return None;
    }
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    let prefix = path.get(..=slashes.nth(literals.len())?)?;
    let mut excluded = Vec::new();
    for other in others {
        // One that ranks behind it and does not ask for a host is not even looked at.
        if taken.rank < other.rank && other.hosts.is_empty() {
            continue;
        }
        match overlap(&other.template, literals) {
            Overlap::Nothing => {}
            Overlap::Anything => return None,
            Overlap::Deeper(path) => excluded.push(path),
        }
    }
    (excluded.len() <= most).then(|| PathSet::Below {
        prefix: prefix.to_owned(),
        excluded,
    })
}

/// What a template may match of the paths that begin with these segments.
fn overlap(template: &PathTemplate, literals: &[Segment]) -> Overlap {
    let mut texts = template
        .segments()
        .iter()
        .map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            _ => None,
        });
    for literal in literals {
        let Segment::Literal(literal) = literal else {
            return Overlap::Anything;
        };
        match texts.next() {
            // Texts of templates are folded.
            Some(text) if text == literal => {}
            Some(_) => return Overlap::Nothing,
            None => return Overlap::Anything,
        }
    }
    let deeper: Vec<_> = texts.collect();
    if deeper.is_empty() {
        return Overlap::Anything;
    }
    let mut path = String::new();
    let literals = literals.iter().filter_map(|segment| match segment {
        Segment::Literal(text) => Some(text.as_str()),
        _ => None,
    });
    for text in literals.chain(deeper) {
        path.push('/');
        path.push_str(text);
    }
    Overlap::Deeper(path)
}
