//! Every metric of this crate's, described.

use super::family::{Description, Kind};

const fn describe(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    help: &'static str,
    attributes: &'static [&'static str],
) -> Description {
    Description {
        name,
        kind,
        unit,
        help,
        attributes,
    }
}

pub(crate) static SERVER_DURATION: Description = describe(
    "http.server.request.duration",
    Kind::Histogram,
    "s",
    "From a request's head to the end of its exchange",
    &[
        "http.request.method",
        "url.scheme",
        "http.route",
        "http.response.status_code",
        "network.protocol.version",
        "error.type",
    ],
);

pub(crate) static ACTIVE_REQUESTS: Description = describe(
    "http.server.active_requests",
    Kind::Gauge,
    "{request}",
    "Exchanges under way",
    &["http.request.method", "url.scheme"],
);

pub(crate) static CLIENT_DURATION: Description = describe(
    "http.client.request.duration",
    Kind::Histogram,
    "s",
    "Of a forwarded request, from the decision where it goes to the head of its response",
    &[
        "http.request.method",
        "url.scheme",
        "server.address",
        "server.port",
        "http.response.status_code",
        "error.type",
    ],
);

pub(crate) static EXCHANGES: Description = describe(
    "ostler.exchanges",
    Kind::Counter,
    "{exchange}",
    "Exchanges that are over, by the way they went and why it was not the delegated one",
    &[
        "ostler.route",
        "ostler.cluster",
        "ostler.destination",
        "ostler.way",
        "ostler.reason",
    ],
);

pub(crate) static STAGES: Description = describe(
    "ostler.exchange.stage.duration",
    Kind::Histogram,
    "s",
    "How long exchanges were in each stage: decided, queued, answered, taken",
    &["ostler.cluster", "ostler.way", "ostler.stage"],
);

pub(crate) static QUEUE_WAIT: Description = describe(
    "ostler.queue.wait.duration",
    Kind::Histogram,
    "s",
    "From the decision where a request goes until a target took it out of its queue",
    &["ostler.queue"],
);

pub(crate) static RESPONSE_BYTES: Description = describe(
    "ostler.response.size",
    Kind::Counter,
    "By",
    "Bytes of responses that clients were given, heads included",
    PLACE,
);

pub(crate) static REQUEST_BYTES: Description = describe(
    "ostler.request.body.size",
    Kind::Counter,
    "By",
    "Bytes of bodies that targets have read of delegated requests",
    PLACE,
);

const PLACE: &[&str] = &[
    "ostler.route",
    "ostler.cluster",
    "ostler.destination",
    "ostler.way",
];

pub(crate) static CONNECTIONS: Description = describe(
    "kestrel.active_connections",
    Kind::Gauge,
    "{connection}",
    "Connections of clients, upgraded ones excepted",
    &[],
);

pub(crate) static UPGRADED: Description = describe(
    "kestrel.upgraded_connections",
    Kind::Gauge,
    "{connection}",
    "Connections and streams that have switched protocols and pass through the front",
    &[],
);

pub(crate) static CONNECTION_DURATION: Description = describe(
    "kestrel.connection.duration",
    Kind::Histogram,
    "s",
    "How long connections of clients lasted in the front",
    &["error.type"],
);

pub(crate) static REJECTED_CONNECTIONS: Description = describe(
    "kestrel.rejected_connections",
    Kind::Counter,
    "{connection}",
    "Connections of clients that were closed at once, by the limit that refused them",
    &["ostler.limit"],
);

pub(crate) static ELSEWHERE: Description = describe(
    "ostler.exchange.retries",
    Kind::Counter,
    "{exchange}",
    "Exchanges that nobody had begun and that went to another destination than the first",
    &[],
);

pub(crate) static POOLS: Description = describe(
    "ostler.pool.connections",
    Kind::Gauge,
    "{connection}",
    "Connections to destinations that are ready: idle ones of HTTP/1.1, open ones of HTTP/2; seen once a second",
    &[
        "url.scheme",
        "server.address",
        "server.port",
        "network.protocol.version",
    ],
);

pub(crate) static QUEUE_DEPTH: Description = describe(
    "ostler.queue.depth",
    Kind::Gauge,
    "{request}",
    "Requests of this front that no target has taken",
    &["ostler.queue"],
);

pub(crate) static QUEUE_OUTSTANDING: Description = describe(
    "ostler.queue.outstanding",
    Kind::Gauge,
    "{request}",
    "Requests of this front that are with targets, taken or not",
    &["ostler.queue"],
);

pub(crate) static QUEUE_INSTANCES: Description = describe(
    "ostler.queue.instances",
    Kind::Gauge,
    "{instance}",
    "Processes that serve the queue, as this front knows them",
    &["ostler.queue"],
);

pub(crate) static QUEUE_REQUESTS: Description = describe(
    "ostler.queue.requests",
    Kind::Counter,
    "{request}",
    "What has become of requests: given to a target, taken, completed, withdrawn, given again, detached",
    &["ostler.queue", "ostler.event"],
);

pub(crate) static HEALTH: Description = describe(
    "ostler.destination.health",
    Kind::Gauge,
    "1",
    "What a health check thinks of a destination: 1 is healthy, 0 is not, and nothing is not known",
    &["ostler.cluster", "ostler.destination", "ostler.check"],
);

pub(crate) static AVAILABLE: Description = describe(
    "ostler.destination.available",
    Kind::Gauge,
    "1",
    "Whether a destination may be given requests",
    &["ostler.cluster", "ostler.destination"],
);

pub(crate) static DESTINATION_REQUESTS: Description = describe(
    "ostler.destination.active_requests",
    Kind::Gauge,
    "{request}",
    "Exchanges that are with a destination",
    &["ostler.cluster", "ostler.destination"],
);

/// All of them.
pub(crate) static ALL: &[&Description] = &[
    &SERVER_DURATION,
    &ACTIVE_REQUESTS,
    &CLIENT_DURATION,
    &EXCHANGES,
    &STAGES,
    &QUEUE_WAIT,
    &RESPONSE_BYTES,
    &REQUEST_BYTES,
    &CONNECTIONS,
    &UPGRADED,
    &CONNECTION_DURATION,
    &REJECTED_CONNECTIONS,
    &ELSEWHERE,
    &POOLS,
    &QUEUE_DEPTH,
    &QUEUE_OUTSTANDING,
    &QUEUE_INSTANCES,
    &QUEUE_REQUESTS,
    &HEALTH,
    &AVAILABLE,
    &DESTINATION_REQUESTS,
];
