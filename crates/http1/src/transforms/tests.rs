use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::framing::{BodyLength, RequestFacts, Version};
use crate::{encode_response_head, format_date};

fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}

fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

fn everything() -> ResponseTransforms {
    let set = |when| FieldTransform::Set {
        name: name("x-set"),
        value: value("v"),
        when,
    };
    ResponseTransforms {
        copies_fields: false,
        copies_trailers: true,
        fields: vec![
            set(When::Always),
            FieldTransform::Append {
                name: name("x-append"),
                value: HeaderValue::from_bytes(b"\xff;=").unwrap(),
                when: When::Failure,
            },
            FieldTransform::Allow(vec![name("a"), name("b")]),
            FieldTransform::Allow(Vec::new()),
            set(When::Success),
        ],
        trailers: vec![FieldTransform::Remove {
            name: name("x-gone"),
            when: When::Success,
        }],
    }
}

#[test]
fn transforms_cross_whole() {
    for transforms in [everything(), ResponseTransforms::default()] {
        let mut bytes = transforms.encode().unwrap().into_vec();
        let len = bytes.len();
        bytes.extend_from_slice(b"what follows");
        assert_eq!(ResponseTransforms::check(&bytes), Ok(len));
        assert_eq!(ResponseTransforms::decode(&bytes), Ok(transforms));
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let transforms = ResponseTransforms {
        copies_trailers: false,
        trailers: vec![FieldTransform::Set {
            name: name("ab"),
            value: value("c"),
            when: When::Failure,
        }],
        ..ResponseTransforms::default()
    };
    let bytes = b"\x09\0\x02\0\x01\x82\x02\0\x01\0abc";
    assert_eq!(transforms.encode().as_deref(), Some(&bytes[..]));
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = everything().encode().unwrap();
    for end in 0..bytes.len() {
        assert!(ResponseTransforms::check(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn what_means_nothing_is_refused() {
    for bytes in [
        &b"\0\0\x04\0"[..],                 // an unknown flag
        b"\0\0\0\x01",                      // a byte that is zero
        b"\x07\0\0\0\x05\0\x01\0\0\0a",     // an unknown kind
        b"\x07\0\0\0\x03\x03\x01\0\0\0a",   // an unknown condition
        b"\x06\0\0\0\x03\0\0\0\0\0",        // no name
        b"\x08\0\0\0\x03\0\x01\0\x01\0ab",  // a value where none is
        b"\x07\0\0\0\x03\0\x01\0\0\0 ",     // a name that is none
        b"\x08\0\0\0\x01\0\x01\0\x01\0a\n", // a value that is none
        b"\x07\0\0\0\x04\0\x01\0\0\0a",     // a list with a name
        b"\x07\0\0\0\x04\x01\0\0\x01\0a",   // a list with a condition
        b"\x09\0\0\0\x04\0\0\0\x03\0a; ",   // a list with what is no name
        b"\xfd\x1f\0\0",                    // longer than allowed
    ] {
        assert_eq!(
            ResponseTransforms::check(bytes),
            Err(InvalidTransforms),
            "{bytes:?}"
        );
        assert_eq!(
            ResponseTransforms::decode(bytes),
            Err(InvalidTransforms),
            "{bytes:?}"
        );
    }
}

#[test]
fn what_is_too_long_is_not_encoded() {
    let transforms = ResponseTransforms {
        fields: vec![FieldTransform::Set {
            name: name("x"),
            value: HeaderValue::from_bytes(&[b'v'; ResponseTransforms::MAX_ENCODED]).unwrap(),
            when: When::Always,
        }],
        ..ResponseTransforms::default()
    };
    assert_eq!(transforms.encode(), None);
}

proptest! {
    #[test]
    fn garbage_never_panics_and_what_is_checked_is_decoded(
        bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        let checked = ResponseTransforms::check(&bytes);
        prop_assert_eq!(checked.is_ok(), ResponseTransforms::decode(&bytes).is_ok());
    }

    #[test]
    fn nearly_right_bytes_never_panic(at in 0usize..80, byte in any::<u8>()) {
        let mut bytes = everything().encode().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        let checked = ResponseTransforms::check(&bytes);
        prop_assert_eq!(checked.is_ok(), ResponseTransforms::decode(&bytes).is_ok());
    }
}

/// The lines of a head with the transforms applied, and the facts of its framing.
fn head(
    transforms: &ResponseTransforms,
    is_head: bool,
    status: u16,
    fields: &[(&'static str, &'static str)],
    length: BodyLength,
) -> (Vec<String>, bool) {
    let mut map = HeaderMap::new();
    for (field, text) in fields {
        map.append(name(field), value(text));
    }
    let facts = RequestFacts {
        is_head,
        is_connect: false,
        version: Version::Http11,
        keep_alive: true,
    };
    let status = StatusCode::from_u16(status).unwrap();
    let date = format_date(0);
    let length = transforms.head(facts, status, &mut map, length, &date);
    let mut out = Vec::new();
    let framing = encode_response_head(&mut out, facts, status, None, &map, &[], length, &date);
    let text = String::from_utf8(out).unwrap().to_ascii_lowercase();
    let mut lines: Vec<_> = text
        .trim_end()
        .split("\r\n")
        .skip(1)
        .map(str::to_owned)
        .collect();
    lines.sort();
    (lines, framing.keep_alive)
}

const DATE: &str = "date: thu, 01 jan 1970 00:00:00 gmt";

#[test]
fn framing_and_connection_are_not_for_transforms_to_change() {
    use BodyLength::{Empty, Known, Unknown};
    let drop = ResponseTransforms {
        copies_fields: false,
        ..ResponseTransforms::default()
    };
    let set = |field, text| ResponseTransforms {
        fields: vec![FieldTransform::Set {
            name: name(field),
            value: value(text),
            when: When::Always,
        }],
        ..ResponseTransforms::default()
    };
    let longer = set("content-length", "99");
    for (transforms, status, fields, length, lines, keep_alive) in [
        (
            &drop,
            200,
            &[("x", "1")][..],
            Known(2),
            &["content-length: 2", DATE][..],
            true,
        ),
        (
            &drop,
            200,
            &[("connection", "close")],
            Known(2),
            &["connection: close", "content-length: 2", DATE],
            false,
        ),
        (
            &drop,
            200,
            &[("content-length", "5")],
            Unknown,
            &["content-length: 5", DATE],
            true,
        ),
        (
            &longer,
            200,
            &[],
            Unknown,
            &[DATE, "transfer-encoding: chunked"],
            true,
        ),
        (
            &longer,
            200,
            &[],
            Known(2),
            &["content-length: 2", DATE],
            true,
        ),
        (
            &set("date", "never"),
            200,
            &[],
            Known(0),
            &["content-length: 0", "date: never"],
            true,
        ),
        (
            &set("connection", "close"),
            200,
            &[],
            Known(0),
            &["connection: close", "content-length: 0", DATE],
            false,
        ),
        (
            &drop,
            101,
            &[("connection", "upgrade"), ("upgrade", "a"), ("x", "1")],
            Empty,
            &["connection: upgrade", DATE, "upgrade: a"],
            true,
        ),
    ] {
        let made = head(transforms, false, status, fields, length);
        assert_eq!(
            made,
            (
                lines.iter().map(|line| (*line).to_owned()).collect(),
                keep_alive
            )
        );
    }
}

#[test]
fn a_response_to_head_states_what_transforms_leave_of_it() {
    use BodyLength::Known;
    let as_it_is = ResponseTransforms::default();
    let drop = ResponseTransforms {
        copies_fields: false,
        ..ResponseTransforms::default()
    };
    for (transforms, fields, lines) in [
        (&as_it_is, &[][..], &["content-length: 7", DATE][..]),
        (
            &as_it_is,
            &[("content-length", "9")],
            &["content-length: 9", DATE],
        ),
        (&drop, &[], &[DATE]),
    ] {
        let (made, _) = head(transforms, true, 200, fields, Known(7));
        assert_eq!(made, lines);
    }
}

#[test]
fn trailers_are_made_where_there_are_none() {
    let transforms = ResponseTransforms {
        trailers: vec![FieldTransform::Append {
            name: name("x-t"),
            value: value("2"),
            when: When::Success,
        }],
        ..ResponseTransforms::default()
    };
    let made = transforms.trailers(StatusCode::OK, None).unwrap();
    assert_eq!(made["x-t"], "2");
    assert_eq!(transforms.trailers(StatusCode::NOT_FOUND, None), None);
    assert_eq!(
        ResponseTransforms::default().trailers(StatusCode::OK, None),
        None
    );
    let mut own = HeaderMap::new();
    own.append("x-t", value("1"));
    let made = transforms.trailers(StatusCode::OK, Some(own)).unwrap();
    assert_eq!(made.get_all("x-t").iter().collect::<Vec<_>>(), ["1", "2"]);
}
