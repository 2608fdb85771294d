//! W3C extended: the columns of ASP.NET's W3CLogger, in its order, and behind them what it does not know,
//! sorted. As there, the query has its `?` and `time-taken` fractions of a millisecond.

use ostler_proxy::{AccessRecord, LoggedRequest, Reason};

use super::date::Date;
use super::text::{Escape, append as append_text};

const FIELDS: &str = "date time c-ip cs-username s-computername s-ip s-port cs-method cs-uri-stem \
    cs-uri-query sc-status time-taken cs-version cs-host cs(User-Agent) cs(Cookie) cs(Referer) \
    cs-bytes sc-bytes x-cluster x-destination x-error x-first-byte x-mode x-queued \
    x-reason x-route x-trace";

/// What a file begins with.
pub(super) fn preamble() -> Vec<u8> {
    format!("#Version: 1.0\n#Fields: {FIELDS}\n").into_bytes()
}

/// Appends a record's line.
pub(super) fn append(line: &mut Vec<u8>, record: &AccessRecord<'_>, computer: &str) {
    let date = Date::of(record.at);
    let mut columns = Columns(line);
    columns.text(date.day());
    columns.text(date.time());
    columns.text(
        record
            .client
            .map_or(String::new(), |client| client.ip().to_string()),
    );
    columns.text("");
    columns.text(computer);
    columns.text(
        record
            .local
            .map_or(String::new(), |local| local.ip().to_string()),
    );
    columns.text(
        record
            .local
            .map_or(String::new(), |local| local.port().to_string()),
    );
    let (head, version) = match record.request {
        LoggedRequest::Read(head, version) => (Some(head), format!("{version:?}")),
        LoggedRequest::Malformed(_) => (None, String::new()),
    };
    let field = |name| head.and_then(|head| head.field(name)).unwrap_or_default();
    let query = head.and_then(|head| head.query());
    columns.text(head.map_or("", |head| head.method()));
    columns.text(head.map_or("", |head| head.path()));
    columns.text(query.map_or(String::new(), |query| format!("?{query}")));
    let outcome = record.outcome;
    columns.text(outcome.status.to_string());
    columns.text(milliseconds(outcome.duration));
    columns.text(version);
    columns.text(head.map_or("", |head| head.authority()));
    columns.text(field("user-agent"));
    columns.text(field("cookie"));
    columns.text(field("referer"));
    let route = outcome.route.as_deref();
    let cluster = route.and_then(|route| route.cluster.as_deref());
    let destination = outcome.destination.as_ref();
    columns.text(
        outcome
            .bytes_received
            .map_or(String::new(), |bytes| bytes.to_string()),
    );
    columns.text(outcome.bytes_sent.to_string());
    columns.text(cluster.map_or("", |cluster| cluster.id()));
    columns.text(destination.map_or("", |destination| destination.id()));
    columns.text(
        outcome
            .error
            .map_or(String::new(), |error| format!("{error:?}")),
    );
    columns.text(outcome.first_byte.map_or(String::new(), milliseconds));
    columns.text(outcome.mode.as_str());
    columns.text(outcome.queued.map_or(String::new(), milliseconds));
    columns.text(outcome.reason.map_or("", Reason::as_str));
    columns.text(route.map_or("", |route| route.config.route_id.as_str()));
    columns.text(
        record
            .trace
            .map_or(String::new(), |trace| trace.trace_id_text().to_string()),
    );
    // In place of the blank behind the last column.
    line.pop();
    line.push(b'\n');
}

/// A line's columns, each with a blank behind it.
struct Columns<'a>(&'a mut Vec<u8>);

impl Columns<'_> {
    fn text(&mut self, value: impl AsRef<[u8]>) {
        append_text(self.0, value.as_ref(), Escape::Column);
        self.0.push(b' ');
    }
}

fn milliseconds(duration: std::time::Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1000.0)
}
