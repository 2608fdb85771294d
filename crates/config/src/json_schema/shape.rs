//! The shapes of values, as .NET reads them (reference 1.2). Null is always as absent.

use serde_json::{Map, Value, json};

type Properties = Vec<(&'static str, Value)>;

/// An object without further keys.
pub(super) fn object(description: &str, properties: Properties) -> Value {
    let mut shape = open(description, properties);
    if let Some(shape) = shape.as_object_mut() {
        shape.insert("additionalProperties".to_owned(), json!(false));
    }
    shape
}

/// An object in which other keys are others' business.
pub(super) fn open(description: &str, properties: Properties) -> Value {
    let properties: Map<_, _> = properties
        .into_iter()
        .map(|(key, shape)| (key.to_owned(), shape))
        .collect();
    json!({ "type": ["object", "null"], "description": description, "properties": properties })
}

/// An object whose keys are ids.
pub(super) fn map(description: &str, item: Value) -> Value {
    json!({ "type": ["object", "null"], "description": description, "additionalProperties": item })
}

pub(super) fn list(description: &str, item: Value) -> Value {
    json!({ "type": ["array", "null"], "description": description, "items": item })
}

/// A text; numbers and booleans become theirs.
pub(super) fn text(description: &str) -> Value {
    json!({ "type": ["string", "number", "boolean", "null"], "description": description })
}

/// A text that is not just anything.
pub(super) fn text_like(description: &str, example: &str) -> Value {
    json!({ "type": ["string", "null"], "description": description, "examples": [example] })
}

pub(super) fn texts(description: &str) -> Value {
    list(description, text(""))
}

/// Free-form settings.
pub(super) fn metadata() -> Value {
    map("Free-form settings.", text(""))
}

pub(super) fn boolean(description: &str) -> Value {
    let pattern = r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])\s*$";
    json!({ "type": ["boolean", "string", "null"], "pattern": pattern, "description": description })
}

pub(super) fn integer(description: &str) -> Value {
    json!({ "type": ["integer", "string", "null"], "pattern": "^[+-]?[0-9]+$",
        "description": description })
}

pub(super) fn number(description: &str) -> Value {
    json!({ "type": ["number", "string", "null"], "description": description, "examples": [1] })
}

/// `D.HH:MM:SS.fffffff`, `HH:MM` or days.
pub(super) fn time_span(description: &str) -> Value {
    let pattern =
        r"^\s*-?([0-9]+|([0-9]+\.)?[0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,7})?)?)\s*$";
    json!({ "type": ["string", "integer", "null"], "pattern": pattern,
        "description": description, "examples": ["00:00:30"] })
}

/// A member by its name, or by its number.
pub(super) fn member(description: &str, names: &[&str]) -> Value {
    json!({ "anyOf": [{ "enum": names }, { "type": ["integer", "null"] },
        { "type": "string", "pattern": "^\\s*[+-]?[0-9]+\\s*$" }], "description": description })
}

/// A name out of a few.
pub(super) fn choice(description: &str, names: &[&str]) -> Value {
    json!({ "enum": names, "description": description })
}

/// A name out of a few, or one that an application has added.
pub(super) fn policy(description: &str, names: &[&str]) -> Value {
    json!({ "type": ["string", "null"], "description": description, "examples": names })
}
