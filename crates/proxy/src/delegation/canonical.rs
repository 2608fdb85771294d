//! The one form in which a request reaches an application, whichever way it takes: what a route was
//! matched by, and what its policies judged, is what the application sees. http.sys hands over the
//! canonical URL likewise.
//!
//! Nearly every head has this form already and travels untouched. Else the same head is written anew:
//! an absolute request-target in origin form with its authority as `Host`, the path as it would be
//! forwarded (no dot segments, one spelling), and, where the client itself or something before the front
//! says who it is (`X-Forwarded-*`, `Forwarded`), what the front knows in place of that.

use http::Method;
use ostler_http1::{HeadDecoder, HeadProgress, Limits, RequestHead, Version};
use ostler_model::transforms::{ConnectionEnds, path};

/// The head in canonical form; `None` where it is as it should be.
pub(super) fn canonical(
    head: &RequestHead,
    ends: ConnectionEnds<'_>,
) -> Option<Result<RequestHead, NotWritten>> {
    let says_who = ends.is_claimed || says_who_it_is(head);
    let target = canonical_target(head);
    if target.is_none() && !says_who {
        return None;
    }
    let target = target.as_deref().unwrap_or(head.request_target());
    let mut bytes = Vec::with_capacity(head.raw().len() + 128);
    write_request_line(&mut bytes, head, head.method(), target);
    write_fields(&mut bytes, head, says_who);
    if says_who {
        write_who_it_is(&mut bytes, head, ends);
    }
    bytes.extend_from_slice(b"\r\n");
    Some(decode_like(head, &bytes))
}

/// A head that cannot be sent in place of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotWritten;

/// Decodes a head that was written in place of another one: where the body ends and whether the
/// connection goes on must be as before. The client's head has been held against the limits; what the
/// front adds is not the client's fault.
pub(crate) fn decode_like(head: &RequestHead, bytes: &[u8]) -> Result<RequestHead, NotWritten> {
    let limits = Limits {
        request_line: usize::MAX,
        field_lines: usize::MAX,
        fields: usize::MAX,
    };
    let mut made = RequestHead::default();
    let decoded = HeadDecoder::new(limits).decode(bytes, &mut made);
    let is_whole = decoded
        == Ok(HeadProgress::Complete {
            consumed: bytes.len(),
        });
    let is_same = made.framing() == head.framing()
        && made.upgrade().is_some() == head.upgrade().is_some()
        && made.keep_alive() == head.keep_alive()
        && made.is_connect() == head.is_connect()
        && made.is_head() == head.is_head();
    (is_whole && is_same).then_some(made).ok_or(NotWritten)
}

/// Whether the client says of itself what a route's rules say of clients.
pub(super) fn says_who_it_is(head: &RequestHead) -> bool {
    // The length first: it rules nearly every field out without looking at its name.
    let mut lengths = head.field_ranges().iter().map(|range| range.name_len);
    lengths.any(|length| matches!(length, 9 | 15..=18))
        && head.fields().any(|field| is_who(field.name))
}

fn is_who(name: &str) -> bool {
    let names = [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-prefix",
    ];
    names.iter().any(|who| who.eq_ignore_ascii_case(name))
}

/// The request-target in origin form, as it would be forwarded; `None` where it is that already.
fn canonical_target(head: &RequestHead) -> Option<String> {
    if head.is_connect() || head.request_target() == "*" {
        return None;
    }
    let path = path::forwarded(head.path());
    let query = head.query().map(path::forwarded_query);
    let is_origin_form = head.request_target().starts_with('/');
    if is_origin_form && path == head.path() && query.as_deref() == head.query() {
        return None;
    }
    Some(match query {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    })
}

pub(crate) fn write_request_line(
    bytes: &mut Vec<u8>,
    head: &RequestHead,
    method: &str,
    target: &str,
) {
    let version = match head.version() {
        Version::Http10 => " HTTP/1.0\r\n",
        Version::Http11 => " HTTP/1.1\r\n",
    };
    for part in [method, " ", target, version] {
        bytes.extend_from_slice(part.as_bytes());
    }
}

pub(crate) fn write_field(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        bytes.extend_from_slice(part);
    }
}

