use serde_json::{Value, json};

use super::*;

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
fn objects_have_no_further_keys() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let at = |path: &str| {
        let keys = path.split(':').filter(|key| !key.is_empty());
        keys.fold(&schema, |shape, key| match key {
            "*" => &shape["additionalProperties"],
            key => &shape["properties"][key],
        })
    };
    for path in [
        "ReverseProxy",
        "ReverseProxy:Routes:*",
        "ReverseProxy:Routes:*:Match",
        "ReverseProxy:Clusters:*:Destinations:*",
        "Kestrel:Limits:Http2",
    ] {
        assert_eq!(at(path)["additionalProperties"], json!(false), "{path}");
    }
    assert!(at("").get("additionalProperties").is_none());
}
