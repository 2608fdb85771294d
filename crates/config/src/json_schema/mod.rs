//! A JSON schema of everything that is read, for editors; made of what [`keys`](crate::keys) says.

mod shape;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value as Json, json};

use crate::keys::{Key, Object, ROOT};

/// The schema's text, as `ostler schema` prints it.
pub fn json_schema() -> String {
    let mut schema = object(&ROOT);
    if let Some(schema) = schema.as_object_mut() {
        let draft = "http://json-schema.org/draft-07/schema#";
        schema.insert("$schema".to_owned(), json!(draft));
        schema.insert("title".to_owned(), json!("appsettings.json of Ostler"));
        let about = "Configuration of Ostler. Comments and trailing commas are allowed. Keys, and names of \
                     enumerations' members, are compared without case; this schema has them as they are \
                     usually written. Numbers and booleans may be written as texts.";
        schema.insert("description".to_owned(), json!(about));
    }
    // Values of strings and numbers can always be shown.
    format!("{schema:#}\n")
}

fn object(object: &Object) -> Json {
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
    let mut schema = shape::of(key.value);
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
