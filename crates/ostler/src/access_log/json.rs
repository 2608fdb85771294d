//! A JSON object a line, with all that is known of an exchange. What is not known is left out.

use std::net::IpAddr;
use std::time::Duration;

use ostler_proxy::{AccessRecord, LoggedRequest, Reason};
use serde::Serialize;

use super::date::Date;

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(flatten)]
    request: Request,
    status: u16,
    bytes_sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_received: Option<u64>,
    micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_micros: Option<u64>,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What was asked. Bytes that are no UTF-8 are written as U+FFFD.
#[derive(Serialize)]
#[serde(untagged)]
enum Request {
    Read {
        method: String,
        target: String,
        version: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        referer: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_agent: Option<String>,
    },
    Malformed {
        malformed: String,
    },
}

/// Appends a record's line.
pub(super) fn append(line: &mut Vec<u8>, record: &AccessRecord<'_>) {
    let outcome = record.outcome;
    let route = outcome.route.as_deref();
    let cluster = route.and_then(|route| route.cluster.as_deref());
    let value = Line {
        time: Date::of(record.at).rfc3339(),
        client: record.client.map(|client| client.ip()),
        request: request(record.request),
        status: outcome.status,
        bytes_sent: outcome.bytes_sent,
        bytes_received: outcome.bytes_received,
        micros: micros(outcome.duration),
        decided_micros: outcome.decided.map(micros),
        queued_micros: outcome.queued.map(micros),
        first_byte_micros: outcome.first_byte.map(micros),
        mode: outcome.mode.as_str(),
        route: route.map(|route| route.config.route_id.as_str()),
        cluster: cluster.map(ostler_model::ClusterState::id),
        destination: outcome
            .destination
            .as_ref()
            .map(|destination| destination.id()),
        reason: outcome.reason.map(Reason::as_str),
        trace: record.trace.map(|trace| trace.trace_id_text().to_string()),
        error: outcome.error.map(|error| format!("{error:?}")),
    };
    // Neither a vector nor what is written here fails.
    if serde_json::to_writer(&mut *line, &value).is_ok() {
        line.push(b'\n');
    }
}

fn request(request: &LoggedRequest) -> Request {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match request {
        LoggedRequest::Read(head, version) => Request::Read {
            method: head.method().to_owned(),
            target: head.request_target().to_owned(),
            version: format!("{version:?}"),
            host: Some(head.authority().to_owned()).filter(|host| !host.is_empty()),
            referer: head.field("referer").map(text),
            user_agent: head.field("user-agent").map(text),
        },
        LoggedRequest::Malformed(first) => Request::Malformed {
            malformed: text(first),
        },
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
