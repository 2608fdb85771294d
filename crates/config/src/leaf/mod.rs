//! The formats of leaves, as .NET and YARP convert them (reference A1.2).
//!
//! Every function takes the text of a leaf and fails with what is wrong with it, the text included.

mod time_span;
mod version;

pub(crate) use time_span::TimeSpan;
pub(crate) use version::http_version;

/// `true` or `false` in any case, blanks around it allowed.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Ok(true),
        text if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// The value of a field (RFC 9110 section 5.5): no message can carry one with a control character.
pub(crate) fn field_value(text: &str) -> Result<String, String> {
    let forbidden = |c: &char| c.is_ascii_control() && *c != '\t';
    match text.chars().find(forbidden) {
        None => Ok(text.to_owned()),
        Some(found) => Err(format!(
            "the value holds U+{:04X}, which no field can have",
            u32::from(found)
        )),
    }
}

/// A sign, if any, and digits: no blanks, no fraction.
pub(crate) fn int32(text: &str) -> Result<i32, String> {
    integer(text, "a whole number of 32 bits")
}

/// As [`int32`], with 64 bits.
pub(crate) fn int64(text: &str) -> Result<i64, String> {
    integer(text, "a whole number of 64 bits")
}

fn integer<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not {what}"))
}

/// Names and numbers of an enumeration's members.
pub(crate) type Members<T> = [(&'static str, i32, T)];

/// A member of an enumeration: by name without case, by its number, or by a list of names, whose
/// numbers are OR-ed. Numbers that no member has cannot be represented and fail, unlike in .NET.
pub(crate) fn member<T: Copy>(text: &str, members: &Members<T>) -> Result<T, String> {
    let number = member_number(text, members);
    let member = number.and_then(|number| members.iter().find(|(_, value, _)| *value == number));
    member
        .map(|(.., member)| *member)
        .ok_or_else(|| unknown_member(text, members))
}

/// A set of an enumeration's members as .NET stores it; numbers that no member has are allowed.
pub(crate) fn flags(text: &str, members: &Members<()>) -> Result<i32, String> {
    member_number(text, members).ok_or_else(|| unknown_member(text, members))
}

fn member_number<T>(text: &str, members: &Members<T>) -> Option<i32> {
    if let Ok(number) = text.trim().parse() {
        return Some(number);
    }
    text.split(',').try_fold(0, |all, name| {
        let name = name.trim();
        let (_, number, _) = members
            .iter()
            .find(|(member, ..)| member.eq_ignore_ascii_case(name))?;
        Some(all | number)
    })
}

fn unknown_member<T>(text: &str, members: &Members<T>) -> String {
    let names: Vec<_> = members.iter().map(|(name, ..)| *name).collect();
    format!("{text:?} is not one of {}", names.join(", "))
}

/// An absolute URI, as .NET's `Uri` wants it for a proxy: a scheme, and for http and https a host.
pub(crate) fn absolute_uri(text: &str) -> Result<String, String> {
    let parsed = text.trim().split_once(':').filter(|(scheme, rest)| {
        let mut characters = scheme.chars();
        let starts = characters.next().is_some_and(|c| c.is_ascii_alphabetic());
        let goes_on = characters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let is_http = ["http", "https"]
            .iter()
            .any(|http| scheme.eq_ignore_ascii_case(http));
        let host = rest.strip_prefix("//").unwrap_or_default();
        let has_host = host.chars().next().is_some_and(|c| !"/:?#".contains(c));
        starts && goes_on && !rest.is_empty() && (!is_http || has_host)
    });
    match parsed {
        Some(_) => Ok(text.trim().to_owned()),
        None => Err(format!(
            "{text:?} is not an absolute URI such as http://proxy:3128/"
        )),
    }
}

/// Whether a text is a token: a method, or the name of a field or a cookie (RFC 9110 section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_the_two_words_in_any_case() {
        for (text, value) in [
            ("true", true),
            (" TRUE ", true),
            ("False", false),
            ("\tfalse", false),
        ] {
            assert_eq!(boolean(text), Ok(value), "{text:?}");
        }
        for text in ["", "1", "0", "yes", "tru e", "true,"] {
            assert!(boolean(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn integers_are_a_sign_and_digits() {
        for (text, value) in [
            ("5", 5),
            ("-5", -5),
            ("+5", 5),
            ("007", 7),
            ("-2147483648", i32::MIN),
        ] {
            assert_eq!(int32(text), Ok(value), "{text:?}");
        }
        for text in [
            "",
            " 5",
            "5 ",
            "5.0",
            "1e3",
            "1,000",
            "0x5",
            "--5",
            "2147483648",
        ] {
            assert!(int32(text).is_err(), "{text:?}");
        }
        assert_eq!(int64("9223372036854775807"), Ok(i64::MAX));
        assert!(int64("9223372036854775808").is_err());
    }

    #[test]
    fn enumerations_go_by_name_by_number_or_by_a_list_of_names() {
        let members = [
            ("Zero", 0, 'z'),
            ("One", 1, 'o'),
            ("Two", 2, 't'),
            ("Three", 3, 'h'),
        ];
        for (text, wanted) in [
            ("two", 't'),
            (" TWO ", 't'),
            ("2", 't'),
            ("+2", 't'),
            ("One, Two", 'h'),
            ("one,one", 'o'),
        ] {
            assert_eq!(member(text, &members), Ok(wanted), "{text:?}");
        }
        for text in ["", "Four", "4", "-1", "1,2", "One,", "One Two"] {
            let names = "is not one of Zero, One, Two, Three";
            assert_eq!(
                member(text, &members).unwrap_err(),
                format!("{text:?} {names}")
            );
        }
    }

    #[test]
    fn flags_may_be_numbers_that_no_member_has() {
        let members = [("A", 1, ()), ("B", 4, ())];
        assert_eq!(flags("a, b", &members), Ok(5));
        assert_eq!(flags("96", &members), Ok(96));
        assert!(flags("c", &members).is_err());
    }

    #[test]
    fn a_uri_is_absolute_with_a_scheme_and_a_host() {
        for text in [
            "http://proxy:3128/",
            "HTTPS://[::1]",
            "socks5://h:1",
            "a+b.c-d:x",
        ] {
            assert!(absolute_uri(text).is_ok(), "{text:?}");
        }
        for text in [
            "",
            "proxy",
            "//proxy",
            "http:",
            "http://",
            "http:///x",
            "http:x",
            "1a:x",
            "é:x",
        ] {
            assert!(absolute_uri(text).is_err(), "{text:?}");
        }
    }
}
