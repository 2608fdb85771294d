//! Response heads: tables of what is read, and as what; of what is refused; every split; limits.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use proptest::prelude::*;

use super::encode_request::{RequestHeadParts, SameName, encode_request_head};
use super::response::{ResponseHead, ResponseHeadDecoder};
use crate::error::{FieldSectionError, RequestHeadError, ResponseHeadError};
use crate::framing::{BodyLength, ResponseBody, Version};

const MOST: usize = ResponseHeadDecoder::LONGEST_HEAD;

/// The head, if it is whole, when the input arrives in pieces of `step` bytes.
fn arriving(
    method: &Method,
    input: &[u8],
    step: usize,
) -> Result<Option<(ResponseHead, usize)>, ResponseHeadError> {
    let mut decoder = ResponseHeadDecoder::new(MOST);
    let mut arrived = 0;
    loop {
        if let Some(end) = decoder.decode(&input[..arrived])? {
            let head = Bytes::copy_from_slice(&input[..end]);
            return ResponseHead::parse(&head, method).map(|head| Some((head, end)));
        }
        if arrived == input.len() {
            return Ok(None);
        }
        arrived = (arrived + step).min(input.len());
    }
}

fn answer_to(method: &Method, input: &str) -> Result<ResponseHead, ResponseHeadError> {
    let head = arriving(method, input.as_bytes(), input.len())?;
    let (head, end) = head.unwrap_or_else(|| panic!("no end: {input:?}"));
    assert_eq!(end, input.len(), "{input:?}");
    Ok(head)
}

fn read(input: &str) -> Result<ResponseHead, ResponseHeadError> {
    answer_to(&Method::GET, input)
}

fn shown(head: &ResponseHead) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}: {value}")
    };
    head.fields.iter().map(line).collect()
}

#[test]
fn status_lines() {
    // The line, the version, the status, and the reason where it is its own.
    let read_as: [(&str, Version, u16, Option<&str>); 10] = [
        ("HTTP/1.1 200 OK", Version::Http11, 200, None),
        ("HTTP/1.1 200", Version::Http11, 200, None),
        ("HTTP/1.1 200 ", Version::Http11, 200, None),
        ("HTTP/1.0 200 OK", Version::Http10, 200, None),
        // .NET takes each minor version.
        ("HTTP/1.2 200 OK", Version::Http11, 200, None),
        ("HTTP/1.9 200 OK", Version::Http11, 200, None),
        ("HTTP/1.1 200 Fine", Version::Http11, 200, Some("Fine")),
        (
            "HTTP/1.1 404 Not\tthere ",
            Version::Http11,
            404,
            Some("Not\tthere "),
        ),
        ("HTTP/1.1 200 \u{e9}", Version::Http11, 200, Some("\u{e9}")),
        ("HTTP/1.1 999 X", Version::Http11, 999, Some("X")),
    ];
    for (line, version, status, reason) in read_as {
        let head = read(&format!("{line}\r\nContent-Length: 0\r\n\r\n")).unwrap();
        assert_eq!(
            (head.version, head.status.as_u16()),
            (version, status),
            "{line}"
        );
        let found = head.reason.as_deref();
        assert_eq!(found, reason.map(str::as_bytes), "{line}");
    }
    let refused = [
        "HTTP/2.0 200 OK",
        "HTTP/1.10 200 OK",
        "HTTP/1.x 200 OK",
        "HTTP/1 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        "SSH-2.0-OpenSSH_9.6",
        "HTTP/1.1",
        "HTTP/1.1 20",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 +20 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1 200 O\u{1}K",
        "HTTP/1.1 200 O\rK",
    ];
    for line in refused {
        let error = read(&format!("{line}\r\n\r\n")).unwrap_err();
        let is_of_line = matches!(
            error,
            ResponseHeadError::StatusLine | ResponseHeadError::Status
        );
        assert!(is_of_line, "{line}: {error}");
    }
    assert_eq!(
        read("HTTP/1.1 099 X\r\n\r\n").unwrap_err(),
        ResponseHeadError::Status
    );
}

#[test]
fn what_does_not_begin_as_a_response_is_refused_at_once() {
    for begun in ["S", "HTTQ", "HTTP/2", "\r\n\r\n\r\n\r\n\r\n", "<html>"] {
        let mut decoder = ResponseHeadDecoder::new(MOST);
        let found = decoder.decode(begun.as_bytes());
        assert_eq!(found, Err(ResponseHeadError::StatusLine), "{begun:?}");
    }
    for begun in [
        "",
        "H",
        "HTTP/1.",
        "\r",
        "\r\n",
        "\r\nHTTP",
        "HTTP/1.1 200 OK\r\n",
    ] {
        let mut decoder = ResponseHeadDecoder::new(MOST);
        assert_eq!(decoder.decode(begun.as_bytes()), Ok(None), "{begun:?}");
    }
}

