//! The algorithm of reference 3.1, its consequences, and the outcomes of 3.9.

use ostler_config::schema::{HeaderMatchConfig, MatchConfig, RouteConfig};

use super::*;
use crate::route::testing::Request;

fn route(id: &str, matches: MatchConfig) -> RouteConfig {
    RouteConfig {
        route_id: id.to_owned(),
        matches,
        ..RouteConfig::default()
    }
}

fn path(id: &str, path: &str) -> RouteConfig {
    route(
        id,
        MatchConfig {
            path: Some(path.to_owned()),
            ..MatchConfig::default()
        },
    )
}

fn with(mut route: RouteConfig, methods: &[&str], hosts: &[&str]) -> RouteConfig {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    route.matches.methods = owned(methods);
    route.matches.hosts = owned(hosts);
    route
}

/// The outcome as one text: a route's id, or the status.
fn find(routes: &[RouteConfig], request: &Request) -> String {
    let models: Vec<_> = routes
        .iter()
        .map(|config| {
            Arc::new(RouteModel {
                config: config.clone(),
                cluster: None,
            })
        })
        .collect();
    let table = RouteTable::build(&models).unwrap();
    match table.find(request) {
        Found::Route(route) => route.config.route_id.clone(),
        Found::NotFound => "404".to_owned(),
        Found::MethodNotAllowed { allow } => format!("405 {allow}"),
        Found::Ambiguous { .. } => "500".to_owned(),
    }
}

#[test]
fn the_most_specific_path_wins() {
    let routes = [
        path("all", "/{**r}"),
        path("param", "/api/{id}"),
        path("int", "/api/{id:int}"),
        path("literal", "/api/x"),
        path("api", "/api"),
        path("rest", "/api/{**r}"),
    ];
    for (target, wanted) in [
        ("/", "all"),
        ("/api", "api"),
        ("/API/X", "literal"),
        ("/api/7", "int"),
        ("/api/y", "param"),
        ("/api/a/b", "rest"),
        ("/other", "all"),
    ] {
        assert_eq!(find(&routes, &Request::to(target)), wanted, "{target}");
    }
}

#[test]
fn order_beats_the_path_and_ties_are_ambiguous() {
    let mut first = path("first", "/{**r}");
    first.order = Some(-1);
    assert_eq!(find(&[first, path("a", "/a")], &Request::to("/a")), "first");
    assert_eq!(
        find(&[path("a", "/a"), path("b", "/A")], &Request::to("/a")),
        "500"
    );
    assert_eq!(find(&[path("a", "/a")], &Request::to("/b")), "404");
}

#[test]
fn methods_are_judged_before_hosts() {
    let routes = [
        with(path("get", "/x"), &["GET"], &["a.com"]),
        with(path("put", "/x"), &["PUT"], &[]),
    ];
    assert_eq!(
        find(&routes, &Request::to("/x").method("POST").at("b.com")),
        "405 GET, PUT"
    );
    assert_eq!(find(&routes, &Request::to("/x").at("b.com")), "404");
    assert_eq!(find(&routes, &Request::to("/x").at("A.com")), "get");
    assert_eq!(
        find(&routes, &Request::to("/x").method("HEAD").at("a.com")),
        "405 GET, PUT"
    );
    let with_all = [routes[0].clone(), path("all", "/{**r}")];
    assert_eq!(find(&with_all, &Request::to("/x").method("POST")), "all");
}

#[test]
fn the_most_specific_host_key_decides() {
    let keys = ["a.com:81", "a.com", "*.a.com:81", "*.a.com", "*:81", "*"];
    let routes: Vec<_> = keys
        .iter()
        .map(|key| with(path(key, "/"), &[], &[key]))
        .collect();
    for (authority, wanted) in [
        ("a.com:81", "a.com:81"),
        ("a.com", "a.com"),
        ("x.a.com:81", "*.a.com:81"),
        ("x.y.a.com", "*.a.com"),
        ("b.com:81", "*:81"),
        ("b.com", "*"),
    ] {
        assert_eq!(
            find(&routes, &Request::to("/").at(authority)),
            wanted,
            "{authority}"
        );
    }
    // No fall-through from a specific key to a wildcard, but to a route without hosts.
    let mut strict = with(path("strict", "/"), &[], &["www.a.com"]);
    strict.matches.headers = vec![HeaderMatchConfig {
        name: "x".to_owned(),
        values: vec!["1".to_owned()],
        ..HeaderMatchConfig::default()
    }];
    let wild = with(path("wild", "/"), &[], &["*.a.com"]);
    assert_eq!(
        find(&[strict.clone(), wild], &Request::to("/").at("www.a.com")),
        "404"
    );
    let hostless = path("hostless", "/");
    assert_eq!(
        find(&[strict, hostless], &Request::to("/").at("www.a.com")),
        "hostless"
    );
}

#[test]
fn more_rules_go_before_fewer() {
    let mut ruled = path("ruled", "/a");
    ruled.matches.headers = vec![HeaderMatchConfig {
        name: "x".to_owned(),
        values: vec!["1".to_owned()],
        ..HeaderMatchConfig::default()
    }];
    let routes = [path("bare", "/a"), ruled];
    assert_eq!(find(&routes, &Request::to("/a").field("X", "1")), "ruled");
    assert_eq!(find(&routes, &Request::to("/a").field("X", "2")), "bare");
}

#[test]
fn preflight_requests_are_matched_by_the_method_they_ask_for() {
    let mut put = with(path("put", "/x"), &["PUT"], &[]);
    put.cors_policy = Some("Disable".to_owned());
    let routes = [put, path("all", "/x")];
    let asks = |method: &str| {
        Request::to("/x")
            .method("OPTIONS")
            .field("Origin", "o")
            .field("Access-Control-Request-Method", method)
    };
    assert_eq!(find(&routes, &asks("PUT")), "put");
    assert_eq!(find(&routes, &asks("GET")), "404");
    assert_eq!(find(&routes, &Request::to("/x").method("OPTIONS")), "all");
}

#[test]
fn a_route_that_cannot_be_compiled_is_named() {
    let bad = with(path("bad", "/{"), &["BREW"], &["a:b:c"]);
    let model = Arc::new(RouteModel {
        config: bad,
        cluster: None,
    });
    let errors = RouteTable::build(&[model]).unwrap_err();
    let parts: Vec<_> = errors.iter().map(|error| error.part).collect();
    assert_eq!(parts, ["Match:Path", "Match:Hosts", "Match:Methods"]);
}
