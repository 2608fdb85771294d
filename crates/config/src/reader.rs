//! Reading one object: typed values, every mistake noted, every key that nobody knows reported.

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::leaf::TimeSpan;
use crate::nearest::{nearest, suggestion};
use crate::renamed;
use crate::schema::Metadata;
use crate::tree::Section;
use crate::tree::key::same;

/// Reads a section whose keys are known by being asked for.
pub(crate) struct Reader<'a, 'd> {
    pub(crate) section: Section<'a>,
    known: Vec<&'static str>,
    pub(crate) diagnostics: &'d mut Diagnostics,
}

impl<'a, 'd> Reader<'a, 'd> {
    /// Begins to read an object. A single value in its place has no effect.
    pub(crate) fn new(section: Section<'a>, diagnostics: &'d mut Diagnostics) -> Self {
        if section.value().is_some_and(|text| !text.is_empty()) {
            let message = "a single value has no effect where an object is expected";
            note(diagnostics, Severity::Warning, &section, message, None);
        }
        Self {
            section,
            known: Vec::new(),
            diagnostics,
        }
    }

    /// What stands under a key, which is known from now on.
    pub(crate) fn child(&mut self, key: &'static str) -> Section<'a> {
        self.allow([key]);
        self.section.child(key)
    }

    /// Keys that are known without being read here.
    pub(crate) fn allow(&mut self, keys: impl IntoIterator<Item = &'static str>) {
        for key in keys {
            #[cfg(test)]
            asked::note(self.section.path(), key);
            self.known.push(key);
        }
    }

    /// The value under a key: `None` when it is absent, null, or no single value.
    fn value(&mut self, key: &'static str) -> (Section<'a>, Option<&'a str>) {
        let section = self.child(key);
        let value = section.value();
        if value.is_none() && section.has_children() {
            let message = "an object or array has no effect where a single value is expected";
            self.warn(&section, message, None);
        }
        (section, value)
    }

    /// A text; an empty one is as absent as null.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        let (_, value) = self.value(key);
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A name without case out of a few; another one is an error that calls it a `what`.
    pub(crate) fn name(&mut self, key: &'static str, what: &str, known: &[&str]) -> Option<String> {
        let name = self.text(key)?;
        if !known.iter().any(|known| same(known, &name)) {
            let at = self.section.child(key);
            let remedy = suggestion(&name, known);
            self.error(&at, format!("there is no {what} {name:?}"), Some(remedy));
        }
        Some(name)
    }

    /// A value of some format; `None`, too, when it is not of that format, which is an error.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (section, value) = self.value(key);
        match parse(value?) {
            Ok(value) => Some(value),
            Err(message) => {
                // Every such leaf has a default.
                let remedy = format!("correct it, or remove {key} for its default");
                self.error(&section, message, Some(remedy));
                None
            }
        }
    }

    /// A time span, which must be positive if `check`; `None`, too, when it is not.
    pub(crate) fn positive_time(
        &mut self,
        key: &'static str,
        check: bool,
    ) -> Option<std::time::Duration> {
        self.parsed(key, |text| match TimeSpan::parse(text)?.positive() {
            None if check => Err(format!("{text:?} is not positive")),
            duration => Ok(duration),
        })?
    }

    /// An array of texts, each with its place; null is an empty text. A single value in its place
    /// has no effect, as in .NET (reference 1.1).
    pub(crate) fn list(&mut self, key: &'static str) -> Vec<(Section<'a>, String)> {
        self.elements(key)
            .into_iter()
            .map(|item| {
                let text = item.value().unwrap_or_default().to_owned();
                (item, text)
            })
            .collect()
    }

    /// An array of anything.
    pub(crate) fn elements(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let section = self.child(key);
        if let Some(text) = section.value().filter(|text| !text.is_empty()) {
            let remedy = format!("write it as [ {text:?} ]");
            let message = "a single value has no effect where an array is expected";
            self.warn(&section, message, Some(remedy));
        }
        section.children().map(|(_, item)| item).collect()
    }

