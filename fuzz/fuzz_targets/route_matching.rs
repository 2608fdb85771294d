//! What a client says of host, path, query and fields, against a table with a route of each kind.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use ostler_config::{ConfigurationTree, load};
use ostler_fuzz::Request;
use ostler_model::{ProxyModel, Snapshot};

const ROUTES: &str = r#"{ "ReverseProxy": { "Routes": {
    "host": { "Match": { "Hosts": [ "*.example.com", "a.test:8080", "*:81", "münchen.example" ] } },
    "method": { "Match": { "Path": "/m/{a}.{b}", "Methods": [ "GET", "Post" ] } },
    "header": { "Match": { "Path": "/h/{id:int:min(1)}", "Headers": [
        { "Name": "a", "Mode": "HeaderPrefix", "Values": [ "x" ] },
        { "Name": "b", "Mode": "NotContains", "Values": [ "y" ] } ] } },
    "query": { "Match": { "Path": "/q/{**rest}", "QueryParameters": [
        { "Name": "a", "Mode": "Contains", "Values": [ "1" ] },
        { "Name": "b", "Mode": "Exists" } ] } },
    "any": { "Match": { "Path": "/{a=1}/{b?}" } } } } }"#;

static TABLE: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let mut tree = ConfigurationTree::new();
    tree.add_json("routes", ROUTES).expect("it is JSON");
    let loaded = load(&tree);
    assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
    ProxyModel::new()
        .apply(&loaded.settings.proxy)
        .expect("they are routes")
});

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or("");
    let (method, authority, path, query) = (text(), text(), text(), text());
    let fields = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((
            std::str::from_utf8(&line[..colon]).ok()?,
            &line[colon + 1..],
        ))
    });
    let request = Request {
        method,
        path,
        query: (!query.is_empty()).then_some(query),
        authority,
        fields: fields.collect(),
    };
    let _ = TABLE.routes.find(&request);
});
