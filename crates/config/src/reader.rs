//! Reading one object: typed values, every mistake noted, every key that nobody knows reported.

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::keys::{self, Object, Value};
use crate::leaf::TimeSpan;
use crate::nearest::{nearest, suggestion};
use crate::schema::Metadata;
use crate::tree::Section;
use crate::tree::key::same;

/// Reads a section whose keys are described.
pub(crate) struct Reader<'a, 'd> {
    pub(crate) section: Section<'a>,
    object: &'static Object,
    pub(crate) diagnostics: &'d mut Diagnostics,
}

impl<'a, 'd> Reader<'a, 'd> {
    /// Begins to read an object. A single value in its place has no effect.
    pub(crate) fn new(
        section: Section<'a>,
        object: &'static Object,
        diagnostics: &'d mut Diagnostics,
    ) -> Self {
        if section.value().is_some_and(|text| !text.is_empty()) {
            let message = "a single value has no effect where an object is expected";
            note(diagnostics, Severity::Warning, &section, message, None);
        }
        Self {
            section,
            object,
            diagnostics,
        }
    }

    /// What stands under a key, which is described.
    pub(crate) fn child(&self, key: &'static str) -> Section<'a> {
        self.described(key, |_| true);
        self.section.child(key)
    }

    /// Makes sure, in tests, that a key is described as it is read.
    fn described(&self, key: &'static str, is_so: impl FnOnce(Value) -> bool) {
        #[cfg(test)]
        asked::note(self.section.path(), key);
        debug_assert!(
            self.object.key(key).is_some_and(|key| is_so(key.value)),
            "{}:{key} is not described, or not as what it is read as",
            self.section.path()
        );
    }

    /// The value under a key: `None` when it is absent, null, or no single value.
    fn value(&mut self, key: &'static str) -> (Section<'a>, Option<&'a str>) {
        self.described(key, Value::is_single);
        let section = self.section.child(key);
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
    /// has no effect, as in .NET (reference A1.1).
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
        self.described(key, Value::is_array);
        let section = self.section.child(key);
        if let Some(text) = section.value().filter(|text| !text.is_empty()) {
            let remedy = format!("write it as [ {text:?} ]");
            let message = "a single value has no effect where an array is expected";
            self.warn(&section, message, Some(remedy));
        }
        section.children().map(|(_, item)| item).collect()
    }

    /// An object whose keys are ids. Both of two objects that differ only in case are one.
    pub(crate) fn entries(&mut self, key: &'static str) -> Vec<(&'a str, Section<'a>)> {
        self.described(key, |value| {
            matches!(value, Value::Map(_) | Value::TextsMap)
        });
        let section = self.section.child(key);
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
        self.described(key, |value| matches!(value, Value::TextMap));
        let section = self.section.child(key);
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

    /// Warns of the keys that nobody knows: they have no effect (reference A1.1).
    pub(crate) fn finish(self) {
        let split_from = self.section.split_from();
        for (name, section) in self.section.children() {
            if self.object.key(name).is_some() {
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
                    what_was_meant(self.object, name),
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

/// What somebody meant who wrote a key that an object has not.
pub(crate) fn what_was_meant(object: &'static Object, name: &str) -> Option<String> {
    if let Some(instead) = object.instead_of(name) {
        return Some(instead);
    }
    let is_outermost = std::ptr::eq(object, &keys::ROOT);
    if let (Some(below), false) = (keys::only_owner(object, name), is_outermost) {
        return Some(format!("put it into {below}"));
    }
    let owner = keys::only_owner(&keys::ROOT, name).map(|owner| match owner.as_str() {
        "" => "the outermost level".to_owned(),
        _ => owner,
    });
    match (nearest(name, &object.names()), owner) {
        (Some(near), Some(owner)) => {
            Some(format!("did you mean {near}? {name} is a key of {owner}"))
        }
        (Some(near), None) => Some(format!("did you mean {near}?")),
        (None, Some(owner)) => Some(format!("it is a key of {owner}")),
        (None, None) => None,
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
