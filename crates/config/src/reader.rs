//! Reading one section: typed values, every mistake noted, every key that nobody knows reported.

use std::collections::BTreeMap;

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::tree::Section;

/// Reads a section whose keys are known by being asked for.
pub(crate) struct Reader<'a, 'd> {
    pub(crate) section: Section<'a>,
    known: Vec<&'static str>,
    pub(crate) diagnostics: &'d mut Diagnostics,
}

impl<'a, 'd> Reader<'a, 'd> {
    pub(crate) fn new(section: Section<'a>, diagnostics: &'d mut Diagnostics) -> Self {
        Self {
            section,
            known: Vec::new(),
            diagnostics,
        }
    }

    pub(crate) fn child(&mut self, key: &'static str) -> Section<'a> {
        self.known.push(key);
        self.section.child(key)
    }

    /// A text; an empty one is as absent as null.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.child(key)
            .value()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    /// A leaf of some format.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let section = self.child(key);
        match parse(section.value()?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.error(&section, message, None);
                None
            }
        }
    }

    /// An array of texts, null elements left out. A scalar in its place has no effect, as in .NET.
    pub(crate) fn list(&mut self, key: &'static str) -> Vec<String> {
        let section = self.child(key);
        if let Some(text) = section.value() {
            let remedy = format!("write it as [ {text:?} ]");
            self.warn(
                &section,
                "a single value where an array is expected has no effect",
                Some(remedy),
            );
        }
        section
            .children()
            .filter_map(|(_, item)| item.value().map(str::to_owned))
            .collect()
    }

    /// An object of texts.
    pub(crate) fn map(&mut self, key: &'static str) -> BTreeMap<String, String> {
        map(&self.child(key))
    }

    pub(crate) fn error(
        &mut self,
        at: &Section<'_>,
        message: impl Into<String>,
        remedy: Option<String>,
    ) {
        note(
            self.diagnostics,
            Severity::Error,
            at,
            message.into(),
            remedy,
        );
    }

    pub(crate) fn warn(
        &mut self,
        at: &Section<'_>,
        message: impl Into<String>,
        remedy: Option<String>,
    ) {
        note(
            self.diagnostics,
            Severity::Warning,
            at,
            message.into(),
            remedy,
        );
    }

    /// Warns of the keys that were not asked for.
    pub(crate) fn finish(self) {
        for (name, section) in self.section.children() {
            if self
                .known
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
            {
                continue;
            }
            let nearest = nearest(name, &self.known).map(|known| format!("did you mean {known}?"));
            let message = "nobody knows this key, so it has no effect".to_owned();
            note(
                self.diagnostics,
                Severity::Warning,
                &section,
                message,
                nearest,
            );
        }
    }
}

pub(crate) fn map(section: &Section<'_>) -> BTreeMap<String, String> {
    section
        .children()
        .filter_map(|(name, item)| Some((name.to_owned(), item.value()?.to_owned())))
        .collect()
}

pub(crate) fn note(
    diagnostics: &mut Diagnostics,
    severity: Severity,
    at: &Section<'_>,
    message: String,
    remedy: Option<String>,
) {
    let (path, place) = (at.path().to_owned(), at.place());
    diagnostics.push(Diagnostic {
        severity,
        path,
        place,
        message,
        remedy,
    });
}

/// The known word that differs least, if it differs little.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|known| (distance(&word, &known.to_lowercase()), *known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .map(|(_, known)| known)
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let known = ["ClusterId", "Match", "Order"];
        assert_eq!(nearest("clusterID", &known), Some("ClusterId"));
        assert_eq!(nearest("Machh", &known), Some("Match"));
        assert_eq!(nearest("Transforms", &known), None);
    }
}
