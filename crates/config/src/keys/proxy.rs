//! `ReverseProxy`: routes and what they match. Clusters stand beside.

use super::Value::{
    AnyText, Boolean, Integer, Map, Member, Name, Names, Object as Section, Objects, Text, TextMap,
    TextMaps, Texts, TimeSpan,
};
use super::cluster::CLUSTER;
use super::{Key, Object, Origin};

/// The steps that a pipeline may name; a program of one's own has more.
pub(crate) const STEPS: [&str; 4] = [
    "SessionAffinity",
    "LoadBalancing",
    "PassiveHealthChecks",
    "HttpSysDelegation",
];

pub(crate) static REVERSE_PROXY: Object = Object::new(
    Origin::Yarp,
    "Routes, and the clusters they lead to. The section may have another name, which `--section` says.",
    &[
        Key::new("Routes", Map(&ROUTE), "Routes by id; ids are unique without case."),
        Key::new("Clusters", Map(&CLUSTER), "Clusters by id; ids are unique without case.")
            .formerly(&["Backends"]),
        Key::new(
            "Pipeline",
            Names(&STEPS),
            "The pipeline's steps in order. `HttpSysDelegation` hands requests to the request queues that \
             destinations name. A program of one's own may have more steps.",
        )
        .default(r#"["SessionAffinity", "LoadBalancing", "PassiveHealthChecks"]"#)
        .example(r#"["SessionAffinity", "LoadBalancing", "PassiveHealthChecks", "HttpSysDelegation"]"#)
        .origin(Origin::Code("MapReverseProxy")),
    ],
);

pub(crate) static ROUTE: Object = Object::new(
    Origin::Yarp,
    "A match rule, and what happens to requests that match.",
    &[
        Key::new(
            "ClusterId",
            AnyText,
            "The cluster that answers. Without one, or where none has this id, requests are answered 503.",
        )
        .example(r#""cluster1""#)
        .formerly(&["BackendId"]),
        Key::new("Match", Section(&MATCH), "What a request must look like."),
        Key::new("Order", Integer, "Of several routes that match, the one with the lowest wins.")
            .default("0")
            .example("-1"),
        Key::new(
            "AuthorizationPolicy",
            Name(&["Default", "Anonymous"]),
            "Who is let in: one of `Authorization:Policies`.",
        )
        .example(r#""Default""#),
        Key::new(
            "RateLimiterPolicy",
            Name(&["Default", "Disable"]),
            "How many requests are let in: one of `RateLimiter:Policies`.",
        )
        .example(r#""Disable""#),
        Key::new(
            "OutputCachePolicy",
            Name(&[]),
            "One of `OutputCache:Policies`. Nothing is cached yet.",
        ),
        Key::new(
            "TimeoutPolicy",
            Name(&["Disable"]),
            "How long an exchange may take: one of `RequestTimeouts:Policies`. Excludes `Timeout`.",
        ),
        Key::new(
            "Timeout",
            TimeSpan,
            "How long an exchange may take; positive. Excludes `TimeoutPolicy`.",
        ),
        Key::new(
            "CorsPolicy",
            Name(&["Default", "Disable"]),
            "What browsers let pages of other origins do: one of `Cors:Policies`.",
        )
        .example(r#""Disable""#),
        Key::new(
            "MaxRequestBodySize",
            Integer,
            "The largest body of a request, in bytes; more is 413. -1 is any size.",
        )
        .default("that of `Kestrel:Limits`")
        .example("1000000"),
        Key::new(
            "Redirect",
            Section(&REDIRECT),
            "Where requests are sent instead. Excludes `ClusterId` and `Respond`.",
        )
        .origin(Origin::Ostler),
        Key::new(
            "Respond",
            Section(&RESPOND),
            "What requests are answered instead. Excludes `ClusterId` and `Redirect`.",
        )
        .origin(Origin::Ostler),
        Key::new("Metadata", TextMap, "Free-form settings, for steps of one's own."),
        Key::new(
            "Transforms",
            TextMaps,
            "What is changed of requests and responses, in this order: see below.",
        )
        .example(r#"[{ "PathRemovePrefix": "/api" }, { "RequestHeader": "X-From", "Set": "front" }]"#),
        Key::new(
            "RouteId",
            AnyText,
            "Of the format of before 1.0, in which routes were an array: an error.",
        )
        .idle(),
    ],
);

pub(crate) static REDIRECT: Object = Object::new(
    Origin::Ostler,
    "A route's requests are sent elsewhere. Its policies hold.",
    &[
        Key::new("StatusCode", Integer, "301, 302, 303, 307 or 308.")
            .default("307")
            .example("308"),
        Key::new(
            "Location",
            Text,
            "Where to: `{name}` is a value of the route's path, or `{scheme}`, `{host}` (without its port), `{path}`, `{query}` \
             (with its `?`, if there is one), `{uri}` (the last two). Required.",
        )
        .example(r#""https://{host}{uri}""#),
    ],
);

pub(crate) static RESPOND: Object = Object::new(
    Origin::Ostler,
    "A route's requests are answered as it says. Its policies hold.",
    &[
        Key::new("StatusCode", Integer, "From 200 to 599.")
            .default("200")
            .example("410"),
        Key::new("Body", AnyText, "The body.").example(r#""gone for good""#),
        Key::new("ContentType", Text, "The body's type.")
            .default(r#""text/plain; charset=utf-8" with a body"#)
            .example(r#""text/plain""#),
        Key::new("Headers", TextMap, "Further fields.")
            .example(r#"{ "Cache-Control": "no-store" }"#),
    ],
);

pub(crate) static MATCH: Object = Object::new(
    Origin::Yarp,
    "What a request must look like. `Path` or `Hosts` must be there; all that is there must hold.",
    &[
        Key::new(
            "Path",
            Text,
            "A path template: `/api/{id}` is one segment, `{id:int}` one that is a number, `{**rest}` \
             everything below.",
        )
        .default("any path")
        .example(r#""/api/{**rest}""#),
        Key::new(
            "Hosts",
            Texts,
            "Any of which matches: `name`, `*.name`, `name:port`; names in Unicode or as `xn--`.",
        )
        .default("any host")
        .example(r#"["example.com", "*.example.org:8443"]"#),
        Key::new(
            "Methods",
            Names(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]),
            "Any of which matches.",
        )
        .default("any method")
        .example(r#"["GET", "HEAD"]"#),
        Key::new("Headers", Objects(&HEADER_RULE), "Rules about fields; all must hold."),
        Key::new(
            "QueryParameters",
            Objects(&QUERY_RULE),
            "Rules about the query's parameters; all must hold.",
        ),
    ],
);

const RULE_NAME: Key = Key::new(
    "Name",
    Text,
    "Of the field or parameter, without case. Required.",
)
.example(r#""X-Tenant""#);
const RULE_VALUES: Key = Key::new(
    "Values",
    Texts,
    "Any of which will do. Required, but for modes that ask for presence, which have none.",
)
.example(r#"["blue", "green"]"#);
const RULE_CASE: Key = Key::new(
    "IsCaseSensitive",
    Boolean,
    "Whether values compare with case.",
)
.default("false");

pub(crate) static HEADER_RULE: Object = Object::new(
    Origin::Yarp,
    "What must hold of a request's field.",
    &[
        RULE_NAME,
        RULE_VALUES,
        Key::new(
            "Mode",
            Member(&[
                "ExactHeader",
                "HeaderPrefix",
                "Contains",
                "NotContains",
                "Exists",
                "NotExists",
            ]),
            "How values are compared.",
        )
        .default(r#""ExactHeader""#),
        RULE_CASE,
    ],
);

pub(crate) static QUERY_RULE: Object = Object::new(
    Origin::Yarp,
    "What must hold of a query's parameter.",
    &[
        RULE_NAME,
        RULE_VALUES,
        Key::new(
            "Mode",
            Member(&["Exact", "Contains", "NotContains", "Prefix", "Exists"]),
            "How values are compared.",
        )
        .default(r#""Exact""#),
        RULE_CASE,
    ],
);