    /// An object whose keys are ids. Both of two objects that differ only in case are one.
    pub(crate) fn entries(&mut self, key: &'static str) -> Vec<(&'a str, Section<'a>)> {
        let section = self.child(key);
        if section.value().is_some_and(|text| !text.is_empty()) {
            let message = "a single value has no effect where an object is expected";
            self.warn(&section, message, None);
        }
        let entries: Vec<_> = section.children().collect();
        for (id, entry) in &entries {
            if let Some(again) = entry.again() {
                let message = format!("{id:?} is written twice, and the two are merged");
                self.warn(entry, message, Some(format!("the second is at {again}")));
            }
        }
        entries
    }

    /// An object of texts.
    pub(crate) fn map(&mut self, key: &'static str) -> Metadata {
        let section = self.child(key);
        map(&section, self.diagnostics)
    }

    pub(crate) fn error(
        &mut self,
        at: &Section<'_>,
        message: impl Into<String>,
        remedy: Option<String>,
    ) {
        note(self.diagnostics, Severity::Error, at, message, remedy);
    }

    pub(crate) fn warn(
        &mut self,
        at: &Section<'_>,
        message: impl Into<String>,
        remedy: Option<String>,
    ) {
        note(self.diagnostics, Severity::Warning, at, message, remedy);
    }

    /// Warns of the keys that were not asked for: they have no effect (reference 1.1).
    pub(crate) fn finish(self) {
        let split_from = self.section.split_from();
        for (name, section) in self.section.children() {
            if self.known.iter().any(|known| same(known, name)) {
                continue;
            }
            let key = section.split_from().unwrap_or(name);
            let (message, remedy) = match split_from {
                // This object's own key was cut, and this is what was cut off.
                Some(whole) if whole.split(':').nth(1) == Some(name) => (
                    format!("the key {whole:?} is cut at its `:`, so what is below has no effect"),
                    Some("choose an id without `:`".to_owned()),
                ),
                _ => (
                    format!("the key {key:?} is unknown and has no effect"),
                    renamed::remedy(self.section.path(), name)
                        .map(str::to_owned)
                        .or_else(|| {
                            let near = nearest(name, &self.known);
                            near.map(|known| format!("did you mean {known}?"))
                        }),
                ),
            };
            note(
                self.diagnostics,
                Severity::Warning,
                &section,
                message,
                remedy,
            );
        }
    }
}

/// An object of texts.
pub(crate) fn map(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Metadata {
    if section.value().is_some_and(|text| !text.is_empty()) {
        let message = "a single value has no effect where an object is expected";
        note(diagnostics, Severity::Warning, section, message, None);
    }
    let mut map = Metadata::new();
    for (name, item) in section.children() {
        match item.value() {
            Some(text) => _ = map.insert(name.to_owned(), text.to_owned()),
            None if item.has_children() => {
                let message = match item.split_from() {
                    Some(key) => format!("the key {key:?} is cut at its `:` and has no effect"),
                    None => "an object or array has no effect where a text is expected".to_owned(),
                };
                note(diagnostics, Severity::Warning, &item, message, None);
            }
            None => {}
        }
    }
    map
}

/// Says something about a section.
pub(crate) fn note(
    diagnostics: &mut Diagnostics,
    severity: Severity,
    at: &Section<'_>,
    message: impl Into<String>,
    remedy: Option<String>,
) {
    diagnostics.push(Diagnostic {
        severity,
        path: at.path().to_owned(),
        place: at.place(),
        message: message.into(),
        remedy,
    });
}

/// What readers are asked for, so that a test can hold it against the schema.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    /// Paths of objects, each with a key.
    type Keys = BTreeSet<(String, String)>;

    thread_local! {
        static ASKED: RefCell<Option<Keys>> = const { RefCell::new(None) };
    }

    pub(crate) fn begin() {
        ASKED.replace(Some(Keys::new()));
    }

    pub(crate) fn end() -> Keys {
        ASKED.take().unwrap_or_default()
    }

    pub(super) fn note(path: &str, key: &str) {
        ASKED.with_borrow_mut(|asked| {
            if let Some(asked) = asked {
                asked.insert((path.to_owned(), key.to_owned()));
            }
        });
    }
}
