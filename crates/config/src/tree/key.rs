//! How .NET compares and orders the names of settings.

/// Most levels of a path, which is what .NET's JSON reader allows. No setting has near so many, and
/// walking the tree needs no more stack than that.
pub(crate) const MAX_DEPTH: usize = 64;

/// The name of one level, compared as .NET's configuration does: without case (reference A1.1).
///
/// The order is that of `ConfigurationKeyComparer`: whole numbers first, by their value, then the
/// rest by their upper-case form, so that `_` comes after the letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// Looks like a number. `7` and `007` are two keys of the same rank.
    Number(i32, String),
    Text(String),
}

impl Key {
    pub(crate) fn new(name: &str) -> Self {
        let folded = fold(name);
        match name.trim().parse() {
            Ok(number) => Self::Number(number, folded),
            Err(_) => Self::Text(folded),
        }
    }
}

/// The form that is equal for texts that are equal without case, as .NET's `OrdinalIgnoreCase`: by
/// simple upper-case mapping, and a character outside ASCII never becomes one inside it.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    let upper = |c: char| {
        let mut mapped = c.to_uppercase();
        match (mapped.next(), mapped.next()) {
            _ if c.is_ascii() => c.to_ascii_uppercase(),
            (Some(one), None) if !one.is_ascii() => one,
            _ => c,
        }
    };
    text.chars().map(upper).collect()
}

/// Whether two texts are equal without case.
pub(crate) fn same(left: &str, right: &str) -> bool {
    fold(left) == fold(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_first_by_value_then_texts_without_case() {
        let mut names = ["b", "_", "10", "A", "9", "-1", "a1", "0x", "99999999999"];
        names.sort_by_key(|name| Key::new(name));
        let sorted = ["-1", "9", "10", "0x", "99999999999", "A", "a1", "b", "_"];
        assert_eq!(names, sorted);
    }

    #[test]
    fn equal_without_case_is_the_same_key_and_equal_in_value_is_not() {
        assert_eq!(Key::new("Ärger"), Key::new("äRGER"));
        assert_ne!(Key::new("7"), Key::new("007"));
        // The Kelvin sign and the long s have ASCII partners, which ordinal comparison leaves apart.
        assert_ne!(Key::new("\u{17f}"), Key::new("s"));
        assert_ne!(Key::new("\u{df}"), Key::new("ss"));
    }
}
