//! What is wrong with a token, in the words of ASP.NET's JwtBearer.

use std::fmt;

/// What is wrong with a token. Its text is the `error_description` of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no token, or asks for something that nobody here understands.
    Malformed,
    /// No key can verify it.
    KeyNotFound,
    /// The signature is not that of any key.
    Signature,
    /// It has no end, and must have one.
    NoExpiration,
    /// It is over since then, in seconds since 1970.
    Expired(u64),
    /// It begins only then.
    NotYetValid(u64),
    /// It ends before it begins.
    Lifetime,
    /// It is of somebody whose tokens are not taken.
    Issuer(String),
    /// It is for somebody else.
    Audience(String),
}

impl TokenError {
    /// Whether there is anything to say; ASP.NET says nothing of a token it cannot read.
    pub fn has_description(&self) -> bool {
        *self != Self::Malformed
    }
}

impl std::error::Error for TokenError {}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("The token cannot be read"),
            Self::KeyNotFound => f.write_str("The signature key was not found"),
            Self::Signature => f.write_str("The signature is invalid"),
            Self::NoExpiration => f.write_str("The token has no expiration"),
            Self::Expired(when) => write!(f, "The token expired at '{}'", Moment(*when)),
            Self::NotYetValid(when) => {
                write!(f, "The token is not valid before '{}'", Moment(*when))
            }
            Self::Lifetime => f.write_str("The token lifetime is invalid"),
            Self::Issuer(issuer) => write!(f, "The issuer '{}' is invalid", Plain(issuer)),
            Self::Audience(audience) => {
                write!(f, "The audience '{}' is invalid", Plain(audience))
            }
        }
    }
}

/// A text of a token in a quoted string of a field: what could end either is left out.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 200;
        let plain = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '\'');
        let text: String = self.0.chars().filter(plain).take(MOST).collect();
        f.write_str(&text)
    }
}

/// Seconds since 1970 as .NET's invariant culture writes them.
struct Moment(u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The last second of the year 9999.
        const LAST: u64 = 253_402_300_799;
        let seconds = self.0.min(LAST);
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

/// Year, month and day of a day since 1970-01-01. Years begin in March here, so that the leap day
/// is the last of one.
fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days from 0000-03-01; 146,097 in 400 years.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_in_dotnet() {
        for (seconds, text) in [
            (0, "01/01/1970 00:00:00"),
            (951_782_400, "02/29/2000 00:00:00"),
            (1_709_251_199, "02/29/2024 23:59:59"),
            (1_735_689_600, "01/01/2025 00:00:00"),
            (u64::MAX, "12/31/9999 23:59:59"),
        ] {
            assert_eq!(Moment(seconds).to_string(), text);
        }
    }

    #[test]
    fn a_tokens_text_cannot_leave_its_quotes() {
        let error = TokenError::Issuer("a\"\r\nX: y\\'b".into());
        assert_eq!(error.to_string(), "The issuer 'aX: yb' is invalid");
    }
}
