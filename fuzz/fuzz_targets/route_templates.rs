//! Path templates and the paths they meet: what is captured are the template's own parameters, and
//! the routing table says the same as the template alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_config::schema::{MatchConfig, ProxyConfig, RouteConfig};
use ostler_fuzz::Request;
use ostler_model::{Found, PathTemplate, ProxyModel};

fuzz_target!(|input: &str| {
    let Some((template, path)) = input.split_once('\n') else {
        return;
    };
    let Ok(parsed) = PathTemplate::parse(template) else {
        return;
    };
    // A route without a path has every path.
    if template.is_empty() {
        return;
    }
    let path = format!("/{}", path.trim_start_matches('/'));
    let captured = parsed.capture(&path);
    let model = ProxyModel::new();
    let config = ProxyConfig {
        routes: vec![RouteConfig {
            route_id: "r".into(),
            matches: MatchConfig {
                path: Some(template.to_owned()),
                ..MatchConfig::default()
            },
            ..RouteConfig::default()
        }]
        .into(),
        ..ProxyConfig::default()
    };
    let snapshot = model.apply(&config).expect("the template is one");
    let request = Request {
        path: &path,
        ..Request::default()
    };
    let found = matches!(snapshot.routes.find(&request), Found::Route(_));
    assert_eq!(found, captured.is_some(), "{template:?} {path:?}");
});
