//! The first bytes of a trusted peer as a PROXY header: arrival changes nothing, and no byte behind the
//! header is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_proxy::fuzzing::proxy_header;

fuzz_target!(|input: &[u8]| {
    // The first byte says how the input arrives.
    let Some((first, input)) = input.split_first() else {
        return;
    };
    let whole = proxy_header([input]);
    let stepwise = proxy_header(input.chunks(usize::from(*first) + 1));
    match (&whole, &stepwise) {
        // Of several reasons to refuse it may be another, and bytes may be refused before all are here.
        (Err(_), Err(_)) => {}
        (whole, stepwise) => assert_eq!(whole, stepwise),
    }
    if let Ok(Some((len, ends))) = whole {
        assert!(len <= input.len());
        assert_eq!(proxy_header([&input[..len]]), Ok(Some((len, ends))));
        assert!(!matches!(proxy_header([&input[..len - 1]]), Ok(Some(_))));
    }
});
