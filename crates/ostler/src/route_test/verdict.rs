//! Where a request would go, and why: judged by the configuration alone, by the matcher of the front.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use ostler_config::Settings;
use ostler_config::schema::RouteConfig;
use ostler_model::route::MatchPart;
use ostler_model::{ClusterState, DestinationState, Found, RequestView, RouteModel, Snapshot};
use serde::Serialize;

use super::request::Request;

/// The step without which nothing is delegated.
const DELEGATION: &str = "HttpSysDelegation";
/// Steps that this program has.
const STEPS: [&str; 4] = [
    "SessionAffinity",
    "LoadBalancing",
    "PassiveHealthChecks",
    DELEGATION,
];

/// Where a request would go, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    pub(super) method: String,
    pub(super) url: String,
    /// The route that it matches, if it does.
    pub(super) route: Option<Matched>,
    /// What the front answers itself, if it does.
    pub(super) answer: Option<Answer>,
    /// Routes that nearly were the one.
    pub(super) others: Vec<Other>,
    /// What may make it go otherwise, and is not judged here.
    pub(super) notes: Vec<String>,
}

/// A route with what it leads to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Matched {
    pub(super) id: String,
    /// What of it the request satisfies: all of it.
    pub(super) matches: Vec<Part>,
    pub(super) policies: BTreeMap<&'static str, String>,
    pub(super) transforms: usize,
    pub(super) cluster: Option<String>,
    pub(super) load_balancing_policy: Option<String>,
    pub(super) destinations: Vec<Destination>,
}

#[derive(Debug, Serialize)]
pub(super) struct Destination {
    pub(super) id: String,
    pub(super) address: String,
    #[serde(flatten)]
    pub(super) way: Way,
}

/// How a destination is reached.
#[derive(Debug, Serialize)]
#[serde(tag = "way", rename_all = "camelCase")]
pub(super) enum Way {
    /// Handed to whoever serves the request queue.
    Delegated { queue: String },
    /// Sent on over HTTP.
    Forwarded {
        /// Why it is not delegated, where one might expect that.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

/// What the front answers by itself.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) why: String,
}

/// A route that the request does not go to.
#[derive(Debug, Serialize)]
pub(super) struct Other {
    pub(super) id: String,
    /// What of it the request does not satisfy.
    pub(super) unmet: Vec<Part>,
    /// Why it is not the one, where the request satisfies all of it.
    pub(super) why: Option<String>,
}

/// A part of a route's `Match`.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    /// Its key, below the route.
    pub(super) key: String,
    /// What it asks for.
    pub(super) wanted: String,
}

impl Verdict {
    pub(super) fn new(settings: &Settings, snapshot: &Snapshot, request: &Request) -> Self {
        let pipeline = settings.proxy.pipeline.as_deref().unwrap_or_default();
        let said = Self {
            method: request.method().to_owned(),
            url: request.url(),
            route: None,
            answer: None,
            others: Vec::new(),
            notes: notes(settings, pipeline),
        };
        let hosts = &settings.ostler.allowed_hosts;
        if !hosts.are_any() && !hosts.allow(request.authority()) {
            let answer = Answer {
                status: 400,
                why: format!("AllowedHosts does not allow {:?}", request.authority()),
            };
            return Self {
                answer: Some(answer),
                ..said
            };
        }
        let found = snapshot.routes.find(request);
        let route = match &found {
            Found::Route(model) => Some(Matched::new(model, pipeline)),
            _ => None,
        };
        Self {
            others: others(snapshot, request, &found),
            route,
            answer: answer(found),
            ..said
        }
    }
}

fn answer(found: Found<'_>) -> Option<Answer> {
    let (status, why) = match found {
        Found::Route(route) => match &route.cluster {
            None => match &route.action {
                Some(action) => (
                    action.status().as_u16(),
                    "the route itself says what is answered".to_owned(),
                ),
                None => (503, "the route has no cluster".to_owned()),
            },
            Some(cluster) if cluster.destinations().all.is_empty() => {
                (503, "the cluster has no destinations".to_owned())
            }
            Some(_) => return None,
        },
        Found::NotFound => (404, "no route matches".to_owned()),
        Found::MethodNotAllowed { allow } => (
            405,
            format!("no route of this path takes the method; Allow: {allow}"),
        ),
        Found::Ambiguous { routes } => {
            let routes = routes.join(", ");
            (
                500,
                format!("nothing says which of these routes comes first: {routes}"),
            )
        }
    };
    Some(Answer { status, why })
}

impl Matched {
    fn new(route: &RouteModel, pipeline: &[String]) -> Self {
        let config = &route.config;
        let cluster = route.cluster.as_deref();
        Self {
            id: config.route_id.clone(),
            matches: parts(config).map(|part| told(config, part)).collect(),
            policies: policies(route),
            transforms: config.transforms.len(),
            cluster: cluster.map(|cluster| cluster.id().to_owned()),
            load_balancing_policy: cluster.map(load_balancing_policy),
            destinations: cluster.map_or_else(Vec::new, |cluster| {
                let all = cluster.destinations();
                let all = all.all.iter();
                all.map(|state| Destination::new(state, pipeline)).collect()
            }),
        }
    }
}

fn load_balancing_policy(cluster: &ClusterState) -> String {
    cluster.model().load_balancing.name().to_owned()
}

impl Destination {
    fn new(state: &DestinationState, pipeline: &[String]) -> Self {
        let model = state.model();
        let mut steps = pipeline.iter();
        let delegates = steps.any(|step| step.eq_ignore_ascii_case(DELEGATION));
        let way = match &model.queue {
            Some(queue) if delegates => Way::Delegated {
                queue: queue.clone(),
            },
            Some(_) => Way::Forwarded {
                why: Some(format!("Pipeline has no step {DELEGATION}")),
            },
            None => Way::Forwarded { why: None },
        };
        Self {
            id: state.id().to_owned(),
            address: model.config.address.clone(),
            way,
        }
    }
}

