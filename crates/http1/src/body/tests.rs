//! Bodies: tables, every split, random chunkings.

use proptest::prelude::*;

use super::decode::{BodyDecoder, BodyLimits, BodyProgress};
use super::encode::BodyEncoder;
use crate::error::{BodyError, BodyLengthError};
use crate::framing::{Framing, ResponseBody};

/// A body, and what is left behind it.
type Decoded = (Vec<u8>, Vec<u8>);

/// Decodes input that arrives in these pieces: the body, and what is left behind it.
fn decode(mut decoder: BodyDecoder, pieces: &[&[u8]]) -> Result<Option<Decoded>, BodyError> {
    let (mut body, mut input) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&input)? {
                BodyProgress::Data {
                    start,
                    end,
                    consumed,
                } => {
                    assert!(start < end && end <= consumed);
                    body.extend_from_slice(&input[start..end]);
                    input.drain(..consumed);
                }
                BodyProgress::NeedMore { consumed } => {
                    input.drain(..consumed);
                    break;
                }
                BodyProgress::End { consumed } => {
                    input.drain(..consumed);
                    assert!(decoder.is_end());
                    break;
                }
            }
        }
    }
    assert_eq!(decoder.consumed_body(), body.len() as u64);
    Ok(decoder.is_end().then_some((body, input)))
}

fn chunked(input: &[u8]) -> Result<Option<Decoded>, BodyError> {
    decode(BodyDecoder::new(Framing::Chunked), &[input])
}

const VALID: [(&[u8], &[u8], &[u8]); 9] = [
    (b"0\r\n\r\n", b"", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""),
    (b"5\r\nhello\r\n0\r\n\r\nGET /", b"hello", b"GET /"),
    (
        b"a\r\n0123456789\r\n1\r\nx\r\n000\r\n\r\n",
        b"0123456789x",
        b"",
    ),
    (
        b"A;name\r\n0123456789\r\n0;last=yes\r\n\r\n",
        b"0123456789",
        b"",
    ),
    (b"1 ; a = \"q;\\\" \" ; b\r\nx\r\n0\r\n\r\n", b"x", b""),
    (b"1\r\n\n\r\n0\r\n\r\n", b"\n", b""),
    (b"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nnext", b"x", b"next"),
    (b"00000000000000000001\r\nx\r\n0\r\n\r\n", b"x", b""),
];

const MALFORMED: [(&[u8], BodyError); 21] = [
    (b"\r\n", BodyError::ChunkSize),
    (b"x\r\n", BodyError::ChunkSize),
    (b"0x5\r\nhello\r\n", BodyError::ChunkSize),
    (b"+5\r\nhello\r\n", BodyError::ChunkSize),
    (b"-1\r\n", BodyError::ChunkSize),
    (b" 5\r\nhello\r\n", BodyError::ChunkSize),
    (b"5 \r\nhello\r\n", BodyError::ChunkSize),
    (b"5 5\r\nhello\r\n", BodyError::ChunkSize),
    (b"ffffffffffffffff\r\n", BodyError::ChunkSize),
    (b"10000000000000000\r\n", BodyError::ChunkSize),
    (b"5\nhello\r\n", BodyError::LineEnd),
    (b"5\rhello\r\n", BodyError::LineEnd),
    (b"5\r\nhello0\r\n\r\n", BodyError::LineEnd),
    (b"5\r\nhello\n0\r\n\r\n", BodyError::LineEnd),
    (b"5;\r\nhello\r\n", BodyError::ChunkExtension),
    (b"5;a=\r\nhello\r\n", BodyError::ChunkExtension),
    (b"5;a=\"b\r\nhello\r\n", BodyError::ChunkExtension),
    (b"0\r\nno colon\r\n\r\n", BodyError::Trailer),
    (b"0\r\n folded: x\r\n\r\n", BodyError::Trailer),
    (b"0\r\nContent-Length: 5\r\n\r\n", BodyError::Trailer),
    (b"0\r\nA: b\n\r\n", BodyError::LineEnd),
];

#[test]
fn decodes_chunks() {
    for (input, body, rest) in VALID {
        assert_eq!(
            chunked(input),
            Ok(Some((body.to_vec(), rest.to_vec()))),
            "{}",
            input.escape_ascii()
        );
    }
}

