//! Percent-decoding as ASP.NET does it: what is no UTF-8, or no escape at all, stays as it is.

use std::borrow::Cow;

/// Decodes a path. `%2F` stays, so that a segment never falls apart; `%00` stays, since nothing
/// behind a proxy expects a NUL.
pub(crate) fn decode_path(path: &str) -> Cow<'_, str> {
    decode(path, |octet| octet != b'/' && octet != 0, false)
}

/// Decodes a name or value of a query: `+` is a blank there.
pub(crate) fn decode_query(text: &str) -> Cow<'_, str> {
    decode(text, |_| true, true)
}

fn decode(text: &str, wanted: impl Fn(u8) -> bool, plus_is_blank: bool) -> Cow<'_, str> {
    let special = |byte: &u8| *byte == b'%' || plus_is_blank && *byte == b'+';
    let Some(first) = text.bytes().position(|byte| special(&byte)) else {
        return Cow::Borrowed(text);
    };
    let mut decoded = String::with_capacity(text.len());
    decoded.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(character) = rest.chars().next() {
        let (decoded_as, length) = match character {
            '+' if plus_is_blank => (' ', 1),
            '%' => match escaped(rest.as_bytes()) {
                Some((one, length)) if !one.is_ascii() || wanted(one as u8) => (one, length),
                _ => ('%', 1),
            },
            other => (other, other.len_utf8()),
        };
        decoded.push(decoded_as);
        rest = &rest[length..];
    }
    Cow::Owned(decoded)
}

/// The character that `text` begins with in escaped form, and the length of that form.
pub(crate) fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let mut octets = [0; 4];
    let mut count = 0;
    for (slot, escape) in octets.iter_mut().zip(text.chunks_exact(3)) {
        let &[b'%', high, low] = escape else { break };
        let (Some(high), Some(low)) = (hex(high), hex(low)) else {
            break;
        };
        *slot = high << 4 | low;
        count += 1;
    }
    let octets = &octets[..count];
    let valid = match std::str::from_utf8(octets) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default(),
    };
    let character = valid.chars().next()?;
    Some((character, 3 * character.len_utf8()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_keep_their_slashes() {
        for (path, decoded) in [
            ("/a", "/a"),
            ("/a%20b", "/a b"),
            ("/%61%62", "/ab"),
            ("/a%2Fb%2fc", "/a%2Fb%2fc"),
            ("/a%252Fb", "/a%2Fb"),
            ("/a%00b", "/a%00b"),
            ("/a+b", "/a+b"),
            ("/%C3%BC", "/ü"),
            ("/%F0%9F%90%B4", "/\u{1f434}"),
            ("/ü%20", "/ü "),
        ] {
            assert_eq!(decode_path(path), decoded, "{path}");
        }
        assert!(matches!(decode_path("/plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_no_escape_or_no_utf8_stays() {
        for text in [
            "/%",
            "/%4",
            "/%zz",
            "/%C3",
            "/%C3%",
            "/%C3(",
            "/%FF%FE",
            "/%ED%A0%80",
        ] {
            assert_eq!(decode_path(text), text, "{text}");
        }
        assert_eq!(decode_path("/%C3%41"), "/%C3A");
        assert_eq!(decode_path("/%41%FF"), "/A%FF");
        assert_eq!(decode_path("/%C3%BC%C3"), "/ü%C3");
    }

    #[test]
    fn queries_know_plus() {
        assert_eq!(decode_query("a+b%2Bc%2F"), "a b+c/");
        assert!(matches!(decode_query("plain"), Cow::Borrowed(_)));
    }
}
