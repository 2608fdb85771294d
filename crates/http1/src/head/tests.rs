//! Heads: tables of what is accepted and what is refused, every split, random heads.

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::decode::{HeadDecoder, HeadProgress};
use super::encode::{encode_response_head, encode_simple_response};
use super::parts::{HeadIndex, HeadParts, to_http_request_parts};
use super::request::RequestHead;
use crate::error::HeadError;
use crate::fields::FieldRange;
use crate::framing::{BodyLength, Framing, RequestFacts, ResponseBody, Version};
use crate::limits::Limits;

fn decode(input: impl AsRef<[u8]>) -> Result<Option<RequestHead>, HeadError> {
    let mut head = RequestHead::default();
    match HeadDecoder::new(Limits::default()).decode(input.as_ref(), &mut head)? {
        HeadProgress::Complete { .. } => Ok(Some(head)),
        HeadProgress::Incomplete => Ok(None),
    }
}

fn accepted(input: impl AsRef<[u8]>) -> RequestHead {
    let input = input.as_ref();
    let shown = input.escape_ascii().to_string();
    decode(input)
        .unwrap_or_else(|error| panic!("{error}: {shown}"))
        .expect(&shown)
}

/// Heads that must be refused, and how.
const REFUSED: &[(&str, HeadError)] = &[
    // Request line (RFC 9112 section 3).
    ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET /  HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", HeadError::RequestLine),
    (
        "GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestLine,
    ),
    ("GET /\tHTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    (" GET / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET /\r\n\r\n", HeadError::RequestLine),
    ("GET / http/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET / HTTP/1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET / HTTP/1.10\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET / HTTPS/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", HeadError::Version),
    ("GET / HTTP/0.9\r\nHost: x\r\n\r\n", HeadError::Version),
    ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Method),
    ("G\u{e9}T / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Method),
    ("GET:/ / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Method),
    (
        "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestLine,
    ),
    // Line ends (section 2.2).
    ("GET / HTTP/1.1\nHost: x\r\n\r\n", HeadError::LineEnd),
    ("GET / HTTP/1.1\r\nHost: x\n\r\n", HeadError::LineEnd),
    ("GET / HTTP/1.1\r\nHost: x\r\n\n", HeadError::LineEnd),
    ("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::LineEnd),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n",
        HeadError::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n",
        HeadError::Field,
    ),
    // Fields (section 5).
    ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\nHost\t: x\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\n Host: x\r\n\r\n", HeadError::Field),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        HeadError::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n",
        HeadError::Field,
    ),
    ("GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", HeadError::Field),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n",
        HeadError::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA(: c\r\n\r\n",
        HeadError::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA\u{e9}: c\r\n\r\n",
        HeadError::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
        HeadError::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA: \u{1}\r\n\r\n",
        HeadError::Field,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nA: \u{7f}\r\n\r\n",
        HeadError::Field,
    ),
    // Host (section 3.2).
    ("GET / HTTP/1.1\r\n\r\n", HeadError::HostCount),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        HeadError::HostCount,
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n",
        HeadError::HostCount,
    ),
    (
        "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        HeadError::HostCount,
    ),
    ("GET / HTTP/1.1\r\nHost: x y\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: x/\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: x:y\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: x:99999\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: x:1:2\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", HeadError::Host),
    ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", HeadError::Host),
    ("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", HeadError::Host),
    // Request-target (section 3.2).
    (
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "CONNECT http://x:80/ HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET http:/// HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET http://a@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET /\u{1} HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "GET http://a|b/ HTTP/1.1\r\nHost: a|b\r\n\r\n",
        HeadError::RequestTarget,
    ),
    (
        "CONNECT a^b:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        HeadError::RequestTarget,
    ),
    // Framing (section 6).
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::LengthAndTransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        HeadError::LengthAndTransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1,\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1.0\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n",
        HeadError::ContentLength,
    ),
    (
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::TransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n",
        HeadError::TransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        HeadError::TransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::TransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        HeadError::TransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
        HeadError::TransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
        HeadError::TransferEncoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        HeadError::UnknownTransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: foo\r\n\r\n",
        HeadError::UnknownTransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        HeadError::UnknownTransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
        HeadError::UnknownTransferCoding,
    ),
];