/// What servers write that no request may have: the head, and the fields it is read as.
const LENIENT: &[(&str, &[&str])] = &[
    // Lines that end in a bare LF (RFC 9112 section 2.2).
    ("HTTP/1.1 200 OK\nA: 1\nB: 2\n\n", &["a: 1", "b: 2"]),
    ("HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\n", &["a: 1", "b: 2"]),
    ("HTTP/1.1 200 OK\nA: 1\n\r\n", &["a: 1"]),
    // Empty lines before the status line.
    ("\r\n\nHTTP/1.1 200 OK\r\nA: 1\r\n\r\n", &["a: 1"]),
    // Folded values: each byte of the line end becomes a blank, as .NET does it.
    (
        "HTTP/1.1 200 OK\r\nA: multipart/mixed;\r\n\tboundary=x\r\n\r\n",
        &["a: multipart/mixed;  \tboundary=x"],
    ),
    (
        "HTTP/1.1 200 OK\r\nA: 1\r\n  2\r\nB: 3\r\n\r\n",
        &["a: 1    2", "b: 3"],
    ),
    (
        "HTTP/1.1 200 OK\r\nA: 1\r\n 2\n 3\r\n\r\n",
        &["a: 1   2  3"],
    ),
    ("HTTP/1.1 200 OK\r\nA:\r\n 1\r\n\r\n", &["a: 1"]),
    (
        "HTTP/1.1 200 OK\r\nA: 1\r\n \t\r\nB: 2\r\n\r\n",
        &["a: 1", "b: 2"],
    ),
    ("HTTP/1.1 200 OK\r\nA: 1\r\n B: 2\r\n\r\n", &["a: 1   B: 2"]),
    // Blanks between name and colon (RFC 9112 section 5.1).
    (
        "HTTP/1.1 200 OK\r\nA : 1\r\nB \t: 2\r\n\r\n",
        &["a: 1", "b: 2"],
    ),
    // What is well-formed.
    (
        "HTTP/1.1 200 OK\r\nA:\r\nB:  x\t \r\n\r\n",
        &["a: ", "b: x"],
    ),
    (
        "HTTP/1.1 200 OK\r\nset-cookie: a\r\nB: 1\r\nSet-Cookie: b\r\n\r\n",
        &["set-cookie: a", "set-cookie: b", "b: 1"],
    ),
    ("HTTP/1.1 200 OK\r\nA: \u{fc}\r\n\r\n", &["a: \u{fc}"]),
    ("HTTP/1.1 200 OK\r\n\r\n", &[]),
];

#[test]
fn servers_are_taken_as_every_client_takes_them() {
    for (input, fields) in LENIENT {
        let head = read(input).unwrap_or_else(|error| panic!("{error}: {input:?}"));
        assert_eq!(shown(&head), *fields, "{input:?}");
    }
}

#[test]
fn every_split_gives_the_same() {
    for (input, fields) in LENIENT {
        let bytes = [input.as_bytes(), b"body"].concat();
        for step in 1..=bytes.len() {
            let (head, end) = arriving(&Method::GET, &bytes, step).unwrap().unwrap();
            assert_eq!(
                (shown(&head).as_slice(), end),
                (
                    fields
                        .iter()
                        .map(|line| (*line).to_owned())
                        .collect::<Vec<_>>()
                        .as_slice(),
                    input.len(),
                ),
                "{input:?} by {step}"
            );
        }
        for end in 0..input.len() {
            let mut decoder = ResponseHeadDecoder::new(MOST);
            assert_eq!(
                decoder.decode(&input.as_bytes()[..end]),
                Ok(None),
                "{input:?} to {end}"
            );
        }
    }
}

#[test]
fn malformed_fields_are_refused() {
    let line = FieldSectionError::Line;
    let name = FieldSectionError::Name;
    let value = FieldSectionError::Value(HeaderName::from_static("a"));
    for (lines, error) in [
        ("no colon\r\n", &line),
        ("A: 1\r\n\r1\r\n", &line),
        (": 1\r\n", &name),
        (" : 1\r\nA: 1\r\n", &name),
        ("A B: 1\r\n", &name),
        ("\u{e9}: 1\r\n", &name),
        ("A\r\n : 1\r\n", &name),
        ("A: 1\r2\r\n", &value),
        ("A: 1\u{0}\r\n", &value),
        ("A: 1\u{7f}\r\n", &value),
        ("A: 1\r\n \u{1}\r\n", &value),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let found = read(&head).unwrap_err();
        let at_status_line = lines.starts_with(' ') && found == ResponseHeadError::StatusLine;
        let expected = ResponseHeadError::Fields(error.clone());
        assert!(at_status_line || found == expected, "{lines:?}: {found}");
    }
    // A fold before any field (.NET refuses it too).
    let folded = read("HTTP/1.1 200 OK\r\n A: 1\r\n\r\n").unwrap_err();
    assert_eq!(folded, ResponseHeadError::StatusLine);
}

