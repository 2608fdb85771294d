//! Bytes from a client as a request head: arrival changes nothing, and what was accepted crosses to
//! another process and becomes a request there.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ostler_http1::{
    HeadDecoder, HeadError, HeadProgress, Limits, RequestHead, to_http_request_parts,
};

fuzz_target!(|input: &[u8]| {
    let whole = decode(input, input.len().max(1));
    // The first byte says how the input arrives.
    let step = input.first().map_or(1, |byte| usize::from(byte % 7) + 1);
    let stepwise = decode(input, step);
    match (&whole, &stepwise) {
        (Ok(Some(whole)), Ok(Some(stepwise))) => {
            assert_eq!(format!("{whole:?}"), format!("{stepwise:?}"));
        }
        // Of several reasons to refuse it may be another, and what is not whole and never will be good
        // may be refused sooner.
        (Ok(None) | Err(_), Ok(None) | Err(_)) => {}
        _ => panic!("{whole:?} at once, {stepwise:?} in pieces"),
    }
    let Ok(Some((head, consumed))) = whole else {
        return;
    };
    assert!(consumed <= input.len() && input[..consumed].ends_with(head.raw()));
    assert!(head.raw().ends_with(b"\r\n\r\n"));
    assert!(
        !head
            .raw()
            .windows(2)
            .any(|pair| pair[1] == b'\n' && pair[0] != b'\r')
    );
    let again = RequestHead::from_parts(head.parts()).expect("an accepted head crosses");
    assert_eq!(format!("{again:?}"), format!("{head:?}"));
    let raw = Bytes::copy_from_slice(head.raw());
    let parts = to_http_request_parts(&raw, &head.parts().index).expect("it is a request");
    assert_eq!(parts.method.as_str(), head.method());
    assert_eq!(parts.uri.query(), head.query());
    assert_eq!(parts.headers.len(), head.fields().len());
});

/// Decodes what arrives in pieces of `step` bytes.
fn decode(input: &[u8], step: usize) -> Result<Option<(RequestHead, usize)>, HeadError> {
    let mut decoder = HeadDecoder::new(Limits::default());
    let mut head = RequestHead::default();
    let mut end = 0;
    loop {
        let progress = decoder.decode(&input[..end], &mut head)?;
        if let HeadProgress::Complete { consumed } = progress {
            return Ok(Some((head, consumed)));
        }
        if end == input.len() {
            return Ok(None);
        }
        end = (end + step).min(input.len());
    }
}
