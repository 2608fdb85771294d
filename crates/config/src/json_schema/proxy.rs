//! `ReverseProxy`.

use serde_json::Value;

use super::shape::{
    boolean, integer, list, map, member, metadata, object, policy, text, text_like, texts,
    time_span,
};

pub(super) fn reverse_proxy() -> Value {
    object(
        "YARP's configuration: routes, and the clusters they lead to.",
        vec![
            (
                "Routes",
                map("Routes by id; ids are unique without case.", route()),
            ),
            (
                "Clusters",
                map("Clusters by id; ids are unique without case.", cluster()),
            ),
            (
                "Pipeline",
                list(
                    "The pipeline's steps in order; absent are the first three.",
                    policy(
                        "",
                        &[
                            "SessionAffinity",
                            "LoadBalancing",
                            "PassiveHealthChecks",
                            "HttpSysDelegation",
                        ],
                    ),
                ),
            ),
        ],
    )
}

fn route() -> Value {
    object(
        "A match rule, and what happens to requests that match.",
        vec![
            (
                "ClusterId",
                text("The cluster that answers; 503 when there is none of that id."),
            ),
            ("Match", matches()),
            ("Order", integer("Lower wins; absent counts as 0.")),
            (
                "AuthorizationPolicy",
                policy(
                    "Default, Anonymous, or one of Authorization:Policies.",
                    &["Default"],
                ),
            ),
            (
                "RateLimiterPolicy",
                policy(
                    "Default, Disable, or one of RateLimiter:Policies.",
                    &["Default"],
                ),
            ),
            (
                "OutputCachePolicy",
                policy("One of OutputCache:Policies; not implemented yet.", &[]),
            ),
            (
                "TimeoutPolicy",
                policy(
                    "Disable, or one of RequestTimeouts:Policies; excludes Timeout.",
                    &["Disable"],
                ),
            ),
            (
                "Timeout",
                time_span("Time allowed for the whole exchange; positive; excludes TimeoutPolicy."),
            ),
            (
                "CorsPolicy",
                policy("Default, Disable, or one of Cors:Policies.", &["Default"]),
            ),
            (
                "MaxRequestBodySize",
                integer("Largest request body in bytes; -1 is unlimited."),
            ),
            ("Metadata", metadata()),
            (
                "Transforms",
                list(
                    "Transforms in the order they apply; each an object of its keys.",
                    map("A transform.", text("")),
                ),
            ),
        ],
    )
}

fn matches() -> Value {
    let rule = |what: &str, modes: &[&str]| {
        object(
            what,
            vec![
                ("Name", text_like("Compared without case.", "X-Name")),
                (
                    "Values",
                    texts("Any of which may hold; none for modes that ask for presence."),
                ),
                ("Mode", member("How values are compared.", modes)),
                (
                    "IsCaseSensitive",
                    boolean("Whether values compare with case; false by default."),
                ),
            ],
        )
    };
    object(
        "What a request must look like. Path or Hosts must be there.",
        vec![
            (
                "Path",
                text_like("Path template; absent matches any path.", "/api/{**rest}"),
            ),
            (
                "Hosts",
                texts("Any of which matches: name, *.name, name:port."),
            ),
            (
                "Methods",
                list(
                    "Any of which matches.",
                    policy(
                        "",
                        &[
                            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
                        ],
                    ),
                ),
            ),
            (
                "Headers",
                list(
                    "All of which must hold.",
                    rule(
                        "A rule for a header.",
                        &[
                            "ExactHeader",
                            "HeaderPrefix",
                            "Contains",
                            "NotContains",
                            "Exists",
                            "NotExists",
                        ],
                    ),
                ),
            ),
            (
                "QueryParameters",
                list(
                    "All of which must hold.",
                    rule(
                        "A rule for a query parameter.",
                        &["Exact", "Contains", "NotContains", "Prefix", "Exists"],
                    ),
                ),
            ),
        ],
    )
}

fn cluster() -> Value {
    object(
        "Destinations, and how one of them is chosen and asked.",
        vec![
            (
                "Destinations",
                map(
                    "Destinations by id; ids are unique without case.",
                    destination(),
                ),
            ),
            (
                "LoadBalancingPolicy",
                policy(
                    "How a destination is chosen; PowerOfTwoChoices by default.",
                    &[
                        "PowerOfTwoChoices",
                        "FirstAlphabetical",
                        "Random",
                        "RoundRobin",
                        "LeastRequests",
                    ],
                ),
            ),
            ("SessionAffinity", session_affinity()),
            ("HealthCheck", health_check()),
            ("HttpClient", http_client()),
            ("HttpRequest", http_request()),
            ("Ostler", ostler()),
            ("Metadata", metadata()),
        ],
    )
}

fn ostler() -> Value {
    object(
        "What YARP has no setting for.",
        vec![
            (
                "TryOtherDestinations",
                boolean(
                    "Whether a request goes to another available destination where no connection \
                    to the chosen one opens, so that nothing of it has been sent; true by default.",
                ),
            ),
            (
                "PooledConnectionLifetime",
                time_span(
                    "How long connections to destinations are used, so that a name that moved is \
                    followed; -00:00:00.001 is any time. 00:02:00 by default, and any time where a \
                    destination has an address instead of a name.",
                ),
            ),
        ],
    )
}