/// What the route says that the front looks to before it lets the request through.
fn policies(route: &RouteModel) -> BTreeMap<&'static str, String> {
    let config = &route.config;
    let is_guarded = route.policies.authorization.is_some();
    let authorization = config.authorization_policy.clone();
    let named = [
        (
            "AuthorizationPolicy",
            authorization.or_else(|| is_guarded.then(|| "the fallback policy".to_owned())),
        ),
        ("CorsPolicy", config.cors_policy.clone()),
        ("RateLimiterPolicy", config.rate_limiter_policy.clone()),
        ("TimeoutPolicy", config.timeout_policy.clone()),
        ("Timeout", config.timeout.map(|time| format!("{time:?}"))),
        (
            "MaxRequestBodySize",
            config.max_request_body_size.map(|size| size.to_string()),
        ),
    ];
    let named = named.into_iter();
    named
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

/// Those whose path is the request's. Where there are none and no route matches, those of which the path
/// is all that the request does not satisfy.
fn others(snapshot: &Snapshot, request: &Request, found: &Found<'_>) -> Vec<Other> {
    let chosen = match found {
        Found::Route(route) => Some(&route.config),
        _ => None,
    };
    let routes = snapshot.routes.models().iter().map(|route| &**route);
    let others =
        routes.filter(|route| Some(&route.config.route_id) != chosen.map(|one| &one.route_id));
    let judged = others.map(|route| (&*route.config, route.unmet(request)));
    let (mut near, far): (Vec<_>, Vec<_>) =
        judged.partition(|(_, unmet)| !unmet.contains(&MatchPart::Path));
    if near.is_empty() && chosen.is_none() {
        near = far;
        near.retain(|(_, unmet)| unmet.len() == 1);
    }
    let other = |(config, unmet): (&RouteConfig, Vec<MatchPart>)| Other {
        id: config.route_id.clone(),
        why: unmet.is_empty().then(|| why_behind(config, found)),
        unmet: unmet.into_iter().map(|part| told(config, part)).collect(),
    };
    near.into_iter().map(other).collect()
}

/// Why a route is not the one although the request satisfies all of it.
fn why_behind(route: &RouteConfig, found: &Found<'_>) -> String {
    let order = |route: &RouteConfig| route.order.unwrap_or_default();
    let chosen = match found {
        Found::Route(chosen) => &chosen.config,
        Found::Ambiguous { .. } => return "nothing says that it comes first".to_owned(),
        _ => {
            return "one with a more specific host, or for CORS preflight, stands before it"
                .to_owned();
        }
    };
    match order(route).cmp(&order(chosen)) {
        Ordering::Greater => format!("Order {} comes behind {}", order(route), order(chosen)),
        Ordering::Equal => format!("{} is more specific", chosen.route_id),
        // Before the order counts.
        Ordering::Less if chosen.matches.hosts.is_empty() => {
            format!("CORS preflight requests are for {}", chosen.route_id)
        }
        Ordering::Less => format!("the host of {} is more specific", chosen.route_id),
    }
}

/// The parts of a route's `Match` that are written.
fn parts(config: &RouteConfig) -> impl Iterator<Item = MatchPart> {
    let all = &config.matches;
    let path = all.path.as_ref().map(|_| MatchPart::Path);
    let hosts = (!all.hosts.is_empty()).then_some(MatchPart::Hosts);
    let methods = (!all.methods.is_empty()).then_some(MatchPart::Methods);
    let headers = (0..all.headers.len()).map(MatchPart::Header);
    let query = (0..all.query_parameters.len()).map(MatchPart::QueryParameter);
    let first = [path, hosts, methods].into_iter().flatten();
    first.chain(headers).chain(query)
}

fn told(config: &RouteConfig, part: MatchPart) -> Part {
    let all = &config.matches;
    let rule = |name: &str, mode: String, values: &[String]| match values.is_empty() {
        true => format!("{name} {mode}"),
        false => format!("{name} {mode} {}", values.join(" | ")),
    };
    let (key, wanted) = match part {
        MatchPart::Path => ("Path".to_owned(), all.path.clone().unwrap_or_default()),
        MatchPart::Hosts => ("Hosts".to_owned(), all.hosts.join(" | ")),
        MatchPart::Methods => ("Methods".to_owned(), all.methods.join(" | ")),
        MatchPart::Header(at) => {
            let header = &all.headers[at];
            let wanted = rule(&header.name, format!("{:?}", header.mode), &header.values);
            (format!("Headers:{at}"), wanted)
        }
        MatchPart::QueryParameter(at) => {
            let query = &all.query_parameters[at];
            let wanted = rule(&query.name, format!("{:?}", query.mode), &query.values);
            (format!("QueryParameters:{at}"), wanted)
        }
    };
    Part {
        key: format!("Match:{key}"),
        wanted,
    }
}

fn notes(settings: &Settings, pipeline: &[String]) -> Vec<String> {
    let own = pipeline.iter().filter(|step| {
        let mut known = STEPS.iter();
        !known.any(|known| known.eq_ignore_ascii_case(step))
    });
    let mut notes: Vec<_> = own
        .map(|step| format!("the step {step} may decide otherwise"))
        .collect();
    if settings.static_files.enabled {
        notes.push("a static file of this path is answered before any route".to_owned());
    }
    if let Some(file) = &settings.static_files.navigation_fallback {
        notes.push(format!(
            "a page that no route matches is answered from {file}"
        ));
    }
    notes
}
