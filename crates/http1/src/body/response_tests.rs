//! Bodies of responses: tables, every split, limits.

use proptest::prelude::*;

use super::decode::BodyProgress;
use super::response::ResponseBodyDecoder;
use crate::error::{BodyError, ResponseBodyError};
use crate::framing::ResponseBody;

#[derive(Debug, PartialEq)]
struct Body {
    data: String,
    trailers: Vec<String>,
    rest: String,
}

/// The body of what arrives in pieces of `step` bytes; `None` while its end has not.
fn decode(
    framing: ResponseBody,
    input: &[u8],
    step: usize,
) -> Result<Option<Body>, ResponseBodyError> {
    let mut decoder = ResponseBodyDecoder::new(framing);
    let (mut data, mut used, mut arrived) = (Vec::new(), 0, 0);
    loop {
        match decoder.decode(&input[used..arrived])? {
            BodyProgress::Data {
                start,
                end,
                consumed,
            } => {
                assert!(start < end && end <= consumed);
                data.extend_from_slice(&input[used + start..used + end]);
                used += consumed;
            }
            BodyProgress::NeedMore { consumed } => {
                used += consumed;
                if arrived == input.len() {
                    return Ok(None);
                }
                arrived = (arrived + step).min(input.len());
            }
            BodyProgress::End { consumed } => {
                assert!(decoder.is_end());
                let trailers = decoder.trailers().unwrap_or_default();
                let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                    format!("{name}: {}", value.to_str().unwrap())
                };
                return Ok(Some(Body {
                    data: String::from_utf8_lossy(&data).into_owned(),
                    trailers: trailers.iter().map(line).collect(),
                    rest: String::from_utf8_lossy(&input[used + consumed..]).into_owned(),
                }));
            }
        }
    }
}

fn chunked(input: &str) -> Result<Option<Body>, ResponseBodyError> {
    decode(ResponseBody::Chunked, input.as_bytes(), input.len().max(1))
}

/// The input, its data, its trailers, and what is left behind it.
const VALID: &[(&str, &str, &[&str], &str)] = &[
    ("0\r\n\r\nnext", "", &[], "next"),
    ("5\r\nhello\r\n0\r\n\r\n", "hello", &[], ""),
    (
        "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\nx",
        "hello world",
        &[],
        "x",
    ),
    (
        "A\r\n0123456789\r\na;x=\"y;\"\r\n0123456789\r\n0\r\n\r\n",
        "01234567890123456789",
        &[],
        "",
    ),
    // Lines that end in a bare LF, as .NET takes them.
    ("5\nhello\n0\n\n", "hello", &[], ""),
    ("5\r\nhello\n0\r\n\n", "hello", &[], ""),
    ("1\n\n\n0\n\nx", "\n", &[], "x"),
    // Blanks behind the size: servers that write it into a field of fixed width (hyper).
    ("5   \r\nhello\r\n0 \t\r\n\r\n", "hello", &[], ""),
    // Extensions mean nothing to anybody.
    ("5;\r\nhello\r\n0;a=\r\n\r\n", "hello", &[], ""),
    ("5 ; a b\r\nhello\r\n0\r\n\r\n", "hello", &[], ""),
    ("0\r\nX-Sum: 1\r\n\r\nx", "", &["x-sum: 1"], "x"),
    // Folded, and with a blank before the colon.
    (
        "0\r\nX-T: a\r\n b\r\nX-U : c\r\n\r\n",
        "",
        &["x-t: a   b", "x-u: c"],
        "",
    ),
    ("0\nX-T: a\n\n", "", &["x-t: a"], ""),
    // RFC 9110 section 6.5.1: these mean nothing here, and others do.
    (
        "0\r\nContent-Length: 5\r\nHost: x\r\nAuthorization: x\r\nSet-Cookie: x\r\nContent-Type: x\r\n\
         Content-Encoding: x\r\nCache-Control: x\r\nDate: x\r\nLocation: x\r\nTrailer: x\r\n\
         Transfer-Encoding: chunked\r\nConnection: x\r\nETag: y\r\n\r\n",
        "",
        &["etag: y"],
        "",
    ),
];

#[test]
fn chunks_are_read_however_they_arrive() {
    for (input, data, trailers, rest) in VALID {
        for step in 1..=input.len() {
            let body = decode(ResponseBody::Chunked, input.as_bytes(), step);
            let body = body.unwrap_or_else(|error| panic!("{error}: {input:?} by {step}"));
            let body = body.unwrap_or_else(|| panic!("no end: {input:?} by {step}"));
            assert_eq!(body.data, *data, "{input:?} by {step}");
            assert_eq!(body.trailers, *trailers, "{input:?} by {step}");
            // What arrives later is not looked at.
            assert!(
                rest.starts_with(&body.rest) || body.rest == *rest,
                "{input:?}"
            );
        }
    }
}

