//! What may stand under a key.

use serde_json::{Value as Json, json};

use super::Object;

/// What may stand under a key, as .NET reads it (reference A1.2). Null is always as absent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    Boolean,
    /// A whole number.
    Integer,
    Number,
    /// `D.HH:MM:SS.fffffff`, `HH:MM` or days.
    TimeSpan,
    /// A text that is not just anything; numbers are none.
    Text,
    /// Any text; numbers and booleans become theirs.
    AnyText,
    /// `1.1`, as a text or as a number.
    Version,
    /// One of an enumeration's members, by name without case or by number.
    Member(&'static [&'static str]),
    /// One of these, by name without case.
    Choice(&'static [&'static str]),
    /// One of these, or one that an application or another section adds.
    Name(&'static [&'static str]),
    /// An array of texts.
    Texts,
    /// An array of an enumeration's members.
    Members(&'static [&'static str]),
    /// An array of names.
    Names(&'static [&'static str]),
    Object(&'static Object),
    /// An array of objects.
    Objects(&'static Object),
    /// Objects by id.
    Map(&'static Object),
    /// Free-form texts by name.
    TextMap,
    /// An array of free-form texts by name.
    TextMaps,
    /// Arrays of texts by name.
    TextsMap,
    /// Texts, or arrays of texts, by name, by id.
    TextsMaps,
    /// Nobody looks at it.
    Anything,
}

impl Value {
    /// What it is called in the reference.
    pub(crate) fn describe(self) -> String {
        let one_of = |names: &[&str]| match names {
            [] => "name".to_owned(),
            names => format!("`{}`", names.join("`, `")),
        };
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Integer => "whole number".to_owned(),
            Self::Number => "number".to_owned(),
            Self::TimeSpan => "time span".to_owned(),
            Self::Text | Self::AnyText => "text".to_owned(),
            Self::Version => "`1.0`, `1.1`, `2`, `3`".to_owned(),
            Self::Member(names) | Self::Choice(names) => one_of(names),
            Self::Name([]) => "name".to_owned(),
            Self::Name(names) => format!("{}, or a name", one_of(names)),
            Self::Texts => "array of texts".to_owned(),
            Self::Members(names) => format!("array of {}", one_of(names)),
            Self::Names([]) => "array of names".to_owned(),
            Self::Names(names) => format!("array of {}, or names", one_of(names)),
            Self::Object(_) => "object".to_owned(),
            Self::Objects(_) => "array of objects".to_owned(),
            Self::Map(_) => "objects by id".to_owned(),
            Self::TextMap => "texts by name".to_owned(),
            Self::TextMaps => "array of objects of texts".to_owned(),
            Self::TextsMap => "arrays of texts by name".to_owned(),
            Self::TextsMaps => "objects of arrays of texts, by id".to_owned(),
            Self::Anything => "anything".to_owned(),
        }
    }

    /// A value of this kind where a key has no better example; `None` for objects.
    pub(crate) fn example(self) -> Option<Json> {
        Some(match self {
            Self::Boolean => json!(true),
            Self::Integer | Self::Number => json!(1),
            Self::TimeSpan => json!("00:00:30"),
            Self::Version => json!("2"),
            Self::Member(names) | Self::Choice(names) | Self::Name(names) => {
                json!(names.first().copied().unwrap_or("mine"))
            }
            Self::Members(names) | Self::Names(names) => {
                json!([names.first().copied().unwrap_or("mine")])
            }
            Self::Texts => json!(["x"]),
            Self::TextMap => json!({ "Name": "value" }),
            Self::Text | Self::AnyText => json!("x"),
            Self::TextMaps
            | Self::TextsMap
            | Self::TextsMaps
            | Self::Anything
            | Self::Object(_)
            | Self::Objects(_)
            | Self::Map(_) => return None,
        })
    }

    /// Whether a single value is read here.
    pub(crate) fn is_single(self) -> bool {
        matches!(
            self,
            Self::Boolean
                | Self::Integer
                | Self::Number
                | Self::TimeSpan
                | Self::Text
                | Self::AnyText
                | Self::Version
                | Self::Member(_)
                | Self::Choice(_)
                | Self::Name(_)
        )
    }

    /// Whether an array is read here.
    pub(crate) fn is_array(self) -> bool {
        matches!(
            self,
            Self::Texts | Self::Members(_) | Self::Names(_) | Self::Objects(_) | Self::TextMaps
        )
    }
}