/// Fields, and what they make of an answer to a GET: the body, whether the connection lasts, and the
/// Content-Length that is left.
const FRAMED: &[(&str, ResponseBody, bool, Option<&str>)] = &[
    (
        "HTTP/1.1|Content-Length: 5",
        ResponseBody::Length(5),
        true,
        Some("5"),
    ),
    ("HTTP/1.1|", ResponseBody::UntilClose, false, None),
    (
        "HTTP/1.1|Transfer-Encoding: chunked",
        ResponseBody::Chunked,
        true,
        None,
    ),
    (
        "HTTP/1.1|Transfer-Encoding : CHUNKED",
        ResponseBody::Chunked,
        true,
        None,
    ),
    (
        "HTTP/1.1|Content-Length :\r\n 5",
        ResponseBody::Length(5),
        true,
        Some("5"),
    ),
    // Twice the same is once (RFC 9110 section 8.6).
    (
        "HTTP/1.1|Content-Length: 5\r\nContent-Length: 5",
        ResponseBody::Length(5),
        true,
        Some("5"),
    ),
    (
        "HTTP/1.1|Content-Length: 5, 5",
        ResponseBody::Length(5),
        true,
        Some("5"),
    ),
    // RFC 9112 section 6.3, rule 3.
    (
        "HTTP/1.1|Content-Length: 5\r\nTransfer-Encoding: chunked",
        ResponseBody::Chunked,
        true,
        None,
    ),
    // No coding: as long as is said, and no further request is sent.
    (
        "HTTP/1.1|Transfer-Encoding: identity\r\nContent-Length: 5",
        ResponseBody::Length(5),
        false,
        Some("5"),
    ),
    (
        "HTTP/1.1|Transfer-Encoding:",
        ResponseBody::UntilClose,
        false,
        None,
    ),
    // RFC 9112 section 6.1: HTTP/1.0 has no chunks, so the connection ends behind them.
    (
        "HTTP/1.0|Transfer-Encoding: chunked",
        ResponseBody::Chunked,
        false,
        None,
    ),
    (
        "HTTP/1.0|Content-Length: 5",
        ResponseBody::Length(5),
        false,
        Some("5"),
    ),
    (
        "HTTP/1.0|Content-Length: 5\r\nConnection: Keep-Alive",
        ResponseBody::Length(5),
        true,
        Some("5"),
    ),
    (
        "HTTP/1.1|Content-Length: 5\r\nConnection: x, Close",
        ResponseBody::Length(5),
        false,
        Some("5"),
    ),
    (
        "HTTP/1.0|Content-Length: 5\r\nConnection: keep-alive, close",
        ResponseBody::Length(5),
        false,
        Some("5"),
    ),
];

#[test]
fn the_fields_say_how_a_body_is_delimited() {
    for (case, body, keep_alive, length) in FRAMED {
        let (version, fields) = case.split_once('|').unwrap();
        let end = if fields.is_empty() { "" } else { "\r\n" };
        let input = format!("{version} 200 OK\r\n{fields}{end}\r\n");
        let head = read(&input).unwrap_or_else(|error| panic!("{error}: {case}"));
        let framing = head.framing;
        assert_eq!(
            (framing.body, framing.keep_alive),
            (*body, *keep_alive),
            "{case}"
        );
        let left: Vec<_> = head.fields.get_all("content-length").iter().collect();
        assert_eq!(left, length.as_slice(), "{case}");
    }
}

