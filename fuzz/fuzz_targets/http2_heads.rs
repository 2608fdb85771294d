//! Requests of HTTP/2 as heads of HTTP/1.1: one that is accepted reads as one request, with a body that
//! ends as it was said, in whatever is behind.
#![no_main]

use http::Request;
use libfuzzer_sys::fuzz_target;
use ostler_http1::{HeadDecoder, HeadProgress, Limits, RequestHead};
use ostler_proxy::fuzzing::http2_head;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let (Some(method), Some(target)) = (lines.next(), lines.next()) else {
        return;
    };
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        request = request.header(&line[..colon], &line[colon + 1..]);
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let (parts, ()) = request.into_parts();
    let has_body = input.len() % 2 == 0;
    let Some(head) = http2_head(&parts, has_body) else {
        return;
    };
    let again = RequestHead::from_parts(head.parts()).expect("a head crosses");
    assert_eq!(again.framing(), head.framing());
    let mut decoded = RequestHead::default();
    let wire = [head.raw(), b"GET / HTTP/1.1\r\n"].concat();
    match HeadDecoder::new(Limits::default()).decode(&wire, &mut decoded) {
        Ok(HeadProgress::Complete { consumed }) => {
            assert_eq!(consumed, head.raw().len());
            assert_eq!(decoded.framing(), head.framing());
            assert_eq!(decoded.fields().len(), head.fields().len());
            assert_eq!(decoded.authority(), head.authority());
        }
        Ok(progress) => panic!("it has no end: {progress:?}"),
        // HTTP/1.1 may be stricter.
        Err(_) => {}
    }
});
