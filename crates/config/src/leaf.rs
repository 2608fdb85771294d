//! The formats of leaves, as .NET converts them (reference section 1.2).

use std::time::Duration;

use crate::schema::ActivityTimeout;

pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is not true or false")),
    }
}

pub(crate) fn int32(text: &str) -> Result<i32, String> {
    integer(text, "a whole number of 32 bits")
}

pub(crate) fn int64(text: &str) -> Result<i64, String> {
    integer(text, "a whole number of 64 bits")
}

pub(crate) fn count(text: &str) -> Result<usize, String> {
    integer(text, "a whole number from 0")
}

fn integer<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not {what}"))
}

/// A member of an enumeration, by name without case or by its number.
pub(crate) fn member<T: Copy>(text: &str, members: &[(&str, i32, T)]) -> Result<T, String> {
    let text = text.trim();
    let number = text.parse::<i32>().ok();
    let found = members
        .iter()
        .find(|(name, value, _)| name.eq_ignore_ascii_case(text) || number == Some(*value));
    found.map(|(_, _, member)| *member).ok_or_else(|| {
        let names: Vec<_> = members.iter().map(|(name, ..)| *name).collect();
        format!("{text:?} is not one of {}", names.join(", "))
    })
}

/// `[-][D.]H:M[:S[.f]]` or `[-]D`: a bare number is days.
pub(crate) fn time_span(text: &str) -> Result<(bool, Duration), String> {
    parse_time_span(text.trim()).ok_or_else(|| {
        format!(
            "{text:?} is not a time span such as 00:01:30 (hours up to 23; a bare number is days)"
        )
    })
}

/// A time span that is not negative.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match time_span(text)? {
        (false, span) => Ok(span),
        (true, _) => Err(format!("{text:?} is negative")),
    }
}

/// A time span, of which `-00:00:00.001` means for ever.
pub(crate) fn activity_timeout(text: &str) -> Result<ActivityTimeout, String> {
    match time_span(text)? {
        (true, span) if span == Duration::from_millis(1) => Ok(ActivityTimeout::Infinite),
        (false, span) if !span.is_zero() => Ok(ActivityTimeout::After(span)),
        _ => Err(format!(
            "{text:?} is neither positive nor -00:00:00.001, which means no timeout"
        )),
    }
}

fn parse_time_span(text: &str) -> Option<(bool, Duration)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let number = |text: &str, most: u64| -> Option<u64> {
        let digits =
            !text.is_empty() && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .filter(|number| *number <= most)
    };
    const MOST_DAYS: u64 = 10_675_199;
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let parts: Vec<_> = text.split(':').collect();
    let (first, minutes, seconds) = match parts[..] {
        [all] => return number(all, MOST_DAYS).map(|count| (negative, days(count))),
        [first, minutes] => (first, minutes, "0"),
        [first, minutes, seconds] => (first, minutes, seconds),
        _ => return None,
    };
    let (day, hours) = match first.split_once('.') {
        Some((day, hours)) => (number(day, MOST_DAYS)?, hours),
        None => (0, first),
    };
    let (seconds, fraction) = match seconds.split_once('.') {
        Some((seconds, fraction)) => (seconds, Some(fraction)),
        None => (seconds, None),
    };
    let nanos = match fraction {
        None => 0,
        Some(fraction) if (1..=7).contains(&fraction.len()) => {
            number(fraction, u64::MAX)? * 10u64.pow(9 - fraction.len() as u32)
        }
        Some(_) => return None,
    };
    let seconds = number(hours, 23)? * 3600 + number(minutes, 59)? * 60 + number(seconds, 59)?;
    Some((
        negative,
        days(day) + Duration::from_secs(seconds) + Duration::from_nanos(nanos),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_have_dotnets_constant_format() {
        let seconds = |text: &str| duration(text).unwrap().as_secs_f64();
        assert_eq!(seconds("00:01:40"), 100.0);
        assert_eq!(seconds("1:2"), 3720.0);
        assert_eq!(seconds(" 1.02:03:04.5 "), 93784.5);
        assert_eq!(seconds("2"), 172_800.0);
        assert_eq!(seconds("0:0:0.0000001"), 1e-7);
        for text in [
            "",
            "24:00:00",
            "0:60",
            "0:0:60",
            "1:2:3:4",
            "x",
            "0:0:0.12345678",
            "1.5",
            "1 2",
            "+1",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert!(duration("-00:00:01").is_err());
    }

    #[test]
    fn an_activity_timeout_is_positive_or_infinite() {
        assert_eq!(
            activity_timeout("-00:00:00.001"),
            Ok(ActivityTimeout::Infinite)
        );
        assert_eq!(
            activity_timeout("00:00:05"),
            Ok(ActivityTimeout::After(Duration::from_secs(5)))
        );
        assert!(activity_timeout("00:00:00").is_err());
        assert!(activity_timeout("-00:00:01").is_err());
    }

    #[test]
    fn booleans_and_numbers_are_strict() {
        assert_eq!(boolean(" TRUE "), Ok(true));
        assert!(boolean("1").is_err() && boolean("yes").is_err());
        assert_eq!(int32("-5"), Ok(-5));
        assert!(int32("5.0").is_err() && int32(" 5").is_err() && int32("3000000000").is_err());
    }

    #[test]
    fn enumerations_go_by_name_or_number() {
        let members = [("Exact", 0, 'e'), ("Prefix", 3, 'p')];
        assert_eq!(member("prefix", &members), Ok('p'));
        assert_eq!(member("0", &members), Ok('e'));
        assert_eq!(
            member("x", &members).unwrap_err(),
            "\"x\" is not one of Exact, Prefix"
        );
    }
}
