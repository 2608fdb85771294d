//! `ReverseProxy:Clusters`: destinations, and how they are chosen, watched and asked.

use super::Value::{
    AnyText, Boolean, Integer, Map, Member, Members, Name, Object as Section, Text, TextMap,
    TimeSpan, Version,
};
use super::{Key, Object, Origin};

pub(crate) static CLUSTER: Object = Object::new(
    Origin::Yarp,
    "Destinations, and how one of them is chosen and asked.",
    &[
        Key::new("Destinations", Map(&DESTINATION), "Destinations by id; ids are unique without case.")
            .formerly(&["Backends"]),
        Key::new(
            "LoadBalancingPolicy",
            Name(&["PowerOfTwoChoices", "FirstAlphabetical", "Random", "RoundRobin", "LeastRequests"]),
            "How one of the available destinations is chosen.",
        )
        .default(r#""PowerOfTwoChoices""#)
        .example(r#""RoundRobin""#),
        Key::new(
            "SessionAffinity",
            Section(&SESSION_AFFINITY),
            "Sends a client back to the destination it had before.",
        ),
        Key::new("HealthCheck", Section(&HEALTH_CHECK), "Which destinations are available.")
            .formerly(&["HealthCheckOptions", "HealthChecks"]),
        Key::new("HttpClient", Section(&HTTP_CLIENT), "The connections to destinations.")
            .formerly(&["HttpClientOptions"]),
        Key::new("HttpRequest", Section(&HTTP_REQUEST), "The requests to destinations.")
            .formerly(&["HttpRequestOptions"]),
        Key::new("Ostler", Section(&CLUSTER_OSTLER), "What YARP has no setting for.")
            .origin(Origin::Ostler),
        Key::new(
            "Metadata",
            TextMap,
            "Free-form settings. Two mean something: `ConsecutiveFailuresHealthPolicy.Threshold` (2), after \
             how many failed probes a destination is unhealthy, and \
             `TransportFailureRateHealthPolicy.RateLimit` (0.3), the share of failures at which it is.",
        )
        .example(r#"{ "ConsecutiveFailuresHealthPolicy.Threshold": "3" }"#),
        Key::new("ClusterId", AnyText, "Of the format of before 1.0: the id is the key.").idle(),
    ],
)
.gone(&[("LoadBalancing", "write its Mode as LoadBalancingPolicy")]);

pub(crate) static DESTINATION: Object = Object::new(
    Origin::Yarp,
    "Where requests may go.",
    &[
        Key::new(
            "Address",
            Text,
            "The URL that requests are forwarded to, whose path is put before theirs; of a delegated \
             destination the URL prefix that the target has registered. Required.",
        )
        .example(r#""http://localhost:5001/""#),
        Key::new("Health", Text, "The URL that active probes are sent to.")
            .default("`Address`")
            .example(r#""http://localhost:5001/""#),
        Key::new("Host", Text, "The `Host` field of requests to this destination.")
            .default("that of `Address`")
            .example(r#""example.com""#),
        Key::new(
            "Metadata",
            TextMap,
            "Free-form settings. `HttpSysDelegationQueue` names the request queue that requests are handed to, \
             if the pipeline has the step `HttpSysDelegation`.",
        )
        .example(r#"{ "HttpSysDelegationQueue": "shop" }"#),
    ],
);

pub(crate) static SESSION_AFFINITY: Object = Object::new(
    Origin::Yarp,
    "Sends a client back to the destination it had before. Nothing in it counts unless it is enabled.",
    &[
        Key::new("Enabled", Boolean, "Whether clients are sent back.").default("false"),
        Key::new(
            "Policy",
            Name(&["HashCookie", "ArrCookie", "Cookie", "CustomHeader"]),
            "How the destination is told: by a cookie with a hash of its id, one as Microsoft's ARR has it, or \
             by its encrypted id in a cookie or a field (see `Ostler:DataProtection`).",
        )
        .default(r#""HashCookie""#)
        .formerly(&["Mode", "Provider"]),
        Key::new(
            "FailurePolicy",
            Name(&["Redistribute", "Return503Error"]),
            "What happens when that destination is not available.",
        )
        .default(r#""Redistribute""#)
        .example(r#""Return503Error""#),
        Key::new("AffinityKeyName", Text, "The name of the cookie or field. Required.")
            .example(r#""affinity""#),
        Key::new("Cookie", Section(&AFFINITY_COOKIE), "The cookie's attributes."),
    ],
)
.gone(&[(
    "Settings",
    "write the name of the cookie or header as AffinityKeyName, and a cookie's attributes in Cookie",
)]);

pub(crate) static AFFINITY_COOKIE: Object = Object::new(
    Origin::Yarp,
    "The affinity cookie's attributes.",
    &[
        Key::new("Path", Text, "The paths that it is sent to.")
            .default(r#""/""#)
            .example(r#""/shop""#),
        Key::new("Domain", Text, "The domain that it is sent to.")
            .default("no attribute")
            .example(r#""example.com""#),
        Key::new("HttpOnly", Boolean, "Whether scripts cannot read it.").default("true"),
        Key::new(
            "SecurePolicy",
            Member(&["SameAsRequest", "Always", "None"]),
            "Whether it is sent over https alone.",
        )
        .default(r#""None""#)
        .example(r#""SameAsRequest""#),
        Key::new(
            "SameSite",
            Member(&["Unspecified", "None", "Lax", "Strict"]),
            "Whether other sites' requests carry it.",
        )
        .default(r#""Unspecified""#)
        .example(r#""Lax""#),
        Key::new(
            "Expiration",
            TimeSpan,
            "Until when it is kept, from now; positive.",
        )
        .default("the end of the browser's session")
        .example(r#""1.00:00:00""#),
        Key::new(
            "MaxAge",
            TimeSpan,
            "For how long it is kept, in whole seconds; positive.",
        )
        .default("the end of the browser's session")
        .example(r#""01:00:00""#),
        Key::new("IsEssential", Boolean, "Without effect on what is sent.").default("false"),
    ],
);

pub(crate) static HEALTH_CHECK: Object = Object::new(
    Origin::Yarp,
    "Which destinations are available.",
    &[
        Key::new(
            "AvailableDestinationsPolicy",
            Name(&["HealthyOrPanic", "HealthyAndUnknown"]),
            "What is done when no destination is healthy: all are taken for available, or none.",
        )
        .default(r#""HealthyOrPanic""#)
        .example(r#""HealthyAndUnknown""#),
        Key::new("Active", Section(&ACTIVE_HEALTH_CHECK), "Probes."),
        Key::new(
            "Passive",
            Section(&PASSIVE_HEALTH_CHECK),
            "How requests fare.",
        ),
    ],
)
.gone(&[
    ("Enabled", "write it in Active or in Passive"),
    ("Interval", "write it in Active"),
    ("Timeout", "write it in Active"),
    ("Path", "write it in Active"),
    (
        "Port",
        "write a URL with the port as Health of the destination",
    ),
]);

pub(crate) static ACTIVE_HEALTH_CHECK: Object = Object::new(
    Origin::Yarp,
    "Probes: requests of the front's own to every destination.",
    &[
        Key::new("Enabled", Boolean, "Whether destinations are probed.").default("false"),
        Key::new(
            "Interval",
            TimeSpan,
            "From the end of a round of probes to the next; positive.",
        )
        .default(r#""00:00:15""#),
        Key::new("Timeout", TimeSpan, "How long a probe may take; positive.")
            .default(r#""00:00:10""#),
        Key::new(
            "Policy",
            Name(&["ConsecutiveFailures"]),
            "What is made of failed probes.",
        )
        .default(r#""ConsecutiveFailures""#),
        Key::new("Path", Text, "What is asked for; begins with `/`.")
            .default("that of `Health` or `Address`")
            .example(r#""/health""#),
        Key::new("Query", Text, "The query behind it; begins with `?`.")
            .default("none")
            .example(r#""?from=front""#),
    ],
)
.gone(&[(
    "Threshold",
    "write it in the cluster's Metadata as ConsecutiveFailuresHealthPolicy.Threshold",
)]);

const RATE_LIMIT: &str =
    "write it in the cluster's Metadata as TransportFailureRateHealthPolicy.RateLimit";

pub(crate) static PASSIVE_HEALTH_CHECK: Object = Object::new(
    Origin::Yarp,
    "How requests fare.",
    &[
        Key::new("Enabled", Boolean, "Whether failures of requests count.").default("false"),
        Key::new(
            "Policy",
            Name(&["TransportFailureRate"]),
            "What is made of failures.",
        )
        .default(r#""TransportFailureRate""#),
        Key::new(
            "ReactivationPeriod",
            TimeSpan,
            "After what time an unhealthy destination is tried again; positive.",
        )
        .default(r#""00:01:00""#),
    ],
)
.gone(&[("RateLimit", RATE_LIMIT), ("Threshold", RATE_LIMIT)]);

/// What .NET's enumeration of versions of TLS has.
pub(crate) const SSL_PROTOCOLS: [&str; 8] = [
    "None", "Ssl2", "Ssl3", "Tls", "Tls11", "Tls12", "Tls13", "Default",
];

pub(crate) static HTTP_CLIENT: Object = Object::new(
    Origin::Yarp,
    "The connections to destinations.",
    &[
        Key::new(
            "SslProtocols",
            Members(&SSL_PROTOCOLS),
            "Versions of TLS. 1.2 and 1.3 are spoken; others are warned of.",
        )
        .default("those that are safe")
        .example(r#"["Tls12", "Tls13"]"#),
        Key::new(
            "DangerousAcceptAnyServerCertificate",
            Boolean,
            "Whether certificates of destinations are not checked at all.",
        )
        .default("false")
        .formerly(&["AcceptAnyServerCertificate"]),
        Key::new(
            "MaxConnectionsPerServer",
            Integer,
            "Most HTTP/1.1 connections to one endpoint, of all threads together; positive.",
        )
        .default("any number")
        .example("100"),
        Key::new(
            "EnableMultipleHttp2Connections",
            Boolean,
            "Whether another HTTP/2 connection is opened when all streams of the others are in use.",
        )
        .default("true"),
        Key::new(
            "RequestHeaderEncoding",
            Name(&["utf-8", "latin1"]),
            "The encoding of field values that are sent.",
        )
        .default("as the client sent them"),
        Key::new(
            "ResponseHeaderEncoding",
            Name(&["utf-8", "latin1"]),
            "The encoding that field values are read in.",
        )
        .default("the client gets them as they are"),
        Key::new("WebProxy", Section(&WEB_PROXY), "The proxy through which destinations are reached."),
    ],
)
.gone(&[
    ("PropagateActivityContext", "there is no such switch any more: remove it"),
    ("ActivityContextHeaders", "there is no such switch any more: remove it"),
]);

pub(crate) static WEB_PROXY: Object = Object::new(
    Origin::Yarp,
    "The proxy through which destinations are reached. Without an address the section has no effect.",
    &[
        Key::new(
            "Address",
            Text,
            "An absolute URI of the scheme `http`, `https`, `socks4`, `socks4a` or `socks5`, perhaps with \
             `user:password@`.",
        )
        .example(r#""http://proxy:3128/""#),
        Key::new("BypassOnLocal", Boolean, "Whether local names are asked without it.").default("false"),
        Key::new("UseDefaultCredentials", Boolean, "There are none here: a warning.").default("false")
            .example("false"),
    ],
);

pub(crate) static HTTP_REQUEST: Object = Object::new(
    Origin::Yarp,
    "The requests to destinations.",
    &[
        Key::new(
            "ActivityTimeout",
            TimeSpan,
            "How long nothing may happen in an exchange; `-00:00:00.001` is for ever.",
        )
        .default(r#""00:01:40""#)
        .formerly(&["Timeout", "RequestTimeout"]),
        Key::new("Version", Version, "The version of HTTP that is wanted.").default(r#""2""#),
        Key::new(
            "VersionPolicy",
            Member(&[
                "RequestVersionOrLower",
                "RequestVersionOrHigher",
                "RequestVersionExact",
            ]),
            "Which other versions will do. Over `http` the first of these is HTTP/1.1.",
        )
        .default(r#""RequestVersionOrLower""#),
        Key::new(
            "AllowResponseBuffering",
            Boolean,
            "Whether a response may be held back to be sent in larger pieces.",
        )
        .default("false"),
    ],
);

pub(crate) static CLUSTER_OSTLER: Object = Object::new(
    Origin::Ostler,
    "What YARP has no setting for.",
    &[
        Key::new(
            "TryOtherDestinations",
            Boolean,
            "Whether a request goes to another available destination where no connection to the chosen one opens, \
             so that nothing of it has been sent.",
        )
        .default("true"),
        Key::new(
            "PooledConnectionLifetime",
            TimeSpan,
            "How long connections to destinations are used, so that a name that moved is followed; \
             `-00:00:00.001` is any time.",
        )
        .default("`00:02:00` where a destination has a name, any time where it has an address")
        .example(r#""00:01:00""#)
        .origin(Origin::Code("SocketsHttpHandler")),
        Key::new(
            "Leases",
            Boolean,
            "Whether targets of request queues may read the next requests of a client's connection \
             themselves, where it is certain that they would be given them.",
        )
        .default("true"),
    ],
);
