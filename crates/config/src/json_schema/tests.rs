use serde_json::{Map, Value, json};

use super::*;
use crate::reader::asked;
use crate::{ConfigurationTree, load};

fn schema() -> Value {
    serde_json::from_str(&json_schema()).unwrap()
}

/// A value of a shape, with everything in it.
fn everything(shape: &Value) -> Value {
    if let Some(properties) = shape["properties"].as_object() {
        let properties = properties.iter();
        return properties
            .map(|(key, shape)| (key.clone(), everything(shape)))
            .collect::<Map<_, _>>()
            .into();
    }
    if shape["additionalProperties"].is_object() {
        return json!({ "x": everything(&shape["additionalProperties"]) });
    }
    if shape["items"].is_object() {
        return json!([everything(&shape["items"])]);
    }
    if let Some(example) = shape["examples"].get(0) {
        return example.clone();
    }
    if let Some(member) = shape["anyOf"][0]["enum"].get(0) {
        return member.clone();
    }
    match shape["type"][0].as_str() {
        Some("boolean") => json!(true),
        Some("integer") => json!(1),
        _ => json!("x"),
    }
}

/// The shape at a path of the reader's.
fn at<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    path.split(':')
        .filter(|key| !key.is_empty())
        .try_fold(schema, |shape, key| {
            let below = shape["properties"].get(key).or_else(|| shape.get("items"));
            below
                .or_else(|| shape.get("additionalProperties"))
                .filter(|shape| shape.is_object())
        })
}

fn read_everything() -> crate::Loaded {
    let mut tree = ConfigurationTree::new();
    tree.add_json("all.json", &everything(&schema()).to_string())
        .unwrap();
    load(&tree)
}

#[test]
fn every_key_of_the_schema_is_known_to_the_reader() {
    let loaded = read_everything();
    let all = loaded
        .diagnostics
        .errors()
        .chain(loaded.diagnostics.warnings());
    let unknown: Vec<_> = all
        .filter(|said| {
            said.message.contains("is unknown") || said.message.contains("a policy has no")
        })
        .map(ToString::to_string)
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_key_that_the_reader_asks_for_is_in_the_schema() {
    asked::begin();
    read_everything();
    let asked = asked::end();
    assert!(asked.len() > 120, "{}", asked.len());
    let schema = schema();
    let missing: Vec<_> = asked
        .iter()
        .filter(|(path, key)| {
            // Of older formats: ignored, or an error.
            let old = key == "RouteId" || (key == "ClusterId" && path.contains(":Clusters:"));
            !old && at(&schema, path).is_none_or(|shape| shape["properties"].get(key).is_none())
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_file_in_the_repository_is_this_schema() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/appsettings.schema.json"
    );
    let text = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        text == json_schema(),
        "run: cargo run -p ostler -- schema > docs/appsettings.schema.json"
    );
}

#[test]
fn objects_of_the_proxy_have_no_further_keys() {
    let schema = schema();
    for path in [
        "",
        ":Routes:r",
        ":Routes:r:Match",
        ":Clusters:c",
        ":Clusters:c:Destinations:d",
    ] {
        let shape = at(&schema, &format!("ReverseProxy{path}")).unwrap();
        assert_eq!(shape["additionalProperties"], json!(false), "{path}");
    }
}