#[test]
fn refuses_what_is_malformed_or_ambiguous() {
    for (input, error) in REFUSED {
        assert_eq!(
            decode(input).map(|_| ()),
            Err(*error),
            "{}",
            input.escape_debug()
        );
    }
}

#[test]
fn refuses_it_however_it_arrives() {
    for (input, _) in REFUSED {
        let mut decoder = HeadDecoder::new(Limits::default());
        let mut head = RequestHead::default();
        let refused = (0..=input.len())
            .any(|end| decoder.decode(&input.as_bytes()[..end], &mut head).is_err());
        assert!(refused, "{}", input.escape_debug());
    }
}

#[test]
fn reads_a_head_whole() {
    let head = accepted(
        "POST /a/b?c=d&e HTTP/1.1\r\nHost: example.com:8080\r\nX-A:  1 \t\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!(head.method(), "POST");
    assert_eq!(head.request_target(), "/a/b?c=d&e");
    assert_eq!((head.path(), head.query()), ("/a/b", Some("c=d&e")));
    assert_eq!(head.authority(), "example.com:8080");
    assert_eq!(head.framing(), Framing::Length(5));
    assert_eq!(head.fields_named("X-a").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(head.fields().next().unwrap().name, "Host");
    assert!(head.keep_alive() && !head.expects_continue() && head.upgrade().is_none());
    assert!(head.raw().ends_with(b"\r\n\r\n"));
}

#[test]
fn every_split_gives_the_same() {
    let input = b"\r\nPUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nA: \r\n\r\n";
    let whole = accepted(input);
    let mut decoder = HeadDecoder::new(Limits::default());
    let mut head = RequestHead::default();
    for end in 0..input.len() {
        let progress = decoder.decode(&input[..end], &mut head);
        assert_eq!(progress, Ok(HeadProgress::Incomplete), "at {end}");
    }
    let progress = decoder.decode(input, &mut head);
    assert_eq!(
        progress,
        Ok(HeadProgress::Complete {
            consumed: input.len()
        })
    );
    assert_eq!(head.raw(), whole.raw());
    assert_eq!(head.field_ranges(), whole.field_ranges());
    assert_eq!(head.framing(), Framing::Chunked);
}

#[test]
fn leaves_what_is_behind_the_head() {
    let mut head = RequestHead::default();
    let input = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /2";
    let progress = HeadDecoder::new(Limits::default()).decode(input, &mut head);
    assert_eq!(
        progress,
        Ok(HeadProgress::Complete {
            consumed: input.len() - 6
        })
    );
}

#[test]
fn knows_the_four_forms_of_a_target() {
    let head = accepted("GET http://Example.com/p?q HTTP/1.1\r\nHost: example.COM\r\n\r\n");
    assert_eq!(
        (head.authority(), head.path(), head.query()),
        ("Example.com", "/p", Some("q"))
    );
    let head = accepted("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.path(), head.query()), ("/", Some("q")));
    let head = accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.path(), head.query()), ("*", None));
    let head = accepted("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.authority(), head.path()), ("a:443", ""));
    assert!(head.is_connect());
}

#[test]
fn accepts_what_is_unusual_and_right() {
    for input in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "PROPFIND /%20?a=[1]|{2} HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET //a///b/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "M-SEARCH / HTTP/1.7\r\nHost: x\r\n\r\n",
    ] {
        accepted(input);
    }
    let head = accepted(b"GET / HTTP/1.1\r\nHost: x\r\nA: caf\xe9\r\n\r\n");
    assert_eq!(head.field("a"), Some(&b"caf\xe9"[..]));
}

#[test]
fn decides_framing_and_persistence() {
    let framing =
        |fields: &str| accepted(format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).framing();
    assert_eq!(framing(""), Framing::None);
    assert_eq!(framing("Content-Length: 0\r\n"), Framing::None);
    assert_eq!(
        framing("Content-Length: 5\r\nContent-Length: 5\r\n"),
        Framing::Length(5)
    );
    assert_eq!(framing("Content-Length: 5, 5\r\n"), Framing::Length(5));
    assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Framing::Chunked);
    assert_eq!(
        framing("Transfer-Encoding: , chunked ,\r\n"),
        Framing::Chunked
    );
    let keeps = |line: &str, fields: &str| {
        accepted(format!("GET / {line}\r\nHost: x\r\n{fields}\r\n")).keep_alive()
    };
    assert!(keeps("HTTP/1.1", ""));
    assert!(!keeps("HTTP/1.1", "Connection: Close\r\n"));
    assert!(!keeps("HTTP/1.1", "Connection: keep-alive, close\r\n"));
    assert!(!keeps("HTTP/1.0", ""));
    assert!(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keeps(
        "HTTP/1.0",
        "Connection: keep-alive\r\nConnection: close\r\n"
    ));
}

