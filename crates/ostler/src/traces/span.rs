//! An exchange as a span, by OpenTelemetry's conventions for HTTP servers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Version;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use ostler_model::{ClusterState, DestinationState};
use ostler_proxy::{AccessRecord, LoggedRequest, Outcome, Reason, TraceContext};

/// Flags of a span whose parent is another process'.
const HAS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Methods that conventions know; another one is `_OTHER`.
const METHODS: [&str; 9] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// Keys whose values in a query are secrets, by the conventions.
const SECRETS: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/// The span of an exchange that is over.
pub(super) fn span(record: &AccessRecord<'_>, trace: &TraceContext) -> Span {
    let outcome = record.outcome;
    let begun = record
        .at
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let parent = trace
        .parent()
        .map(|parent| parent.to_vec())
        .unwrap_or_default();
    let remote = if parent.is_empty() {
        0
    } else {
        HAS_REMOTE | IS_REMOTE
    };
    Span {
        trace_id: trace.trace_id().to_vec(),
        span_id: trace.span_id().to_vec(),
        parent_span_id: parent,
        trace_state: trace.state().to_owned(),
        flags: u32::from(trace.flags()) | remote,
        name: name(record),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanoseconds(begun),
        end_time_unix_nano: nanoseconds(begun + outcome.duration),
        attributes: attributes(record),
        events: events(outcome, record.at),
        status: Some(status(outcome)),
        ..Span::default()
    }
}

/// The method and the route's pattern: few names, whatever clients send.
fn name(record: &AccessRecord<'_>) -> String {
    let method = match record.request {
        LoggedRequest::Read(head, _) => known(head.method()).unwrap_or("HTTP"),
        LoggedRequest::Malformed(_) => "HTTP",
    };
    match record.outcome.route.as_deref() {
        Some(route) => format!("{method} {}", pattern(route.config.matches.path.as_deref())),
        None => method.to_owned(),
    }
}

/// A route without a path matches them all.
fn pattern(path: Option<&str>) -> &str {
    path.unwrap_or("/{**catchall}")
}

fn known(method: &str) -> Option<&str> {
    METHODS.contains(&method).then_some(method)
}

fn attributes(record: &AccessRecord<'_>) -> Vec<KeyValue> {
    let mut attributes = Attributes::default();
    if let LoggedRequest::Read(head, version) = record.request {
        attributes.text(
            "http.request.method",
            Some(known(head.method()).unwrap_or("_OTHER")),
        );
        if known(head.method()).is_none() {
            attributes.text("http.request.method_original", Some(head.method()));
        }
        attributes.text("url.path", Some(head.path()));
        attributes.text("url.query", head.query().map(without_secrets).as_deref());
        attributes.text("network.protocol.version", protocol(*version));
        let authority = head.authority();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, port.parse().ok())
            }
            _ => (authority, None),
        };
        attributes.text("server.address", Some(host));
        attributes.number("server.port", port);
        let agent = head.field("user-agent").map(String::from_utf8_lossy);
        attributes.text("user_agent.original", agent.as_deref());
    }
    attributes.text(
        "url.scheme",
        Some(if record.is_https { "https" } else { "http" }),
    );
    let client = record.client.map(|client| client.ip().to_string());
    attributes.text("client.address", client.as_deref());
    attributes.text("network.peer.address", client.as_deref());
    attributes.number(
        "network.peer.port",
        record.client.map(|client| client.port().into()),
    );
    how_it_ended(record, &mut attributes);
    attributes.0
}

fn how_it_ended(record: &AccessRecord<'_>, attributes: &mut Attributes) {
    let outcome = record.outcome;
    let route = outcome.route.as_deref();
    if outcome.status != 0 {
        attributes.number("http.response.status_code", Some(outcome.status.into()));
    }
    attributes.text("error.type", error(outcome).as_deref());
    attributes.text(
        "http.route",
        route.map(|route| pattern(route.config.matches.path.as_deref())),
    );
    attributes.number("http.response.size", i64::try_from(outcome.bytes_sent).ok());
    let read = outcome
        .bytes_received
        .and_then(|bytes| i64::try_from(bytes).ok());
    attributes.number("http.request.body.size", read);
    attributes.text("ostler.way", Some(outcome.mode.as_str()));
    attributes.text("ostler.reason", outcome.reason.map(Reason::as_str));
    attributes.text(
        "ostler.route",
        route.map(|route| route.config.route_id.as_str()),
    );
    let cluster = route.and_then(|route| route.cluster.as_deref());
    attributes.text("ostler.cluster", cluster.map(ClusterState::id));
    let destination = outcome.destination.as_deref();
    attributes.text("ostler.destination", destination.map(DestinationState::id));
    let model = destination.map(DestinationState::model);
    let queue = model.as_deref().and_then(|model| model.queue.as_deref());
    attributes.text("ostler.queue", queue);
}

/// YARP's word for what failed, or a status that says so.
fn error(outcome: &Outcome) -> Option<String> {
    let error = outcome.error.map(|error| format!("{error:?}"));
    error.or_else(|| (outcome.status >= 500).then(|| outcome.status.to_string()))
}

/// What a client does wrong is no error of the server's.
fn status(outcome: &Outcome) -> Status {
    let error = error(outcome);
    let code = match error {
        Some(_) => StatusCode::Error,
        None => StatusCode::Unset,
    };
    Status {
        code: code.into(),
        message: outcome.error.and(error).unwrap_or_default(),
    }
}

/// The stages that the exchange has reached.
fn events(outcome: &Outcome, begun: SystemTime) -> Vec<Event> {
    let begun = begun.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let stages = [
        ("ostler.decided", outcome.decided),
        ("ostler.taken_from_queue", outcome.queued),
        ("ostler.first_byte", outcome.first_byte),
    ];
    let reached = stages
        .into_iter()
        .filter_map(|(name, after)| Some((name, after?)));
    let events = reached.map(|(name, after)| Event {
        time_unix_nano: nanoseconds(begun + after),
        name: name.to_owned(),
        ..Event::default()
    });
    events.collect()
}

fn protocol(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

fn without_secrets(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if SECRETS.contains(&name) => format!("{name}=REDACTED"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Attributes that are known.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &str, value: Option<&str>) {
        let value = value.filter(|value| !value.is_empty());
        self.add(key, value.map(|value| Value::StringValue(value.to_owned())));
    }

    fn number(&mut self, key: &str, value: Option<i64>) {
        self.add(key, value.map(Value::IntValue));
    }

    fn add(&mut self, key: &str, value: Option<Value>) {
        if value.is_some() {
            self.0.push(KeyValue {
                key: key.to_owned(),
                value: Some(AnyValue { value }),
                ..KeyValue::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_query_are_not_told() {
        assert_eq!(
            without_secrets("a=b&sig=x&Signature=y&c"),
            "a=b&sig=REDACTED&Signature=REDACTED&c"
        );
    }
}
