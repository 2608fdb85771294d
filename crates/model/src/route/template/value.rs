//! Whether a text is a number, a date, a GUID: .NET's parsers with the invariant culture.

use std::str::FromStr;

/// An integer: blanks around it, a sign, digits (`NumberStyles.Integer`).
pub(super) fn integer<T: FromStr>(text: &str) -> Option<T> {
    trim(text).parse().ok()
}

/// `true` or `false` without case.
pub(super) fn is_bool(text: &str) -> bool {
    let text = trim(text);
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

/// A decimal (`NumberStyles.Number`): a sign on either side, digits with `,` among those before the
/// point; the integer part at most 2^96 - 1.
pub(super) fn is_decimal(text: &str) -> bool {
    const LARGEST: u128 = (1 << 96) - 1;
    let text = trim(text);
    let unsigned = text.strip_prefix(['+', '-']);
    // One sign, before or behind.
    let digits = unsigned.unwrap_or_else(|| text.strip_suffix(['+', '-']).unwrap_or(text));
    let Some((integer, rest)) = take_number(trim(digits)) else {
        return false;
    };
    let mut value: u128 = 0;
    for digit in integer.bytes().filter(u8::is_ascii_digit) {
        value = value
            .saturating_mul(10)
            .saturating_add(u128::from(digit - b'0'));
    }
    rest.is_empty() && value <= LARGEST
}

/// A floating-point number (`NumberStyles.Float | AllowThousands`): a sign, digits with `,` among
/// those before the point, an exponent; or one of the names of what is no number.
pub(super) fn is_float(text: &str) -> bool {
    let text = trim(text);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("nan") {
        return true;
    }
    let Some((_, rest)) = take_number(unsigned) else {
        return false;
    };
    let exponent = match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => exponent.strip_prefix(['+', '-']).unwrap_or(exponent),
        None => return rest.is_empty(),
    };
    !exponent.is_empty() && exponent.bytes().all(|byte| byte.is_ascii_digit())
}

/// Takes `1,234.5`, `.5` or `5.`; gives the part before the point, and what follows the number.
fn take_number(text: &str) -> Option<(&str, &str)> {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let integer = match bytes.first() {
        Some(first) if is_digit(first) => bytes
            .iter()
            .take_while(|byte| is_digit(byte) || **byte == b',')
            .count(),
        _ => 0,
    };
    let mut end = integer;
    let mut has_digits = integer > 0;
    if bytes.get(end) == Some(&b'.') {
        let fraction = bytes[end + 1..]
            .iter()
            .take_while(|byte| is_digit(byte))
            .count();
        has_digits |= fraction > 0;
        end += 1 + fraction;
    }
    has_digits.then(|| (&text[..integer], &text[end..]))
}

/// A GUID: 32 hexadecimal digits, bare (`N`) or as 8-4-4-4-12 (`D`), the latter also in braces (`B`)
/// or parentheses (`P`). The form of hexadecimal numbers in nested braces (`X`) is left out.
pub(super) fn is_guid(text: &str) -> bool {
    let text = trim(text);
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() == 32 {
        return is_hex(text);
    }
    let in_brackets = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    let inner = in_brackets('{', '}')
        .or_else(|| in_brackets('(', ')'))
        .unwrap_or(text);
    let mut groups = inner.split('-');
    let fits = |length| {
        groups
            .next()
            .is_some_and(|group| group.len() == length && is_hex(group))
    };
    [8, 4, 4, 4, 12].into_iter().all(fits) && groups.next().is_none()
}

/// Whether the last part of a path has a dot with something other than a dot behind it.
pub(super) fn is_file_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split_once('.')
        .is_some_and(|(_, extension)| extension.contains(|c| c != '.'))
}

/// Without the blanks that .NET's numeric parsers skip.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is: impl Fn(&str) -> bool, accepted: &[&str], refused: &[&str]) {
        for text in accepted {
            assert!(is(text), "{text:?} is refused");
        }
        for text in refused {
            assert!(!is(text), "{text:?} is accepted");
        }
    }

    #[test]
    fn integers() {
        check(
            |text| integer::<i32>(text).is_some(),
            &["0", "-5", "+5", " 7 ", "2147483647", "-2147483648", "007"],
            &[
                "",
                "-",
                "1.0",
                "1,000",
                "2147483648",
                "1e3",
                "0x1",
                "1 2",
                "٣",
            ],
        );
    }

    #[test]
    fn decimals() {
        check(
            is_decimal,
            &[
                "1",
                "-1.5",
                "1.5-",
                "1,234.5",
                ".5",
                "5.",
                " 1 ",
                "79228162514264337593543950335",
            ],
            &[
                "",
                ".",
                "-",
                "1e5",
                "--1",
                "-1-",
                "NaN",
                ",1",
                "79228162514264337593543950336",
                "1.2.3",
            ],
        );
    }

    #[test]
    fn floats() {
        check(
            is_float,
            &[
                "1",
                "-1.5",
                "1e5",
                "1E-5",
                "1,234.5",
                ".5",
                "5.",
                "NaN",
                "-Infinity",
                "1e999",
            ],
            &["", ".", "e5", "1e", "1e+", "1.5-", "one", "1 2"],
        );
    }

    #[test]
    fn guids() {
        check(
            is_guid,
            &[
                "cd2c1638163872d51638deadbeef1638",
                "CD2C1638-1638-72D5-1638-DEADBEEF1638",
                "{cd2c1638-1638-72d5-1638-deadbeef1638}",
                "(cd2c1638-1638-72d5-1638-deadbeef1638)",
            ],
            &[
                "",
                "cd2c",
                "{cd2c1638163872d51638deadbeef1638}",
                "cd2c1638-163872d5-1638-1638-deadbeef1638",
                "gd2c1638-1638-72d5-1638-deadbeef1638",
                "{cd2c1638-1638-72d5-1638-deadbeef1638)",
                "cd2c1638-1638-72d5-1638-deadbeef1638-",
            ],
        );
    }

    #[test]
    fn file_names() {
        check(
            is_file_name,
            &["a.txt", "a/b.txt", ".gitignore", "a..b"],
            &["", "a", "a.", "a..", "a.b/c", "a.b/"],
        );
    }
}