#[test]
fn notices_expectations_and_upgrades() {
    let head = |fields: &str| accepted(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
    assert!(head("Expect: 100-Continue\r\nContent-Length: 1\r\n").expects_continue());
    assert!(!head("Expect: 100-continue\r\n").expects_continue());
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(head(upgrade).upgrade(), Some(&b"websocket"[..]));
    assert_eq!(head("Upgrade: websocket\r\n").upgrade(), None);
    assert_eq!(
        head(&format!("{upgrade}Content-Length: 1\r\n")).upgrade(),
        None
    );
    let old = accepted(format!("GET / HTTP/1.0\r\nHost: x\r\n{upgrade}\r\n"));
    assert_eq!(old.upgrade(), None);
}

#[test]
fn holds_heads_to_their_limits_before_they_end() {
    let limits = Limits {
        request_line: 64,
        field_lines: 256,
        fields: 4,
    };
    let run = |input: &str| {
        HeadDecoder::new(limits).decode(input.as_bytes(), &mut RequestHead::default())
    };
    let long = "a".repeat(300);
    assert_eq!(
        run(&format!("GET /{long}")),
        Err(HeadError::RequestLineTooLong)
    );
    assert_eq!(
        run(&format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        Err(HeadError::RequestLineTooLong)
    );
    assert_eq!(
        run(&format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}")),
        Err(HeadError::HeadTooLong)
    );
    assert_eq!(
        run(&format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n")),
        Err(HeadError::HeadTooLong)
    );
    assert_eq!(
        run("GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\n\r\n"),
        Err(HeadError::TooManyFields)
    );
    assert!(run("GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nA: 3\r\n\r\n").is_ok());
    // Field lines with their ends count, neither the request line nor the empty line does.
    for (length, fits) in [(256, true), (257, false)] {
        let fields = format!("Host: x\r\nA: {}\r\n", "a".repeat(length - 14));
        assert_eq!(fields.len(), length);
        let head = format!("GET /{} HTTP/1.1\r\n{fields}\r\n", "a".repeat(40));
        assert_eq!(run(&head).is_ok(), fits, "{length}");
        for end in 0..head.len() {
            // Until its end is there, it may be one that fits.
            assert_eq!(
                run(&head[..end]),
                Ok(HeadProgress::Incomplete),
                "{length} to {end}"
            );
        }
        let longer = run(&head.replace("\r\n\r\n", "\r\nB: 1"));
        assert_eq!(longer, Err(HeadError::HeadTooLong));
    }
    let many = Limits {
        fields: 500,
        ..Limits::default()
    };
    let fields = "A: 1\r\n".repeat(400);
    let input = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let mut head = RequestHead::default();
    HeadDecoder::new(many)
        .decode(input.as_bytes(), &mut head)
        .unwrap();
    assert_eq!(head.field_ranges().len(), 401);
    assert_eq!(HeadError::RequestLineTooLong.status(), 414);
    assert_eq!(HeadError::TooManyFields.status(), 431);
    assert_eq!(HeadError::UnknownTransferCoding.status(), 501);
    assert_eq!(HeadError::Version.status(), 505);
    assert_eq!(HeadError::Field.status(), 400);
}

#[test]
fn parts_become_a_request_without_parsing() {
    let head = accepted(b"POST /a?b HTTP/1.1\r\nHost: x\r\nEmpty:\r\nA: 1\r\na: \xff\r\n\r\n");
    let raw = Bytes::copy_from_slice(head.raw());
    let parts = to_http_request_parts(&raw, &head.parts().index).unwrap();
    assert_eq!(parts.method, "POST");
    assert_eq!(parts.uri, "/a?b");
    assert_eq!(parts.version, http::Version::HTTP_11);
    assert_eq!(parts.headers["empty"], "");
    let values: Vec<_> = parts
        .headers
        .get_all("a")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    assert_eq!(values, [&b"1"[..], b"\xff"]);
    let again = RequestHead::from_parts(head.parts()).unwrap();
    assert_eq!(
        (again.raw(), again.framing(), again.authority()),
        (head.raw(), head.framing(), "x")
    );
}

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const FACTS: RequestFacts = RequestFacts {
    is_head: false,
    is_connect: false,
    version: Version::Http11,
    keep_alive: true,
};

fn response(
    facts: RequestFacts,
    status: u16,
    fields: &[(&str, &str)],
    body: BodyLength,
) -> (String, ResponseBody, bool) {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    let mut out = Vec::new();
    let status = StatusCode::from_u16(status).unwrap();
    let framing = encode_response_head(
        &mut out,
        facts,
        status,
        None,
        &map,
        &[(b"X-Extra", b"e"), (b"bad name", b"x")],
        body,
        DATE,
    );
    let text = String::from_utf8(out)
        .unwrap()
        .replace("x-extra", "X-Extra");
    assert!(text.contains("X-Extra: e\r\n") && !text.contains("bad name"));
    (
        text.replace("X-Extra: e\r\n", ""),
        framing.body,
        framing.keep_alive,
    )
}

#[test]
fn an_added_access_control_field_takes_the_place_of_what_is_there() {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        ("access-control-allow-origin", "https://first"),
        ("vary", "accept"),
        ("access-control-allow-origin", "https://second"),
        ("access-control-max-age", "1"),
    ] {
        fields.append(name, HeaderValue::from_static(value));
    }
    let mut out = Vec::new();
    encode_response_head(
        &mut out,
        FACTS,
        StatusCode::OK,
        None,
        &fields,
        &[
            (b"Access-Control-Allow-Origin", b"https://a"),
            (b"vary", b"origin"),
        ],
        BodyLength::Known(0),
        DATE,
    );
    let text = String::from_utf8(out).unwrap().to_ascii_lowercase();
    assert_eq!(text.matches("access-control-allow-origin: ").count(), 1);
    for kept in [
        "access-control-allow-origin: https://a\r\n",
        "access-control-max-age: 1\r\n",
        "vary: accept\r\n",
        "vary: origin\r\n",
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
}

#[test]
fn frames_responses() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
    let known = BodyLength::Known(5);
    let (text, body, keep) = response(FACTS, 200, &[("a", "b")], known);
    assert_eq!(
        text,
        format!("HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 5\r\n{date}")
    );
    assert_eq!((body, keep), (ResponseBody::Length(5), true));

    let (text, body, _) = response(
        FACTS,
        200,
        &[("content-length", "x"), ("transfer-encoding", "gzip")],
        BodyLength::Unknown,
    );
    assert_eq!(
        text,
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{date}")
    );
    assert_eq!(body, ResponseBody::Chunked);
    let stated = [("content-length", "7")];
    let (text, body, _) = response(FACTS, 200, &stated, BodyLength::Unknown);
    assert!(text.contains("content-length: 7\r\n") && !text.contains("chunked"));
    assert_eq!(body, ResponseBody::Length(7));

    let http10 = RequestFacts {
        version: Version::Http10,
        ..FACTS
    };
    let (text, body, keep) = response(http10, 200, &[], BodyLength::Unknown);
    assert_eq!(
        text,
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{date}")
    );
    assert_eq!((body, keep), (ResponseBody::UntilClose, false));
    let (text, _, keep) = response(http10, 200, &[], known);
    assert!(text.contains("connection: keep-alive\r\n") && keep);

    let head = RequestFacts {
        is_head: true,
        ..FACTS
    };
    let (text, body, _) = response(head, 200, &[("content-length", "7")], BodyLength::Known(0));
    assert!(text.contains("content-length: 7\r\n"));
    assert_eq!(body, ResponseBody::None);

    let (text, body, keep) = response(FACTS, 204, &[("content-length", "7")], known);
    assert_eq!(text, format!("HTTP/1.1 204 No Content\r\n{date}"));
    assert_eq!((body, keep), (ResponseBody::None, true));
    let (text, ..) = response(FACTS, 304, &[("content-length", "7")], BodyLength::Empty);
    assert!(text.contains("content-length: 7\r\n"));

    let (text, _, keep) = response(FACTS, 200, &[("connection", "x, Close")], known);
    assert!(text.contains("connection: close\r\n") && !keep);
    let (text, ..) = response(FACTS, 200, &[("date", "today")], known);
    assert!(text.contains("date: today\r\n") && !text.contains("1994"));

    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    let (text, body, _) = response(FACTS, 101, &upgrade, BodyLength::Empty);
    assert_eq!(
        text,
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n{date}"
        )
    );
    assert_eq!(body, ResponseBody::None);
}

#[test]
fn writes_simple_responses() {
    let mut out = Vec::new();
    let facts = RequestFacts {
        keep_alive: false,
        ..FACTS
    };
    encode_simple_response(
        &mut out,
        facts,
        StatusCode::BAD_REQUEST,
        &[("Allow", "GET")],
        b"no",
        DATE,
    );
    let text = "HTTP/1.1 400 Bad Request\r\nAllow: GET\r\ncontent-length: 2\r\nconnection: close\r\n\
                date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nno";
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

proptest! {
    #[test]
    fn what_is_accepted_is_a_request_for_applications(
        method in "[A-Z]{1,9}", target in "/[!-~]{0,40}", value in "[ -~]{0,30}", name in "[a-zA-Z0-9_-]{1,20}",
    ) {
        let input = format!("{method} {target} HTTP/1.1\r\nHost: h\r\nX-{name}: {value}\r\n\r\n");
        if let Ok(Some(head)) = decode(&input) {
            let raw = Bytes::copy_from_slice(head.raw());
            let parts = to_http_request_parts(&raw, &head.parts().index);
            prop_assert!(parts.is_ok(), "{}", input.escape_debug());
            prop_assert_eq!(parts.unwrap().uri.to_string(), head.request_target());
        }
    }

    #[test]
    fn garbage_never_panics(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&input);
    }

    #[test]
    fn near_misses_never_panic(input in "(GET|POST) [ -~\\r\\n:]{0,120}(\\r\\n\\r\\n)?") {
        let _ = decode(&input);
    }

    #[test]
    fn foreign_parts_never_panic(
        raw in proptest::collection::vec(any::<u8>(), 0..80),
        fields in proptest::collection::vec(any::<[u32; 4]>(), 0..4),
        small in proptest::collection::vec((0u32..80, 0u32..20, 0u32..80, 0u32..20), 0..4),
        method_len in 0u32..90, target_start in 0u32..90, target_len in 0u32..90,
    ) {
        let fields: Vec<_> = fields.into_iter().map(|[a, b, c, d]| (a, b, c, d)).chain(small)
            .map(|(name_start, name_len, value_start, value_len)| FieldRange { name_start, name_len, value_start, value_len })
            .collect();
        let index = HeadIndex { fields: &fields, method_len, target_start, target_len, version: Version::Http11 };
        let _ = to_http_request_parts(&Bytes::copy_from_slice(&raw), &index);
        let _ = RequestHead::from_parts(HeadParts { raw: &raw, index });
    }
}

#[test]
fn what_no_uri_has_is_escaped_in_the_request_target() {
    let text = "GET /a\"b<>\\^`{|}%5e?q=\"<>\\^`{|} HTTP/1.1\r\nHost: x\r\nEmpty:\r\nA: b\r\n\r\n";
    let mut head = RequestHead::default();
    let progress = HeadDecoder::new(Limits::default()).decode(text.as_bytes(), &mut head);
    let consumed = text.len();
    assert_eq!(progress, Ok(HeadProgress::Complete { consumed }));
    assert_eq!(head.path(), "/a%22b%3C%3E%5C%5E%60%7B%7C%7D%5e");
    assert_eq!(head.query(), Some("q=%22%3C%3E%5C%5E%60%7B%7C%7D"));
    assert_eq!(head.authority(), "x");
    let fields: Vec<_> = head
        .fields()
        .map(|field| (field.name, field.value))
        .collect();
    assert_eq!(fields, [("Host", &b"x"[..]), ("Empty", b""), ("A", b"b")]);
    assert!(RequestHead::from_parts(head.parts()).is_ok());
    let raw = Bytes::copy_from_slice(head.raw());
    assert!(to_http_request_parts(&raw, &head.parts().index).is_ok());
}

#[test]
fn a_target_that_escapes_make_too_long_is_refused() {
    let limits = Limits {
        request_line: Limits::MOST,
        field_lines: Limits::MOST,
        fields: 10,
    };
    let text = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "^".repeat(900_000));
    let decoded = HeadDecoder::new(limits).decode(text.as_bytes(), &mut RequestHead::default());
    assert_eq!(decoded, Err(HeadError::RequestLineTooLong));
}