#[test]
fn malformed_chunks_are_refused_however_they_arrive() {
    for (input, error) in [
        ("\r\n", BodyError::ChunkSize),
        ("x\r\n", BodyError::ChunkSize),
        ("not a size\r\n", BodyError::ChunkSize),
        ("0x5\r\nhello\r\n", BodyError::ChunkSize),
        ("+5\r\nhello\r\n", BodyError::ChunkSize),
        (" 5\r\nhello\r\n", BodyError::ChunkSize),
        ("5 5\r\nhello\r\n", BodyError::ChunkSize),
        ("ffffffffffffffff\r\n", BodyError::ChunkSize),
        ("10000000000000000\r\n", BodyError::ChunkSize),
        ("5\rhello\n", BodyError::ChunkSize),
        ("5;\u{1}\r\nhello\r\n", BodyError::ChunkExtension),
        ("5;a\rb\r\nhello\r\n", BodyError::ChunkExtension),
        ("5\r\nhello0\r\n\r\n", BodyError::LineEnd),
        ("5\r\nhello\rx", BodyError::LineEnd),
    ] {
        for step in 1..=input.len() {
            let found = decode(ResponseBody::Chunked, input.as_bytes(), step);
            let expected = ResponseBodyError::Chunks(error);
            assert_eq!(found, Err(expected), "{input:?} by {step}");
        }
    }
    for input in [
        "0\r\nno colon\r\n\r\n",
        "0\r\n folded: x\r\n\r\n",
        "0\r\nA: b\u{1}\r\n\r\n",
    ] {
        let found = chunked(input).unwrap_err();
        assert!(matches!(found, ResponseBodyError::Trailers(_)), "{input:?}");
    }
}

#[test]
fn trailers_are_bound_by_size_and_nothing_else() {
    let many: String = (0..3000).map(|at| format!("t{at}: x\r\n")).collect();
    let body = chunked(&format!("0\r\n{many}\r\n")).unwrap().unwrap();
    assert_eq!(body.trailers.len(), 3000);
    let of = |length: usize| format!("0\r\nA: {}\r\n\r\n", "x".repeat(length - 7));
    assert!(chunked(&of(64 * 1024)).unwrap().is_some());
    for step in [1000, 4096, 65_536, 100_000] {
        let found = decode(ResponseBody::Chunked, of(64 * 1024 + 1).as_bytes(), step);
        assert_eq!(found, Err(BodyError::TrailersTooLong.into()));
    }
    let line = format!("5;{}", "x".repeat(16 * 1024));
    assert_eq!(chunked(&line), Err(BodyError::ChunkLineTooLong.into()));
}

#[test]
fn a_length_ends_where_it_says_and_no_length_where_the_connection_does() {
    let body = decode(ResponseBody::Length(5), b"hello, world", 12)
        .unwrap()
        .unwrap();
    assert_eq!(
        (body.data.as_str(), body.rest.as_str()),
        ("hello", ", world")
    );
    let none = decode(ResponseBody::None, b"x", 1).unwrap().unwrap();
    assert_eq!(none.data, "");
    for (framing, input, whole) in [
        (ResponseBody::Length(5), &b"hell"[..], false),
        (ResponseBody::Chunked, b"5\r\nhello\r\n0\r\n", false),
        (ResponseBody::Chunked, b"", false),
        (ResponseBody::UntilClose, b"hello", true),
        (ResponseBody::UntilClose, b"", true),
    ] {
        let mut decoder = ResponseBodyDecoder::new(framing);
        let mut used = 0;
        while let BodyProgress::Data { consumed, .. } = decoder.decode(&input[used..]).unwrap() {
            used += consumed;
        }
        let ended = decoder.end_of_stream();
        let expected = if whole {
            Ok(())
        } else {
            Err(ResponseBodyError::CutOff)
        };
        assert_eq!(ended, expected, "{framing:?}");
        assert_eq!(decoder.is_end(), whole);
    }
}

proptest! {
    #[test]
    fn near_misses_never_panic_and_arrival_changes_nothing(
        input in "[0-3a:;= \\r\\n\"x]{0,80}",
        step in 1usize..9,
    ) {
        let all = decode(ResponseBody::Chunked, input.as_bytes(), input.len().max(1));
        let some = decode(ResponseBody::Chunked, input.as_bytes(), step);
        prop_assert_eq!(all.is_err(), some.is_err());
        if let (Ok(Some(all)), Ok(Some(some))) = (all, some) {
            prop_assert_eq!((all.data, all.trailers), (some.data, some.trailers));
        }
    }
}
