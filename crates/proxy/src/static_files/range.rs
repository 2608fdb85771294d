//! What a `Range` field asks for of a file (RFC 9110 section 14), as ASP.NET takes it.
//!
//! `tower-http` answers 416 to what is no range, and to a suffix longer than the file, and finds a byte
//! in an empty one. So it is given one range that is there, one that is not, or none.

use http::header::RANGE;
use http::{HeaderMap, HeaderValue};

/// What is asked for of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskedRange {
    /// All: nothing is asked for, nothing that is understood, or several ranges, which ASP.NET does
    /// not send.
    Whole,
    /// These. `first <= last`, and `last` is less than the length.
    Bytes { first: u64, last: u64 },
    /// Bytes that are not there.
    Unsatisfiable,
}

/// The value that `tower-http` understands for what a request asks for; `None` for all of the file.
pub(super) fn plain(headers: &HeaderMap, length: u64) -> Option<HeaderValue> {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let text = match asked(value.as_bytes(), length) {
        AskedRange::Whole => return None,
        AskedRange::Bytes { first, last } => format!("bytes={first}-{last}"),
        AskedRange::Unsatisfiable => format!("bytes={}-", length.max(1)),
    };
    HeaderValue::try_from(text).ok()
}

/// Reads a field's value.
pub(crate) fn asked(value: &[u8], length: u64) -> AskedRange {
    match parse(value) {
        // Of nothing no byte can be sent. A suffix of it could be (section 14.1.2), as 200; ASP.NET
        // sends 416.
        Some(_) if length == 0 => AskedRange::Unsatisfiable,
        None => AskedRange::Whole,
        Some(Spec::Suffix(0)) => AskedRange::Unsatisfiable,
        Some(Spec::Suffix(bytes)) => AskedRange::Bytes {
            first: length.saturating_sub(bytes),
            last: length - 1,
        },
        Some(Spec::From(first, _)) if first >= length => AskedRange::Unsatisfiable,
        Some(Spec::From(first, last)) => AskedRange::Bytes {
            first,
            last: last.map_or(length - 1, |last| last.min(length - 1)),
        },
    }
}

/// One range (section 14.1.1).
enum Spec {
    From(u64, Option<u64>),
    Suffix(u64),
}

/// `None` for what is malformed, or of a unit that nobody knows: it is ignored (section 14.2).
fn parse(value: &[u8]) -> Option<Spec> {
    let (unit, spec) = std::str::from_utf8(value).ok()?.split_once('=')?;
    // Units have no case (section 14.1).
    if !unit.trim_ascii().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match spec.trim_ascii().split_once('-')? {
        ("", suffix) => number(suffix).map(Spec::Suffix),
        (first, "") => Some(Spec::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            // Section 14.1.1: it is invalid the other way round.
            (first <= last).then_some(Spec::From(first, Some(last)))
        }
    }
}

/// A number of any length: one that is too large is as large as can be (section 14.1.1).
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_rfc_has_it() {
        use AskedRange::{Bytes, Unsatisfiable, Whole};
        let bytes = |first, last| Bytes { first, last };
        let huge = "99999999999999999999999";
        for (value, wanted) in [
            ("bytes=0-2", bytes(0, 2)),
            ("bytes=3-", bytes(3, 9)),
            ("bytes=-4", bytes(6, 9)),
            ("bytes=-10", bytes(0, 9)),
            ("bytes=-11", bytes(0, 9)),
            ("bytes=9-9", bytes(9, 9)),
            ("bytes=00-005", bytes(0, 5)),
            ("BYTES=0-2", bytes(0, 2)),
            ("Bytes= 0-2 ", bytes(0, 2)),
            ("bytes=5-1000", bytes(5, 9)),
            (&format!("bytes=5-{huge}"), bytes(5, 9)),
            (&format!("bytes=-{huge}"), bytes(0, 9)),
            (&format!("bytes={huge}-"), Unsatisfiable),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-20", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=,0-1", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes", Whole),
            ("", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0 - 2", Whole),
            ("bytes=0-2-3", Whole),
            ("items=0-2", Whole),
            ("=0-2", Whole),
        ] {
            assert_eq!(asked(value.as_bytes(), 10), wanted, "{value:?}");
        }
        assert_eq!(asked(b"bytes=0-\xff", 10), Whole);
        for value in ["bytes=0-", "bytes=0-0", "bytes=-5"] {
            assert_eq!(asked(value.as_bytes(), 0), Unsatisfiable, "{value:?}");
        }
        assert_eq!(asked(b"items=0-", 0), Whole);
    }
}
