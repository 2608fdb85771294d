//! Bytes from a client as a request body: arrival changes nothing, and what was read, encoded
//! again, is read as the same.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use ostler_http1::{BodyDecoder, BodyEncoder, BodyError, BodyProgress, Framing, ResponseBody};

fuzz_target!(|input: &[u8]| {
    // The first byte says how the body is framed and how it arrives.
    let Some((first, input)) = input.split_first() else {
        return;
    };
    let framing = match first % 4 {
        0 => Framing::Length(u64::from(*first) + 1),
        _ => Framing::Chunked,
    };
    let whole = decode(framing, input, input.len().max(1));
    let stepwise = decode(framing, input, usize::from(first / 4) % 7 + 1);
    // Of several reasons to refuse it may be another.
    assert_eq!(whole.clone().map_err(drop), stepwise.map_err(drop));
    let Ok(Some(body)) = whole else { return };
    if framing != Framing::Chunked {
        return;
    }
    let mut wire = Vec::new();
    let mut encoder = BodyEncoder::new(ResponseBody::Chunked);
    for piece in body.data.chunks(usize::from(*first) + 1) {
        let behind = encoder
            .begin_data(piece.len(), &mut wire)
            .expect("chunks have no length");
        wire.extend_from_slice(piece);
        wire.extend_from_slice(behind);
    }
    encoder
        .finish(body.trailers.as_ref(), &mut wire)
        .expect("chunks have no length");
    let again = decode(Framing::Chunked, &wire, wire.len());
    let consumed = wire.len();
    assert_eq!(again, Ok(Some(Body { consumed, ..body })));
});

#[derive(Debug, Clone, PartialEq)]
struct Body {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Bytes of the input that were the body's.
    consumed: usize,
}

/// Decodes what arrives in pieces of `step` bytes.
fn decode(framing: Framing, input: &[u8], step: usize) -> Result<Option<Body>, BodyError> {
    let mut decoder = BodyDecoder::new(framing);
    let (mut data, mut used, mut arrived) = (Vec::new(), 0, 0);
    loop {
        assert!(decoder.read_hint() > 0);
        match decoder.decode(&input[used..arrived])? {
            BodyProgress::Data {
                start,
                end,
                consumed,
            } => {
                assert!(start < end && end <= consumed && used + consumed <= arrived);
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
                assert_eq!(decoder.consumed_body(), data.len() as u64);
                let trailers = decoder.trailers();
                return Ok(Some(Body {
                    data,
                    trailers,
                    consumed: used + consumed,
                }));
            }
        }
    }
}