#[test]
fn what_leaves_the_end_in_doubt_is_refused() {
    for (fields, error) in [
        (
            "Content-Length: 5\r\nContent-Length: 6",
            ResponseHeadError::ContentLength,
        ),
        ("Content-Length: 5, 6", ResponseHeadError::ContentLength),
        ("Content-Length: +5", ResponseHeadError::ContentLength),
        ("Content-Length: -5", ResponseHeadError::ContentLength),
        ("Content-Length:", ResponseHeadError::ContentLength),
        ("Content-Length: 5 5", ResponseHeadError::ContentLength),
        (
            "Content-Length: 99999999999999999999",
            ResponseHeadError::ContentLength,
        ),
        // The client would not be told what the body is coded with.
        (
            "Transfer-Encoding: gzip, chunked",
            ResponseHeadError::TransferCoding,
        ),
        ("Transfer-Encoding: gzip", ResponseHeadError::TransferCoding),
        (
            "Transfer-Encoding: chunked, gzip",
            ResponseHeadError::TransferCoding,
        ),
        (
            "Transfer-Encoding: chunked, chunked",
            ResponseHeadError::TransferCoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            ResponseHeadError::TransferCoding,
        ),
        (
            "Transfer-Encoding: gzip\r\nContent-Length: 5",
            ResponseHeadError::TransferCoding,
        ),
    ] {
        let found = read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n")).unwrap_err();
        assert_eq!(found, error, "{fields}");
    }
    let reset = read("HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\n").unwrap_err();
    assert_eq!(reset, ResponseHeadError::ContentInReset);
    assert!(read("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n").is_ok());
}

#[test]
fn answers_without_a_body_have_none_whatever_they_say() {
    let bodiless = [
        (Method::HEAD, 200),
        (Method::GET, 103),
        (Method::GET, 204),
        (Method::GET, 304),
        (Method::CONNECT, 200),
    ];
    for (method, status) in bodiless {
        for (fields, length) in [
            ("Content-Length: 5\r\n", Some("5")),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Some("5")),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", None),
            ("Transfer-Encoding: gzip\r\n", None),
        ] {
            let head = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
            let head = answer_to(&method, &head).unwrap();
            let framing = head.framing;
            assert_eq!(
                (framing.body, framing.keep_alive),
                (ResponseBody::None, true)
            );
            let left: Vec<_> = head.fields.get_all("content-length").iter().collect();
            assert_eq!(left, length.as_slice(), "{method} {status} {fields}");
        }
    }
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 304)] {
        for length in ["x", "2\r\nContent-Length: 3"] {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
            let found = answer_to(&method, &head).unwrap_err();
            assert_eq!(found, ResponseHeadError::ContentLength, "{method} {status}");
        }
    }
    let refused = "HTTP/1.1 407 X\r\nContent-Length: 5\r\n\r\n";
    let refused = answer_to(&Method::CONNECT, refused).unwrap();
    assert_eq!(refused.framing.body, ResponseBody::Length(5));
}

