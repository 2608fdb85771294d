//! A JSON schema of everything that is read, for editors; made of what [`keys`](crate::keys) says.

mod shape;
#[cfg(test)]
mod tests;

use serde_json::json;

use crate::keys::ROOT;

/// The schema's text, as `ostler schema` prints it.
pub fn json_schema() -> String {
    let mut schema = shape::object(&ROOT);
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
