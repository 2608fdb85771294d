//! Bytes from a destination as a response: arrival changes nothing, and no field is more than one.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use ostler_http1::{BodyProgress, ResponseBodyDecoder, ResponseHead, ResponseHeadDecoder};

fuzz_target!(|input: &[u8]| {
    // The first byte says what was asked and how the answer arrives.
    let Some((first, input)) = input.split_first() else {
        return;
    };
    let method = match first % 4 {
        1 => Method::HEAD,
        2 => Method::CONNECT,
        _ => Method::GET,
    };
    let whole = read(&method, input, input.len().max(1));
    let stepwise = read(&method, input, usize::from(first / 4) % 7 + 1);
    assert_eq!(whole, stepwise);
});

#[derive(Debug, PartialEq)]
struct Response {
    head: String,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    is_whole: bool,
}

/// Reads what arrives in pieces of `step` bytes; `None` if it is refused.
fn read(method: &Method, input: &[u8], step: usize) -> Option<Response> {
    let mut decoder = ResponseHeadDecoder::new(ResponseHeadDecoder::LONGEST_HEAD);
    let mut arrived = 0;
    let end = loop {
        match decoder.decode(&input[..arrived]).ok()? {
            Some(end) => break end,
            None if arrived == input.len() => return None,
            None => arrived = (arrived + step).min(input.len()),
        }
    };
    let head = Bytes::copy_from_slice(&input[..end]);
    let head = ResponseHead::parse(&head, method).ok()?;
    for value in head.fields.values() {
        assert!(
            !value
                .as_bytes()
                .iter()
                .any(|byte| matches!(byte, b'\r' | b'\n' | 0))
        );
    }
    let mut decoder = ResponseBodyDecoder::new(head.framing.body);
    let (mut data, mut used) = (Vec::new(), end);
    let is_whole = loop {
        match decoder.decode(&input[used..arrived]).ok()? {
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
                    break decoder.end_of_stream().is_ok();
                }
                arrived = (arrived + step).min(input.len());
            }
            BodyProgress::End { .. } => break true,
        }
    };
    let trailers = decoder.trailers();
    Some(Response {
        head: format!("{head:?}"),
        data,
        trailers,
        is_whole,
    })
}
