//! Field values in the encodings that a cluster's `HttpClient` names (reference B19).
//!
//! Without a name, bytes pass as they came, both ways. With one, the front takes values for UTF-8 on
//! the client's side, as ASP.NET does, and converts between that and what the destination uses. A
//! request that cannot be converted is not sent; of a response, what cannot be read is replaced.

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderValue, LOCATION};
use ostler_config::schema::HeaderEncoding;

use super::request_error::RequestError;

/// Writes a request's values in the destination's encoding.
pub(super) fn encode(fields: &mut HeaderMap, encoding: HeaderEncoding) -> Result<(), RequestError> {
    for (name, value) in fields {
        if value.as_bytes().is_ascii() {
            continue;
        }
        let unencodable = || RequestError::Unencodable {
            field: name.clone(),
            encoding: encoding.as_str(),
        };
        let text =
            str::from_utf8(value.as_bytes()).map_err(|_| RequestError::NotUtf8(name.clone()))?;
        match encoding {
            HeaderEncoding::Utf8 => {}
            HeaderEncoding::Ascii => return Err(unencodable()),
            HeaderEncoding::Latin1 => {
                let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
                let bytes = bytes.map_err(|_| unencodable())?;
                *value = HeaderValue::from_bytes(&bytes).map_err(http::Error::from)?;
            }
        }
    }
    Ok(())
}

/// Reads the values of a response, or of its trailers, in the destination's encoding.
pub(crate) fn decode(fields: &mut HeaderMap, encoding: HeaderEncoding) {
    for (name, value) in fields {
        let bytes = value.as_bytes();
        // .NET reads a `Location` as UTF-8 where it can.
        if bytes.is_ascii() || (name == LOCATION && str::from_utf8(bytes).is_ok()) {
            continue;
        }
        let text: Cow<'_, str> = match encoding {
            HeaderEncoding::Utf8 => String::from_utf8_lossy(bytes),
            HeaderEncoding::Latin1 => bytes.iter().copied().map(char::from).collect(),
            HeaderEncoding::Ascii => {
                let letter = |byte: &u8| {
                    if byte.is_ascii() {
                        char::from(*byte)
                    } else {
                        '?'
                    }
                };
                bytes.iter().map(letter).collect()
            }
        };
        // No control character comes of one that was none.
        if let Ok(decoded) = HeaderValue::from_bytes(text.as_bytes()) {
            *value = decoded;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HeaderEncoding::{Ascii, Latin1, Utf8};

    fn fields(name: &'static str, value: &[u8]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert("x-plain", HeaderValue::from_static("plain"));
        fields.insert(name, HeaderValue::from_bytes(value).unwrap());
        fields
    }

    #[test]
    fn requests_are_written_in_the_destinations_encoding() {
        for (encoding, sent, expected) in [
            (
                Utf8,
                "\u{e9}\u{20ac}".as_bytes(),
                Some("\u{e9}\u{20ac}".as_bytes()),
            ),
            (Latin1, "\u{e9}\u{ff}".as_bytes(), Some(&b"\xe9\xff"[..])),
            (Latin1, "\u{20ac}".as_bytes(), None),
            (Ascii, "\u{e9}".as_bytes(), None),
            (Ascii, b"e", Some(b"e")),
            (Utf8, b"\xe9", None),
            (Latin1, b"\xe9", None),
        ] {
            let mut fields = fields("x-name", sent);
            let encoded = encode(&mut fields, encoding);
            assert_eq!(encoded.is_ok(), expected.is_some(), "{encoding:?} {sent:?}");
            if let Some(expected) = expected {
                assert_eq!(fields["x-name"].as_bytes(), expected);
            }
            assert_eq!(fields["x-plain"], "plain");
        }
    }

    #[test]
    fn responses_are_read_in_the_destinations_encoding() {
        for (encoding, name, sent, expected) in [
            (Latin1, "x-name", &b"\xe9\xff"[..], "\u{e9}\u{ff}"),
            (Latin1, "x-name", "\u{e9}".as_bytes(), "\u{c3}\u{a9}"),
            (Latin1, "location", "/\u{e9}".as_bytes(), "/\u{e9}"),
            (Latin1, "location", b"/\xe9", "/\u{e9}"),
            (Utf8, "x-name", "\u{e9}".as_bytes(), "\u{e9}"),
            (Utf8, "x-name", b"a\xe9b", "a\u{fffd}b"),
            (Ascii, "x-name", b"a\xe9b", "a?b"),
        ] {
            let mut fields = fields(name, sent);
            decode(&mut fields, encoding);
            assert_eq!(fields[name].as_bytes(), expected.as_bytes(), "{encoding:?}");
        }
    }
}
