//! .NET's time spans in the "constant" format.

use std::time::Duration;

const TICKS_PER_SECOND: i128 = 10_000_000;
const TICKS_PER_DAY: i128 = 86_400 * TICKS_PER_SECOND;

/// A time span, which may be negative, in units of 100 nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimeSpan {
    ticks: i64,
}

impl TimeSpan {
    /// `-00:00:00.001`: what .NET takes for "for ever" where it waits.
    pub(crate) const INFINITE: Self = Self { ticks: -10_000 };

    /// Reads `[-]H:M[:S[.f]]`, `[-]D.H:M[:S[.f]]` or `[-]D`: a bare number is days. Blanks around
    /// it are allowed.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parsed = Cursor(text.trim_matches([' ', '\t'])).time_span();
        parsed.ok_or_else(|| {
            let hint = match text.trim().starts_with("24:") {
                true => "24 hours are 1.00:00:00",
                false => "hours go to 23, and a bare number is days",
            };
            format!("{text:?} is not a time span such as 00:01:30; {hint}")
        })
    }

    /// How long it is; `None` when it is negative.
    pub(crate) fn duration(self) -> Option<Duration> {
        let ticks = u64::try_from(self.ticks).ok()?;
        let seconds = Duration::from_secs(ticks / TICKS_PER_SECOND as u64);
        Some(seconds + Duration::from_nanos(ticks % TICKS_PER_SECOND as u64 * 100))
    }

    /// How long it is; `None` when it is zero or negative.
    pub(crate) fn positive(self) -> Option<Duration> {
        self.duration().filter(|duration| !duration.is_zero())
    }
}

/// What is left to read. The steps are those of .NET's own parser, its leniencies included: any
/// number of leading zeros, and `1:2:.5` and `1:2:3.` besides the documented forms.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn time_span(mut self) -> Option<TimeSpan> {
        const MOST_DAYS: i128 = i64::MAX as i128 / TICKS_PER_DAY;
        let negative = self.skip('-');
        let after_digits = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let ticks = if after_digits.starts_with(':') {
            self.time()?
        } else {
            let days = self.number(MOST_DAYS)? * TICKS_PER_DAY;
            days + if self.skip('.') { self.time()? } else { 0 }
        };
        if !self.0.is_empty() {
            return None;
        }
        let ticks = i64::try_from(if negative { -ticks } else { ticks }).ok()?;
        Some(TimeSpan { ticks })
    }

    fn time(&mut self) -> Option<i128> {
        let hours = self.number(23)?;
        if !self.skip(':') {
            return None;
        }
        let minutes = self.number(59)?;
        let mut ticks = (hours * 3600 + minutes * 60) * TICKS_PER_SECOND;
        if self.skip(':') {
            if !self.0.starts_with('.') {
                ticks += self.number(59)? * TICKS_PER_SECOND;
            }
            if self.skip('.') {
                ticks += self.fraction();
            }
        }
        Some(ticks)
    }

    /// Up to seven digits behind the point; an eighth is left, and so an error.
    fn fraction(&mut self) -> i128 {
        let mut unit = TICKS_PER_SECOND;
        let mut ticks = 0;
        while let Some(digit) = self.0.chars().next().and_then(|c| c.to_digit(10)) {
            if unit == 1 {
                break;
            }
            unit /= 10;
            ticks += i128::from(digit) * unit;
            self.0 = &self.0[1..];
        }
        ticks
    }

    fn number(&mut self, most: i128) -> Option<i128> {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        if digits.is_empty() {
            return None;
        }
        // Leading zeros are allowed in any number; without them, long is too large.
        let digits = digits.trim_start_matches('0');
        let number = if digits.is_empty() {
            0
        } else {
            digits.parse().ok()?
        };
        Some(number).filter(|number| *number <= most)
    }

    fn skip(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_dotnet_reads() {
        for (text, ticks) in [
            ("00:01:40", 100 * 10_000_000),
            ("1:2", 3720 * 10_000_000),
            (" 1.02:03:04.5\t", 937_845_000_000),
            ("2", 2 * 864_000_000_000),
            ("-2", -2 * 864_000_000_000),
            ("23:59:59.9999999", 863_999_999_999),
            ("0:0:0.0000001", 1),
            ("0:0:0.1", 1_000_000),
            ("00000000000000000000:000001:0000", 600_000_000),
            ("1:2:.5", 37_205_000_000),
            ("1:2:3.", 37_230_000_000),
            ("-00:00:00.001", -10_000),
            ("10675199.02:48:05.4775807", i64::MAX),
            ("-10675199.02:48:05.4775808", i64::MIN),
        ] {
            assert_eq!(TimeSpan::parse(text), Ok(TimeSpan { ticks }), "{text:?}");
        }
        assert_eq!(TimeSpan::parse("-00:00:00.001"), Ok(TimeSpan::INFINITE));
    }

    #[test]
    fn what_dotnet_does_not_read() {
        for text in [
            "",
            " ",
            "-",
            "x",
            "24:00:00",
            "0:60",
            "0:0:60",
            "1:2:3:4",
            "1:2:3.12345678",
            "1.5",
            "1.",
            "1 2",
            "+1",
            "--1",
            "- 1",
            "1:",
            ":1",
            "1:2:",
            "1 :2",
            "00:01:40s",
            "10675200",
            "10675199.02:48:05.4775808",
            "1.1.1:1",
            "99999999999999999999999999999999999999999999",
            "٣",
        ] {
            assert!(TimeSpan::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn says_how_a_whole_day_is_written() {
        assert!(
            TimeSpan::parse("24:00:00")
                .unwrap_err()
                .contains("1.00:00:00")
        );
    }

    #[test]
    fn a_duration_is_not_negative_and_a_positive_one_not_zero() {
        let parse = |text| TimeSpan::parse(text).unwrap();
        assert_eq!(
            parse("0:0:1.5").duration(),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(parse("0:0").duration(), Some(Duration::ZERO));
        assert_eq!(parse("0:0").positive(), None);
        assert_eq!(parse("-0:1").duration(), None);
        assert_eq!(
            parse("0:0:0.0000001").positive(),
            Some(Duration::from_nanos(100))
        );
    }

    proptest! {
        #[test]
        fn any_time_span_is_read_back(ticks: i64) {
            let n = ticks.unsigned_abs();
            let (days, seconds) = (n / 864_000_000_000, n / 10_000_000);
            let text = format!(
                "{}{days}.{}:{}:{}.{:07}",
                if ticks < 0 { "-" } else { "" },
                seconds / 3600 % 24,
                seconds / 60 % 60,
                seconds % 60,
                n % 10_000_000,
            );
            prop_assert_eq!(TimeSpan::parse(&text), Ok(TimeSpan { ticks }));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9:. ]{0,24}|\\PC{0,8}") {
            _ = TimeSpan::parse(&text);
        }
    }
}