#[test]
fn the_default_port_of_a_target_is_as_none() {
    for (target, host, same) in [
        ("http://h/", "h:80", true),
        ("http://h:80/", "H", true),
        ("https://h/", "h:443", true),
        ("https://h:443/", "h", true),
        ("http://h:80/", "h:80", true),
        ("http://[::1]/", "[::1]:80", true),
        ("http://h/", "h:443", false),
        ("https://h/", "h:80", false),
        ("http://h:8080/", "h:80", false),
        ("http://h:8080/", "h", false),
        ("http://h/", "x:80", false),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let decoded = HeadDecoder::new(Limits::default())
            .decode(text.as_bytes(), &mut RequestHead::default());
        assert_eq!(decoded.is_ok(), same, "{target} {host}");
    }
}

#[test]
fn a_date_among_the_extra_fields_is_the_only_one() {
    let mut out = Vec::new();
    let date = [("Date", "yesterday")];
    encode_simple_response(&mut out, FACTS, StatusCode::OK, &date, b"", &[b'x'; 29]);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text.to_ascii_lowercase().matches("date: ").count(),
        1,
        "{text}"
    );
    assert!(text.contains("yesterday"));
}

#[test]
fn heads_may_have_a_mebibyte_of_field_lines_and_as_long_a_request_line() {
    let limits = Limits {
        request_line: Limits::MOST,
        field_lines: usize::MAX,
        fields: usize::MAX,
    };
    let target = format!("/{}", "a".repeat(Limits::MOST - 16));
    let fields = "A: 1\r\n".repeat((Limits::MOST - 9) / 6);
    let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let mut head = RequestHead::default();
    let progress = HeadDecoder::new(limits).decode(text.as_bytes(), &mut head);
    let consumed = text.len();
    assert_eq!(progress, Ok(HeadProgress::Complete { consumed }));
    assert_eq!(head.path(), target);
    assert!(head.fields().skip(1).all(|field| field.value == b"1"));
    assert!(RequestHead::from_parts(head.parts()).is_ok());
}