/// The client's fields as they came, but for those that are the front's to say.
fn write_fields(bytes: &mut Vec<u8>, head: &RequestHead, says_who: bool) {
    // The authority of an absolute request-target counts, not the field (RFC 9112 section 3.2.2).
    let is_absolute = !head.request_target().starts_with(['/', '*']);
    let names_host = is_absolute && head.method() != Method::CONNECT.as_str();
    if names_host {
        write_field(bytes, "Host", head.authority().as_bytes());
    }
    for field in head.fields() {
        let is_host = names_host && field.name.eq_ignore_ascii_case("host");
        let is_the_front_s = says_who && is_who(field.name);
        if !is_host && !is_the_front_s {
            write_field(bytes, field.name, field.value);
        }
    }
}

/// YARP's defaults, which set three of the fields and remove the others (reference B2.4).
fn write_who_it_is(bytes: &mut Vec<u8>, head: &RequestHead, ends: ConnectionEnds<'_>) {
    if let Some(client) = ends.remote {
        let client = client.ip().to_canonical().to_string();
        write_field(bytes, "X-Forwarded-For", client.as_bytes());
    }
    if !head.authority().is_empty() {
        write_field(bytes, "X-Forwarded-Host", head.authority().as_bytes());
    }
    if let Some(prefix) = ends.prefix {
        write_field(bytes, "X-Forwarded-Prefix", prefix.as_bytes());
    }
    let scheme = if ends.is_https { "https" } else { "http" };
    write_field(bytes, "X-Forwarded-Proto", scheme.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> RequestHead {
        let mut head = RequestHead::default();
        let text = text.replace('\n', "\r\n") + "\r\n\r\n";
        HeadDecoder::new(Limits::default())
            .decode(text.as_bytes(), &mut head)
            .unwrap();
        head
    }

    fn made(text: &str) -> Option<String> {
        let ends = ConnectionEnds {
            remote: Some("192.0.2.7:4711".parse().unwrap()),
            ..ConnectionEnds::default()
        };
        let made = canonical(&head(text), ends)?.unwrap();
        let text = std::str::from_utf8(made.raw()).unwrap();
        Some(text.trim_end().replace("\r\n", "\n"))
    }

    #[test]
    fn what_is_canonical_travels_untouched() {
        for text in [
            "GET / HTTP/1.1\nHost: h",
            "GET /a/b.c?q=/../x HTTP/1.1\nHost: h\nX-Forwarder: a",
            "OPTIONS * HTTP/1.1\nHost: h",
            "CONNECT h:1 HTTP/1.1\nHost: h:1",
            "GET /%2F%20 HTTP/1.1\nHost: h",
        ] {
            assert_eq!(made(text), None, "{text}");
        }
    }

    #[test]
    fn a_request_target_has_one_form() {
        for (target, sent) in [
            ("/x/../who", "/who"),
            ("/x/%2e%2E/who?a=%2e%2e", "/who?a=%2e%2e"),
            ("/./a/.", "/a/"),
            ("/%77ho", "/who"),
            ("http://other.example:81/x/../a?b", "/a?b"),
            ("HTTP://other.example:81", "/"),
            ("http://other.example:81?q", "/?q"),
        ] {
            let host = "other.example:81";
            let text = format!("GET {target} HTTP/1.1\nAccept: a\nHost: {host}\nX-A: b");
            let fields = match target.starts_with('/') {
                true => format!("Accept: a\nHost: {host}\nX-A: b"),
                false => format!("Host: {host}\nAccept: a\nX-A: b"),
            };
            let expected = format!("GET {sent} HTTP/1.1\n{fields}");
            assert_eq!(made(&text), Some(expected), "{target}");
        }
    }

    #[test]
    fn what_a_client_says_of_itself_is_what_the_front_says() {
        let text = "GET / HTTP/1.0\nHost: h\nX-FORWARDED-FOR: 6.6.6.6\nX-Forwarded-Prefix: /p\n\
                    forwarded: for=6.6.6.6\nX-A: b";
        let expected = "GET / HTTP/1.0\nHost: h\nX-A: b\nX-Forwarded-For: 192.0.2.7\n\
                        X-Forwarded-Host: h\nX-Forwarded-Proto: http";
        assert_eq!(made(text).as_deref(), Some(expected));
    }
}
