//! Apache's and nginx's combined format:
//!
//! ```text
//! 192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "GET /a HTTP/1.1" 200 1234 "https://referer/" "agent/1.0"
//! ```
//!
//! Bytes are all of the response's, its head included (Apache's `%O`); the status is 000 where the client
//! was given nothing.

use ostler_proxy::{AccessRecord, LoggedRequest};

use super::date::Date;
use super::text::{Escape, append as append_text};

/// Appends a record's line.
pub(super) fn append(line: &mut Vec<u8>, record: &AccessRecord<'_>) {
    let client = record.client.map(|client| client.ip().to_string());
    let client = client.as_deref().unwrap_or("-");
    let date = Date::of(record.at).combined();
    line.extend(format!("{client} - - [{date}] \"").as_bytes());
    let (referer, agent) = match record.request {
        LoggedRequest::Read(head, version) => {
            append_text(line, head.method().as_bytes(), Escape::Quoted);
            line.push(b' ');
            append_text(line, head.request_target().as_bytes(), Escape::Quoted);
            line.extend(format!(" {version:?}").as_bytes());
            (head.field("referer"), head.field("user-agent"))
        }
        LoggedRequest::Malformed(first) => {
            append_text(line, first, Escape::Quoted);
            (None, None)
        }
    };
    let (status, bytes) = (record.outcome.status, record.outcome.bytes_sent);
    line.extend(format!("\" {status:03} {bytes} \"").as_bytes());
    append_text(line, referer.unwrap_or_default(), Escape::Quoted);
    line.extend(b"\" \"");
    append_text(line, agent.unwrap_or_default(), Escape::Quoted);
    line.extend(b"\"\n");
}