fn destination() -> Value {
    object(
        "Where requests may go.",
        vec![
            (
                "Address",
                text_like(
                    "URL that requests are forwarded to; of a delegated destination, the queue's \
                URL prefix.",
                    "http://localhost:5001/",
                ),
            ),
            (
                "Health",
                text_like(
                    "Base of active health probes; falls back to Address.",
                    "http://localhost:5001/",
                ),
            ),
            (
                "Host",
                text_like("Host field for this destination.", "example.com"),
            ),
            (
                "Metadata",
                map(
                    "Free-form settings; HttpSysDelegationQueue names a request queue.",
                    text(""),
                ),
            ),
        ],
    )
}

fn session_affinity() -> Value {
    let cookie = object(
        "The affinity cookie's attributes.",
        vec![
            ("Path", text_like("/ by default.", "/")),
            ("Domain", text_like("Absent: no attribute.", "example.com")),
            ("HttpOnly", boolean("True by default.")),
            (
                "SecurePolicy",
                member(
                    "When the cookie is secure.",
                    &["SameAsRequest", "Always", "None"],
                ),
            ),
            (
                "SameSite",
                member(
                    "Absent: no attribute.",
                    &["Unspecified", "None", "Lax", "Strict"],
                ),
            ),
            ("Expiration", time_span("From now; positive.")),
            ("MaxAge", time_span("In whole seconds; positive.")),
            ("IsEssential", boolean("Without effect on the wire.")),
        ],
    );
    object(
        "Sends a client back to the destination it had before.",
        vec![
            (
                "Enabled",
                boolean("False by default; nothing else counts then."),
            ),
            (
                "Policy",
                policy(
                    "HashCookie by default.",
                    &["HashCookie", "ArrCookie", "Cookie", "CustomHeader"],
                ),
            ),
            (
                "FailurePolicy",
                policy(
                    "Redistribute by default.",
                    &["Redistribute", "Return503Error"],
                ),
            ),
            (
                "AffinityKeyName",
                text_like("Name of the cookie or header; required.", "key"),
            ),
            ("Cookie", cookie),
        ],
    )
}

fn health_check() -> Value {
    let active = object(
        "Probes.",
        vec![
            ("Enabled", boolean("False by default.")),
            ("Interval", time_span("15 seconds by default; positive.")),
            ("Timeout", time_span("10 seconds by default; positive.")),
            (
                "Policy",
                policy("ConsecutiveFailures by default.", &["ConsecutiveFailures"]),
            ),
            ("Path", text_like("Begins with /.", "/health")),
            ("Query", text_like("Begins with ?.", "?q=1")),
        ],
    );
    let passive = object(
        "How requests fare.",
        vec![
            ("Enabled", boolean("False by default.")),
            (
                "Policy",
                policy(
                    "TransportFailureRate by default.",
                    &["TransportFailureRate"],
                ),
            ),
            (
                "ReactivationPeriod",
                time_span("60 seconds by default; positive."),
            ),
        ],
    );
    object(
        "Which destinations are available.",
        vec![
            (
                "AvailableDestinationsPolicy",
                policy(
                    "HealthyOrPanic by default.",
                    &["HealthyOrPanic", "HealthyAndUnknown"],
                ),
            ),
            ("Active", active),
            ("Passive", passive),
        ],
    )
}

fn http_client() -> Value {
    let protocols = [
        "None", "Ssl2", "Ssl3", "Tls", "Tls11", "Tls12", "Tls13", "Default",
    ];
    let web_proxy = object(
        "The proxy through which destinations are reached.",
        vec![
            (
                "Address",
                text_like(
                    "Absolute URI; without it the section has no effect.",
                    "http://proxy:3128/",
                ),
            ),
            ("BypassOnLocal", boolean("False by default.")),
            ("UseDefaultCredentials", boolean("False by default.")),
        ],
    );
    object(
        "The connections to destinations.",
        vec![
            (
                "SslProtocols",
                list(
                    "Versions of TLS; absent: those that are safe.",
                    member("", &protocols),
                ),
            ),
            (
                "DangerousAcceptAnyServerCertificate",
                boolean("Skips every check of certificates."),
            ),
            (
                "MaxConnectionsPerServer",
                integer("Most HTTP/1.1 connections to one endpoint; positive."),
            ),
            (
                "EnableMultipleHttp2Connections",
                boolean("True by default."),
            ),
            (
                "RequestHeaderEncoding",
                policy(
                    "What values are sent in; as the client sent them by default.",
                    &["utf-8", "latin1"],
                ),
            ),
            (
                "ResponseHeaderEncoding",
                policy(
                    "What values are read as; the client gets them as they are by default.",
                    &["utf-8", "latin1"],
                ),
            ),
            ("WebProxy", web_proxy),
        ],
    )
}

fn http_request() -> Value {
    let version = serde_json::json!({ "type": ["string", "number", "null"], "examples": ["2"],
        "description": "1.0, 1.1, 2 or 3; 2 by default." });
    object(
        "The requests to destinations.",
        vec![
            (
                "ActivityTimeout",
                time_span("How long nothing may happen; 100 seconds by default."),
            ),
            ("Version", version),
            (
                "VersionPolicy",
                member(
                    "Which other versions will do.",
                    &[
                        "RequestVersionOrLower",
                        "RequestVersionOrHigher",
                        "RequestVersionExact",
                    ],
                ),
            ),
            ("AllowResponseBuffering", boolean("False by default.")),
        ],
    )
}
