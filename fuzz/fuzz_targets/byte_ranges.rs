//! `Range` fields of clients: whatever they say, no byte is sent that the file does not have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_proxy::fuzzing::byte_range;

fuzz_target!(|input: (u64, &[u8])| {
    let (length, value) = input;
    if let Some(Some((first, last))) = byte_range(value, length) {
        assert!(first <= last && last < length);
        let again = format!("bytes={first}-{last}");
        assert_eq!(
            byte_range(again.as_bytes(), length),
            Some(Some((first, last)))
        );
    }
});
