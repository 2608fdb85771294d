//! The shapes of objects and values, as .NET reads them (reference A1.2). Null is always as absent.

use serde_json::{Map, Value as Json, json};

use crate::keys::{Key, Object, Value};

/// What an object looks like.
pub(super) fn object(object: &Object) -> Json {
    let properties: Map<_, _> = object
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let mut schema = json!({ "type": ["object", "null"], "description": object.doc,
        "properties": properties });
    if !object.is_open {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

fn property(key: &Key) -> Json {
    let mut schema = of(key.value);
    let mut description = key.doc.to_owned();
    if !key.default.is_empty() {
        description.push_str(&format!(" Default: {}.", key.default));
    }
    schema["description"] = json!(description);
    if let Ok(example) = serde_json::from_str::<Json>(key.own_example) {
        schema["examples"] = json!([example]);
    }
    schema
}

/// What a value of a kind looks like.
fn of(value: Value) -> Json {
    match value {
        Value::Boolean => {
            let pattern = r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])\s*$";
            json!({ "type": ["boolean", "string", "null"], "pattern": pattern })
        }
        Value::Integer => {
            json!({ "type": ["integer", "string", "null"], "pattern": "^[+-]?[0-9]+$" })
        }
        Value::Number => json!({ "type": ["number", "string", "null"], "examples": [1] }),
        Value::TimeSpan => time_span(),
        Value::Text => json!({ "type": ["string", "null"] }),
        Value::AnyText => text(),
        Value::Version => json!({ "type": ["string", "number", "null"], "examples": ["2"] }),
        Value::Member(names) => member(names),
        Value::Choice(names) => {
            json!({ "anyOf": [{ "enum": names }, { "type": ["string", "null"] }] })
        }
        Value::Name(names) => name(names),
        Value::Texts => array(text()),
        Value::Members(names) => array(member(names)),
        Value::Names(names) => array(name(names)),
        Value::Object(object) => self::object(object),
        Value::Objects(object) => array(self::object(object)),
        Value::Map(object) => map(self::object(object)),
        Value::TextMap => map(text()),
        Value::TextMaps => array(map(text())),
        Value::TextsMap => map(array(text())),
        Value::TextsMaps => map(map(json!({ "anyOf": [text(), array(text())] }))),
        Value::Anything => json!({}),
    }
}

fn text() -> Json {
    json!({ "type": ["string", "number", "boolean", "null"] })
}

/// A name out of a few, or one that an application has added.
fn name(names: &[&str]) -> Json {
    json!({ "type": ["string", "null"], "examples": names })
}

/// A member by its name, or by its number.
fn member(names: &[&str]) -> Json {
    json!({ "anyOf": [{ "enum": names }, { "type": ["integer", "null"] },
        { "type": "string", "pattern": "^\\s*[+-]?[0-9]+\\s*$" }] })
}

/// `D.HH:MM:SS.fffffff`, `HH:MM` or days.
fn time_span() -> Json {
    let pattern =
        r"^\s*-?([0-9]+|([0-9]+\.)?[0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,7})?)?)\s*$";
    json!({ "type": ["string", "integer", "null"], "pattern": pattern, "examples": ["00:00:30"] })
}

fn array(item: Json) -> Json {
    json!({ "type": ["array", "null"], "items": item })
}

fn map(item: Json) -> Json {
    json!({ "type": ["object", "null"], "additionalProperties": item })
}
