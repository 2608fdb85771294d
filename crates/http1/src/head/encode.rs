//! Writing a response's head: this is where its framing is decided.

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, TRANSFER_ENCODING};

use crate::fields::{is_set_once, is_token, is_value, list};
use crate::framing::{BodyLength, RequestFacts, ResponseBody, ResponseFraming, Version};

/// The interim response that asks a client for the body it holds back (RFC 9110 section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a response's head to `out` and says how its body is to be framed.
///
/// Content-Length, Transfer-Encoding, Connection and Date are written here: of what `fields` says
/// only a Content-Length that can be true (or states what GET would give, for HEAD and 304), the
/// option `close`, and a Date are kept. `extra_fields` come behind the fields; those that are no
/// fields are left out, and some take the place of all fields of their name ([`is_set_once`]).
#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of the head, and used once"
)]
pub fn encode_response_head(
    out: &mut Vec<u8>,
    request: RequestFacts,
    status: StatusCode,
    reason: Option<&str>,
    fields: &HeaderMap,
    extra_fields: &[(&[u8], &[u8])],
    body: BodyLength,
    date: &[u8; 29],
) -> ResponseFraming {
    let framing = frame(request, status, fields, body);
    // A server answers with its own highest version (RFC 9110 section 2.5).
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let reason = reason.filter(|reason| !reason.is_empty() && is_value(reason.as_bytes()));
    out.extend_from_slice(
        reason
            .or(status.canonical_reason())
            .unwrap_or_default()
            .as_bytes(),
    );
    out.extend_from_slice(b"\r\n");
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let mut has_date = false;
    for (name, value) in fields {
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING || (name == CONNECTION && !switches)
        {
            continue;
        }
        let replaced = |(extra, _): &(&[u8], &[u8])| {
            is_set_once(extra) && extra.eq_ignore_ascii_case(name.as_str().as_bytes())
        };
        if extra_fields.iter().any(replaced) {
            continue;
        }
        has_date |= name == DATE;
        put_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    for (name, value) in extra_fields {
        if is_token(name) && is_value(value) {
            has_date |= name.eq_ignore_ascii_case(b"date");
            put_field(out, name, value);
        }
    }
    put_framing(out, request, status, fields, body, framing);
    if !has_date && (switches || !status.is_informational()) {
        put_field(out, b"date", date);
    }
    out.extend_from_slice(b"\r\n");
    framing
}

fn frame(
    request: RequestFacts,
    status: StatusCode,
    fields: &HeaderMap,
    body: BodyLength,
) -> ResponseFraming {
    let says_close = fields
        .get_all(CONNECTION)
        .iter()
        .any(|value| list(value.as_bytes()).any(|option| option.eq_ignore_ascii_case(b"close")));
    let keep_alive = request.keep_alive && !says_close;
    let body =
        if request.is_head || has_no_body(status) || (request.is_connect && status.is_success()) {
            ResponseBody::None
        } else if status == StatusCode::RESET_CONTENT {
            // No content may follow, and its length says so (RFC 9110 section 15.3.6).
            ResponseBody::Length(0)
        } else {
            match body {
                BodyLength::Empty => ResponseBody::Length(0),
                BodyLength::Known(length) => ResponseBody::Length(length),
                // The application may know what its body does not say: it is held to that.
                BodyLength::Unknown => match (stated_length(fields), request.version) {
                    (Some(length), _) => ResponseBody::Length(length),
                    (None, Version::Http11) => ResponseBody::Chunked,
                    (None, Version::Http10) => ResponseBody::UntilClose,
                },
            }
        };
    ResponseFraming {
        body,
        keep_alive: keep_alive && body != ResponseBody::UntilClose,
    }
}

/// A Content-Length that stands once and is a number.
pub fn stated_length(fields: &HeaderMap) -> Option<u64> {
    let mut values = fields.get_all(CONTENT_LENGTH).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    crate::head::decode::parse_length(value.as_bytes())
}

/// RFC 9112 section 6.3, rule 1.
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

fn put_framing(
    out: &mut Vec<u8>,
    request: RequestFacts,
    status: StatusCode,
    fields: &HeaderMap,
    body: BodyLength,
    framing: ResponseFraming,
) {
    match framing.body {
        ResponseBody::Length(length) => put_length(out, length),
        ResponseBody::Chunked => put_field(out, b"transfer-encoding", b"chunked"),
        ResponseBody::UntilClose => {}
        // What GET would give may be said, by the application or by its body's length
        // (RFC 9110 section 8.6).
        ResponseBody::None if request.is_head || status == StatusCode::NOT_MODIFIED => {
            match (stated_length(fields), body) {
                (Some(length), _) => put_length(out, length),
                // Of a body that was taken away for HEAD, nothing is known.
                (None, BodyLength::Known(length @ 1..))
                    if request.is_head && !has_no_body(status) =>
                {
                    put_length(out, length);
                }
                _ => {}
            }
        }
        ResponseBody::None => {}
    }
    if status.is_informational() {
        return;
    }
    if !framing.keep_alive {
        put_field(out, b"connection", b"close");
    } else if request.version == Version::Http10 {
        // HTTP/1.0 has to be told that its wish was granted.
        put_field(out, b"connection", b"keep-alive");
    }
}

fn put_length(out: &mut Vec<u8>, length: u64) {
    put_field(
        out,
        b"content-length",
        itoa::Buffer::new().format(length).as_bytes(),
    );
}

fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole response whose body is at hand.
pub fn encode_simple_response(
    out: &mut Vec<u8>,
    request: RequestFacts,
    status: StatusCode,
    fields: &[(&str, &str)],
    body: &[u8],
    date: &[u8; 29],
) {
    let extra: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    let length = BodyLength::Known(body.len() as u64);
    let framing = encode_response_head(
        out,
        request,
        status,
        None,
        &HeaderMap::new(),
        &extra,
        length,
        date,
    );
    if framing.body != ResponseBody::None {
        out.extend_from_slice(body);
    }
}
