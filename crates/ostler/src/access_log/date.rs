//! Dates as logs write them, all in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, taken apart.
#[derive(Debug)]
pub(super) struct Date {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    http: String,
    milliseconds: u32,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Date {
    pub(super) fn of(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let http = ostler_http1::format_date(since.as_secs());
        Self {
            http: String::from_utf8_lossy(&http).into_owned(),
            milliseconds: since.subsec_millis(),
        }
    }

    /// `06/Nov/1994:08:49:37 +0000`.
    pub(super) fn combined(&self) -> String {
        let (day, month, year) = self.parts();
        format!("{day}/{month}/{year}:{} +0000", self.time())
    }

    /// `1994-11-06`.
    pub(super) fn day(&self) -> String {
        let (day, month, year) = self.parts();
        let number = MONTHS.iter().position(|&name| name == month);
        let number = number.map_or(0, |at| at + 1);
        format!("{year}-{number:02}-{day}")
    }

    /// `08:49:37`.
    pub(super) fn time(&self) -> &str {
        self.http.get(17..25).unwrap_or_default()
    }

    /// `1994-11-06T08:49:37.123Z` (RFC 3339).
    pub(super) fn rfc3339(&self) -> String {
        format!("{}T{}.{:03}Z", self.day(), self.time(), self.milliseconds)
    }

    fn parts(&self) -> (&str, &str, &str) {
        let part = |range: std::ops::Range<usize>| self.http.get(range).unwrap_or_default();
        (part(5..7), part(8..11), part(12..16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_four_forms() {
        let date = Date::of(UNIX_EPOCH + Duration::from_millis(784_111_777_042));
        assert_eq!(date.combined(), "06/Nov/1994:08:49:37 +0000");
        assert_eq!(date.day(), "1994-11-06");
        assert_eq!(date.time(), "08:49:37");
        assert_eq!(date.rfc3339(), "1994-11-06T08:49:37.042Z");
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Date::of(before).rfc3339(), "1970-01-01T00:00:00.000Z");
    }
}
