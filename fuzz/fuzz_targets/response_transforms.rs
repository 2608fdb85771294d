//! Bytes from a front as response transforms: what is accepted crosses again unchanged, and any
//! response survives it.
#![no_main]

use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use ostler_http1::{BodyLength, RequestFacts, ResponseTransforms, Version, format_date};

fuzz_target!(|input: &[u8]| {
    let checked = ResponseTransforms::check(input);
    let decoded = ResponseTransforms::decode(input);
    assert_eq!(checked.is_ok(), decoded.is_ok());
    let (Ok(len), Ok(transforms)) = (checked, decoded) else {
        return;
    };
    assert!(len <= input.len());
    let again = transforms.encode().expect("it is not longer than it was");
    assert_eq!(ResponseTransforms::decode(&again), Ok(transforms.clone()));

    let facts = RequestFacts {
        is_head: input.len() % 2 == 0,
        is_connect: false,
        version: Version::Http11,
        keep_alive: true,
    };
    for status in [
        StatusCode::SWITCHING_PROTOCOLS,
        StatusCode::OK,
        StatusCode::NOT_FOUND,
    ] {
        let mut fields = HeaderMap::new();
        for name in ["connection", "content-length", "a", "b"] {
            fields.append(name, "1".parse().expect("it is a value"));
        }
        let trailers = transforms.trailers(status, Some(fields.clone()));
        assert!(trailers.is_none_or(|trailers| !trailers.is_empty()));
        transforms.head(
            facts,
            status,
            &mut fields,
            BodyLength::Known(1),
            &format_date(0),
        );
    }
});
