//! The values of a rule, compared with or without case.

use std::borrow::Cow;

use crate::ordinal;

/// Values, any of which may hold.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Folded, unless they compare with case.
    values: Box<[String]>,
    with_case: bool,
}

impl Wanted {
    /// The values of a rule; `None` when one of them is empty (reference A3.8).
    pub(super) fn new(values: &[String], with_case: bool) -> Option<Self> {
        if values.iter().any(String::is_empty) {
            return None;
        }
        let value = |value: &String| {
            if with_case {
                value.clone()
            } else {
                ordinal::fold(value)
            }
        };
        Some(Self {
            values: values.iter().map(value).collect(),
            with_case,
        })
    }

    /// Whether `text` equals a value.
    pub(super) fn any_equals(&self, text: &[u8]) -> bool {
        self.any(text, |text, value| self.equals(text, value))
    }

    /// Whether `text` begins with a value.
    pub(super) fn any_begins(&self, text: &[u8]) -> bool {
        self.any(text, |text, value| {
            text.get(..value.len())
                .is_some_and(|start| self.equals(start, value))
        })
    }

    /// Whether a value is somewhere in `text`.
    pub(super) fn any_is_in(&self, text: &[u8]) -> bool {
        self.any(text, |text, value| {
            text.windows(value.len())
                .any(|window| self.equals(window, value))
        })
    }

    fn any(&self, text: &[u8], holds: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        // ASCII is compared without case as it is; other text is folded first.
        let text = if self.with_case || text.is_ascii() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(ordinal::fold(&String::from_utf8_lossy(text)).into_bytes())
        };
        self.values
            .iter()
            .any(|value| holds(&text, value.as_bytes()))
    }

    fn equals(&self, text: &[u8], value: &[u8]) -> bool {
        if self.with_case {
            text == value
        } else {
            text.eq_ignore_ascii_case(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_every_script_without_case_and_bytes_with() {
        let without = Wanted::new(&["Grün".to_owned()], false).unwrap();
        assert!(without.any_equals("GRÜN".as_bytes()));
        assert!(without.any_begins("grÜnes".as_bytes()));
        assert!(without.any_is_in("hellGRÜN".as_bytes()));
        assert!(!without.any_equals(b"gr\xfcn"));
        let with = Wanted::new(&["Grün".to_owned()], true).unwrap();
        assert!(with.any_equals("Grün".as_bytes()));
        assert!(!with.any_equals("grün".as_bytes()));
        assert!(!with.any_is_in(b"\xff"));
    }

    #[test]
    fn an_empty_value_is_refused() {
        assert!(Wanted::new(&["a".to_owned(), String::new()], false).is_none());
    }
}
