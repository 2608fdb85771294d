//! Text compared as .NET's `OrdinalIgnoreCase` does: by simple upper-case mapping, no culture.

use std::cmp::Ordering;

/// The upper-case form of one character, where there is a single one. A character outside ASCII
/// never becomes one inside it (`ı` and `ſ` stay), so ASCII text compares as ASCII does.
fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) if !one.is_ascii() => one,
        _ => c,
    }
}

/// The form that is equal for texts that are equal without case.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_uppercase()
    } else {
        text.chars().map(upper).collect()
    }
}

/// Whether two texts are equal without case.
pub(crate) fn eq(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars().map(upper).eq(right.chars().map(upper))
}

/// The order of two texts without case.
pub(crate) fn cmp(left: &str, right: &str) -> Ordering {
    left.chars().map(upper).cmp(right.chars().map(upper))
}

/// Where the right-most occurrence of `wanted` in `text` starts and ends, without case.
pub(crate) fn rfind(text: &str, wanted: &str) -> Option<(usize, usize)> {
    text.char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .rev()
        .find_map(|at| Some((at, at + prefix_length(&text[at..], wanted)?)))
}

/// How many bytes of `text` its beginning `prefix` takes, compared without case.
fn prefix_length(text: &str, prefix: &str) -> Option<usize> {
    let mut rest = text.chars();
    for wanted in prefix.chars() {
        if upper(rest.next()?) != upper(wanted) {
            return None;
        }
    }
    Some(text.len() - rest.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_letters_of_every_script_without_case() {
        assert!(eq("/API", "/api"));
        assert!(eq("Bücher", "BÜCHER"));
        assert!(eq("привет", "ПРИВЕТ"));
        assert!(!eq("a", "b"));
        assert!(!eq("a", "aa"));
    }

    #[test]
    fn characters_outside_ascii_never_equal_ascii_ones() {
        // Their full mappings are S, I and k; those of OrdinalIgnoreCase are not.
        assert!(!eq("ſ", "s"));
        assert!(!eq("ı", "i"));
        assert!(!eq("\u{212a}", "k"));
        assert!(!eq("ß", "ss"));
    }

    #[test]
    fn orders_an_underscore_after_letters() {
        // By upper case `_` (0x5f) is above `A` (0x41); by lower case it would be below `a`.
        assert_eq!(cmp("a_b", "aab"), Ordering::Greater);
        assert_eq!(cmp("B", "a"), Ordering::Greater);
    }

    #[test]
    fn finds_the_right_most_occurrence() {
        assert_eq!(rfind("a.B.c", "."), Some((3, 4)));
        assert_eq!(rfind("xABxab", "Ab"), Some((4, 6)));
        assert_eq!(rfind("aüxÜ", "ü"), Some((4, 6)));
        assert_eq!(rfind("abc", "d"), None);
    }
}
