//! Records of a client's TLS, followed by their headers alone: where they end does not depend on how
//! the bytes arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_proxy::fuzzing::missing_of_record;

fuzz_target!(|input: &[u8]| {
    // The first byte says how the input arrives.
    let Some((first, input)) = input.split_first() else {
        return;
    };
    let pieces = input.chunks(usize::from(*first) + 1);
    let missing = missing_of_record(pieces);
    assert_eq!(missing, missing_of_record([input]));
    // Whatever is missing, a boundary is reached by as many bytes of content, or a header's.
    let mut rest = input;
    let expected = loop {
        if rest.is_empty() {
            break 0;
        }
        let Some((header, content)) = rest.split_first_chunk::<5>() else {
            break 5 - rest.len();
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        match content.get(length..) {
            Some(behind) => rest = behind,
            None => break length - content.len(),
        }
    };
    assert_eq!(missing, expected);
});
