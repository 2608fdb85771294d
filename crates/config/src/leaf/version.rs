//! `HttpRequest:Version`: .NET's version numbers, of which four are HTTP's.

use crate::schema::HttpVersion;

/// Reads `major[.minor]`. Where there is no point, `.0` is meant.
///
/// A version that .NET reads and YARP then refuses (`1.2`, `2.0.0`; rule C14) fails as well.
pub(crate) fn http_version(text: &str) -> Result<HttpVersion, String> {
    let parts: Option<Vec<u32>> = text
        .split('.')
        .map(|part| part.trim().parse().ok())
        .collect();
    match parts.as_deref() {
        Some([1, 0] | [1]) => Ok(HttpVersion::Http10),
        Some([1, 1]) => Ok(HttpVersion::Http11),
        Some([2, 0] | [2]) => Ok(HttpVersion::Http2),
        Some([3, 0] | [3]) => Ok(HttpVersion::Http3),
        _ => Err(format!("{text:?} is not one of 1.0, 1.1, 2 and 3")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_or_two_numbers() {
        use HttpVersion::{Http2, Http3, Http10, Http11};
        for (text, version) in [
            ("1", Http10),
            ("1.0", Http10),
            ("1.1", Http11),
            ("2", Http2),
            ("2.0", Http2),
            ("02.00", Http2),
            (" 3 . 0 ", Http3),
        ] {
            assert_eq!(http_version(text), Ok(version), "{text:?}");
        }
        for text in [
            "1.2", "2.0.0", "3.1", "0", "4", "-1", "2.", ".2", "x", "HTTP/2", "2,0",
        ] {
            assert!(http_version(text).is_err(), "{text:?}");
        }
    }
}