#[test]
fn a_keep_alive_field_is_obeyed() {
    // As .NET: not in the last second, and `max` only where it is 0.
    for (value, keep_alive, seconds) in [
        ("timeout=5", true, Some(4)),
        ("timeout=2", true, Some(1)),
        ("timeout=1", false, None),
        ("timeout=0", false, None),
        ("TimeOut = 5 , MAX = 3", true, Some(4)),
        ("max=1, timeout=60", true, Some(59)),
        ("timeout=5, max=0", false, Some(4)),
        ("max=0", false, None),
        ("timeout=x, max=", true, None),
        ("timeout=-1", true, None),
        ("5", true, None),
    ] {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let fields = format!("Connection: keep-alive\r\nKeep-Alive: {value}");
            let head = format!("{version} 200 OK\r\nContent-Length: 0\r\n{fields}\r\n\r\n");
            let head = read(&head).unwrap();
            assert_eq!(head.framing.keep_alive, keep_alive, "{value}");
            assert_eq!(
                head.idle_timeout,
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}

#[test]
fn fields_of_the_connection_are_taken_away() {
    // RFC 9110 section 7.6.1. What a switch of protocols is read from stays for who reads it.
    let head = read(
        "HTTP/1.1 103 Early Hints\r\nX-Hop: 1\r\nLink: a\r\nConnection: close, x-hop,, Upgrade\r\n\
         x-hop: 2\r\nUpgrade: x\r\n\r\n",
    );
    assert_eq!(
        shown(&head.unwrap()),
        [
            "link: a",
            "connection: close, x-hop,, Upgrade",
            "upgrade: x"
        ]
    );
}

#[test]
fn heads_are_bound_by_size_and_nothing_else() {
    let of = |length: usize| {
        let (start, end) = ("HTTP/1.1 200 OK\r\nA: ", "\r\n\r\n");
        let filling = "x".repeat(length - start.len() - end.len());
        format!("{start}{filling}{end}")
    };
    for step in [1, 7, 4096, 65_536, 100_000] {
        assert!(
            arriving(&Method::GET, of(MOST).as_bytes(), step)
                .unwrap()
                .is_some()
        );
        let found = arriving(&Method::GET, of(MOST + 1).as_bytes(), step);
        assert_eq!(
            found.unwrap_err(),
            ResponseHeadError::TooLong { most: MOST }
        );
    }
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "Set-Cookie: a\r\n".repeat(4000)
    );
    assert_eq!(read(&many).unwrap().fields.len(), 4000);
    let many: String = (0..5000).map(|at| format!("f{at}:\r\n")).collect();
    let many = read(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).unwrap();
    assert_eq!(many.fields.len(), 5000);
    let most = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:\r\n".repeat(16_379));
    assert_eq!(read(&most).unwrap().fields.len(), 16_379);
}

fn request(
    method: &Method,
    target: &str,
    fields: &[(&'static str, &str)],
    body: BodyLength,
    same_name: SameName,
) -> Result<(String, ResponseBody), RequestHeadError> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let mut out = Vec::new();
    let framing = encode_request_head(
        &mut out,
        RequestHeadParts {
            method,
            target,
            version: Version::Http11,
            fields: &map,
            body,
            same_name,
        },
    )?;
    Ok((String::from_utf8(out).unwrap(), framing))
}

#[test]
fn a_request_says_its_length_once() {
    let (empty, known, unknown) = (BodyLength::Empty, BodyLength::Known(5), BodyLength::Unknown);
    let chunked = "transfer-encoding: chunked\r\n";
    for (fields, body, expected) in [
        (&[("host", "d")][..], empty, "host: d\r\n"),
        (
            &[
                ("content-length", "0"),
                ("host", "d"),
                ("content-length", "0"),
            ],
            empty,
            "content-length: 0\r\nhost: d\r\n",
        ),
        (&[("host", "d")], known, "host: d\r\ncontent-length: 5\r\n"),
        (
            &[("content-length", "7"), ("host", "d")],
            known,
            "content-length: 5\r\nhost: d\r\n",
        ),
        (
            &[("transfer-encoding", "gzip"), ("content-length", "7")],
            unknown,
            chunked,
        ),
        (&[("transfer-encoding", "chunked")], empty, ""),
    ] {
        // A GET has a body too, where it has one.
        for method in [Method::GET, Method::POST] {
            let (head, _) = request(&method, "/x?y", fields, body, SameName::Lines).unwrap();
            assert_eq!(head, format!("{method} /x?y HTTP/1.1\r\n{expected}\r\n"));
        }
    }
}

#[test]
fn values_of_one_name_stand_in_lines_or_in_one() {
    let fields = [
        ("cookie", "a=1"),
        ("x", "1"),
        ("cookie", "b=2"),
        ("user-agent", "c"),
        ("x", "2"),
        ("user-agent", "d"),
        ("x", "3"),
    ];
    let get = |same_name| {
        let empty = BodyLength::Empty;
        request(&Method::GET, "/", &fields, empty, same_name)
            .unwrap()
            .0
    };
    assert_eq!(
        get(SameName::Lines),
        "GET / HTTP/1.1\r\ncookie: a=1\r\ncookie: b=2\r\nx: 1\r\nx: 2\r\nx: 3\r\n\
         user-agent: c\r\nuser-agent: d\r\n\r\n"
    );
    assert_eq!(
        get(SameName::OneLine),
        "GET / HTTP/1.1\r\ncookie: a=1; b=2\r\nx: 1, 2, 3\r\nuser-agent: c d\r\n\r\n"
    );
}

#[test]
fn a_request_that_would_be_read_as_another_is_not_written() {
    for target in ["", "/a b", "/a\r\nX: y", "/\u{7f}"] {
        let empty = BodyLength::Empty;
        let written = request(&Method::GET, target, &[], empty, SameName::Lines);
        assert_eq!(written, Err(RequestHeadError::Target), "{target:?}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(input in proptest::collection::vec(any::<u8>(), 0..300), step in 1usize..9) {
        let _ = arriving(&Method::GET, &input, step);
    }

    #[test]
    fn arrival_changes_nothing(
        lines in "([ \t]?[a-c]{0,2}[ :]{0,2}[x\u{1}\t ]{0,2}(\r\n|\n|\r)){0,6}",
        step in 1usize..9,
    ) {
        let input = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nbody");
        let all = arriving(&Method::GET, input.as_bytes(), input.len());
        let some = arriving(&Method::GET, input.as_bytes(), step);
        prop_assert_eq!(format!("{all:?}"), format!("{some:?}"));
    }
}

#[test]
fn statuses_are_kept_as_they_are() {
    let head = read("HTTP/1.1 418 I'm a teapot\r\n\r\n").unwrap();
    assert_eq!((head.status, head.reason), (StatusCode::IM_A_TEAPOT, None));
}