#[test]
fn every_split_gives_the_same() {
    for (input, body, rest) in VALID {
        for at in 0..=input.len() {
            let (first, second) = input.split_at(at);
            let got = decode(BodyDecoder::new(Framing::Chunked), &[first, second]);
            assert_eq!(
                got,
                Ok(Some((body.to_vec(), rest.to_vec()))),
                "{} at {at}",
                input.escape_ascii()
            );
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        let got = decode(BodyDecoder::new(Framing::Chunked), &bytes);
        assert_eq!(
            got,
            Ok(Some((body.to_vec(), rest.to_vec()))),
            "{}",
            input.escape_ascii()
        );
    }
}

#[test]
fn refuses_malformed_chunks_however_they_arrive() {
    for (input, error) in MALFORMED {
        assert_eq!(chunked(input), Err(error), "{}", input.escape_ascii());
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        let got = decode(BodyDecoder::new(Framing::Chunked), &bytes);
        assert_eq!(got, Err(error), "{} byte by byte", input.escape_ascii());
    }
}

#[test]
fn bounds_chunk_lines_and_trailers() {
    let limits = BodyLimits {
        chunk_line: 16,
        trailers: 32,
    };
    let run = |input: &[u8]| decode(BodyDecoder::with_limits(Framing::Chunked, limits), &[input]);
    assert_eq!(
        run(b"5;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        Err(BodyError::ChunkLineTooLong)
    );
    assert_eq!(
        run(b"5;aaaaaaaaaaaaaaaaaaaaa\r\n"),
        Err(BodyError::ChunkLineTooLong)
    );
    assert_eq!(
        run(b"0\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\nf: 6\r\n\r\n"),
        Err(BodyError::TrailersTooLong)
    );
    assert_eq!(
        run(b"0\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        Err(BodyError::TrailersTooLong)
    );
    assert!(run(b"0\r\na: 1\r\nb: 2\r\n\r\n").unwrap().is_some());
}

#[test]
fn gives_trailers_once_after_the_end() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    assert_eq!(decoder.trailers(), None);
    let input = b"0\r\nA: 1\r\na: 2\r\n\r\n";
    assert_eq!(
        decoder.decode(input),
        Ok(BodyProgress::End {
            consumed: input.len()
        })
    );
    let trailers = decoder.trailers().unwrap();
    assert_eq!(trailers.get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(decoder.trailers(), None);
}

#[test]
fn a_length_ends_where_it_says() {
    let run = |input: &[u8]| decode(BodyDecoder::new(Framing::Length(5)), &[input]);
    assert_eq!(
        run(b"hello, world"),
        Ok(Some((b"hello".to_vec(), b", world".to_vec())))
    );
    assert_eq!(run(b"hell"), Ok(None));
    let none = decode(BodyDecoder::new(Framing::None), &[b"GET"]);
    assert_eq!(none, Ok(Some((Vec::new(), b"GET".to_vec()))));
    assert_eq!(BodyDecoder::new(Framing::Length(5)).remaining(), Some(5));
    assert_eq!(BodyDecoder::new(Framing::Chunked).remaining(), None);
}

#[test]
fn hints_never_reach_past_a_body_s_end_by_much() {
    assert_eq!(BodyDecoder::new(Framing::Length(5)).read_hint(), 5);
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    decoder.decode(b"100\r\n").unwrap();
    assert_eq!(decoder.read_hint(), 0x100 + 7);
}

#[test]
fn encodes_chunks_with_trailers() {
    let mut encoder = BodyEncoder::new(ResponseBody::Chunked);
    let mut out = Vec::new();
    let suffix = encoder.begin_data(26, &mut out).unwrap();
    assert_eq!((&out[..], suffix), (&b"1a\r\n"[..], &b"\r\n"[..]));
    out.clear();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("a", http::HeaderValue::from_static("b"));
    encoder.finish(Some(&trailers), &mut out).unwrap();
    assert_eq!(out, b"0\r\na: b\r\n\r\n");
}

#[test]
fn holds_a_body_to_its_length() {
    let mut out = Vec::new();
    let mut encoder = BodyEncoder::new(ResponseBody::Length(5));
    assert_eq!(encoder.begin_data(3, &mut out), Ok(&b""[..]));
    assert_eq!(
        encoder.finish(None, &mut out),
        Err(BodyLengthError::TooShort { missing: 2 })
    );
    assert_eq!(
        encoder.begin_data(3, &mut out),
        Err(BodyLengthError::TooLong)
    );
    assert!(out.is_empty());
    let mut none = BodyEncoder::new(ResponseBody::None);
    assert_eq!(none.begin_data(1, &mut out), Err(BodyLengthError::TooLong));
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..8),
        cuts in proptest::collection::vec(1usize..60, 1..50),
    ) {
        let mut wire = Vec::new();
        let mut encoder = BodyEncoder::new(ResponseBody::Chunked);
        for piece in &pieces {
            let suffix = encoder.begin_data(piece.len(), &mut wire).unwrap();
            wire.extend_from_slice(piece);
            wire.extend_from_slice(suffix);
        }
        encoder.finish(None, &mut wire).unwrap();
        let mut arrivals: Vec<&[u8]> = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            arrivals.push(piece);
            rest = behind;
        }
        let got = decode(BodyDecoder::new(Framing::Chunked), &arrivals).unwrap();
        prop_assert_eq!(got, Some((pieces.concat(), Vec::new())));
    }

    #[test]
    fn garbage_never_panics(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = chunked(&input);
    }

    #[test]
    fn near_misses_never_panic(input in "[0-9a-f;= \\r\\n\":x]{0,80}") {
        let _ = chunked(input.as_bytes());
    }
}
