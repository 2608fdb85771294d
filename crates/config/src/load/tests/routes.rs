//! Routes: what is read, and the rules R1 to R29.

use std::time::Duration;

use super::*;
use crate::schema::{
    HeaderMatchConfig, HeaderMatchMode, QueryParameterMatchConfig, QueryParameterMatchMode,
};

/// A route `r` written as JSON.
fn route(json: &str) -> String {
    format!(r#"{{ "ReverseProxy": {{ "Routes": {{ "r": {json} }} }} }}"#)
}

/// Checks that a route has one error, at `path` below it.
#[track_caller]
fn one(rule: &str, json: &str, path: &str, words: &str) {
    one_error(
        rule,
        &route(json),
        &format!("ReverseProxy:Routes:r{path}"),
        words,
    );
}

/// The same for a route that is right but for a part of its `Match`.
#[track_caller]
fn one_in_match(rule: &str, json: &str, path: &str, words: &str) {
    let json = format!(r#"{{ "Match": {{ "Path": "/", {json} }} }}"#);
    one(rule, &json, &format!(":Match{path}"), words);
}

#[test]
fn everything_of_a_route_is_read() {
    let loaded = load_text(&route(
        r#"{ "clusterid": "c", "ORDER": "-5", "AuthorizationPolicy": "anonymous", "RateLimiterPolicy": "Default",
            "CorsPolicy": "disable", "Timeout": "00:00:01.5", "MaxRequestBodySize": -1,
            "Metadata": { "a": 42, "b": true, "c": null },
            "Match": { "Path": "/a/{b}", "Hosts": [ "a.com", "*.b.com:80" ], "Methods": [ "get", "POST" ],
                "Headers": [ { "Name": "h", "Values": [ "1", "2" ], "Mode": "headerprefix", "IsCaseSensitive": "True" },
                    { "Name": "i", "Mode": 5 } ],
                "QueryParameters": [ { "Name": "q", "Values": [ "v" ], "Mode": "3" } ] },
            "Transforms": [ { "PathSet": "/x" }, { "RequestHeadersCopy": false } ] }"#,
    ));
    assert!(
        !loaded.diagnostics.has_errors(),
        "{:#?}",
        loaded.diagnostics
    );
    let route = &loaded.settings.proxy.routes[0];
    assert_eq!(route.cluster_id.as_deref(), Some("c"));
    assert_eq!(route.order, Some(-5));
    assert_eq!(route.authorization_policy.as_deref(), Some("anonymous"));
    assert_eq!(route.rate_limiter_policy.as_deref(), Some("Default"));
    assert_eq!(route.cors_policy.as_deref(), Some("disable"));
    assert_eq!(route.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(route.max_request_body_size, Some(-1));
    let metadata: Vec<_> = route
        .metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(metadata, [("a", "42"), ("b", "True")]);
    assert_eq!(route.matches.path.as_deref(), Some("/a/{b}"));
    assert_eq!(route.matches.hosts, ["a.com", "*.b.com:80"]);
    assert_eq!(route.matches.methods, ["get", "POST"]);
    assert_eq!(
        route.matches.headers,
        [
            HeaderMatchConfig {
                name: "h".into(),
                values: vec!["1".into(), "2".into()],
                mode: HeaderMatchMode::HeaderPrefix,
                is_case_sensitive: true,
            },
            HeaderMatchConfig {
                name: "i".into(),
                mode: HeaderMatchMode::NotExists,
                ..Default::default()
            },
        ]
    );
    assert_eq!(
        route.matches.query_parameters,
        [QueryParameterMatchConfig {
            name: "q".into(),
            values: vec!["v".into()],
            mode: QueryParameterMatchMode::Prefix,
            is_case_sensitive: false,
        }]
    );
    assert_eq!(route.transforms.len(), 2);
    assert_eq!(route.transforms[1]["RequestHeadersCopy"], "False");
}

#[test]
fn r1_a_route_without_id() {
    let text = r#"{ "ReverseProxy": { "Routes": { "": { "Match": { "Path": "/" } } } } }"#;
    one_error("R1", text, "ReverseProxy:Routes:", "no id");
}

#[test]
fn r3_neither_path_nor_hosts() {
    for json in [
        "{}",
        "null",
        r#""text""#,
        r#"{ "Match": {} }"#,
        r#"{ "Match": { "Path": "", "Hosts": [] } }"#,
        r#"{ "Match": { "Methods": [ "GET" ] } }"#,
    ] {
        one("R3", json, ":Match", "neither a path nor hosts");
    }
    assert!(errors(&route(r#"{ "Match": { "Hosts": [ "a.com" ] } }"#)).is_empty());
    // R6 comes with it.
    assert_eq!(
        errors(&route(r#"{ "Match": { "Hosts": [ "", null ] } }"#)).len(),
        3
    );
}

#[test]
fn r6_an_empty_host() {
    one_in_match(
        "R6",
        r#""Hosts": [ "a.com", "" ]"#,
        ":Hosts:1",
        "the host is empty",
    );
    one_in_match(
        "R6",
        r#""Hosts": [ null, "a.com" ]"#,
        ":Hosts:0",
        "the host is empty",
    );
}

#[test]
fn r7_a_host_in_bad_punycode() {
    one_in_match(
        "R7",
        r#""Hosts": [ "a.XN--b.com" ]"#,
        ":Hosts:0",
        "Punycode",
    );
}

#[test]
fn r8_and_3_8_ask_the_validator() {
    let text = route(r#"{ "Match": { "Path": "/bad", "Hosts": [ "bad", "good" ] } }"#);
    let loaded = load_with(&tree(&text), &NothingBad);
    let errors: Vec<_> = loaded
        .diagnostics
        .errors()
        .map(|error| (error.path.as_str(), error.message.as_str()))
        .collect();
    assert_eq!(
        errors,
        [
            (
                "ReverseProxy:Routes:r:Match:Path",
                "no path template: it is bad"
            ),
            ("ReverseProxy:Routes:r:Match:Hosts:0", "no host: it is bad"),
        ]
    );
    assert!(!load_text(&text).diagnostics.has_errors());
}

#[test]
fn r9_a_method_twice() {
    one_in_match(
        "R9",
        r#""Methods": [ "GET", "get" ]"#,
        ":Methods:1",
        "twice",
    );
}

#[test]
fn r10_an_unsupported_method() {
    for method in ["BREW", "CONNECT", "", "GET "] {
        one_in_match(
            "R10",
            &format!(r#""Methods": [ "HEAD", "{method}" ]"#),
            ":Methods:1",
            "not supported",
        );
    }
    let all = r#"{ "Match": { "Path": "/", "Methods": [ "get", "head", "post", "put", "patch", "delete", "options", "trace" ] } }"#;
    assert!(errors(&route(all)).is_empty());
}

#[test]
fn r12_to_r14_header_rules() {
    let one = |rule, json: &str, path, words| {
        one_in_match(rule, &format!(r#""Headers": [ {json} ]"#), path, words);
    };
    one(
        "R12",
        r#"{ "Values": [ "v" ] }"#,
        ":Headers:0:Name",
        "no Name",
    );
    one(
        "R13",
        r#"{ "Name": "n" }"#,
        ":Headers:0:Values",
        "no Values",
    );
    one(
        "R13",
        r#"{ "Name": "n", "Values": [], "Mode": "NotContains" }"#,
        ":Headers:0:Values",
        "no Values",
    );
    one(
        "R14",
        r#"{ "Name": "n", "Values": [ "v" ], "Mode": "Exists" }"#,
        ":Headers:0:Values",
        "takes no Values",
    );
    one(
        "R14",
        r#"{ "Name": "n", "Values": [ "v" ], "Mode": "notexists" }"#,
        ":Headers:0:Values",
        "takes no Values",
    );
    one(
        "3.8",
        r#"{ "Name": "n", "Values": [ "v", "" ] }"#,
        ":Headers:0:Values:1",
        "the value is empty",
    );
    one(
        "1.2",
        r#"{ "Name": "n", "Mode": "Regex" }"#,
        ":Headers:0:Mode",
        "not one of ExactHeader, HeaderPrefix",
    );
}

#[test]
fn r15_to_r18_query_rules() {
    let one = |rule, json: &str, path, words| {
        one_in_match(
            rule,
            &format!(r#""QueryParameters": [ {json} ]"#),
            path,
            words,
        );
    };
    one(
        "R16",
        r#"{ "Values": [ "v" ] }"#,
        ":QueryParameters:0:Name",
        "no Name",
    );
    one(
        "R17",
        r#"{ "Name": "n", "Mode": "Prefix" }"#,
        ":QueryParameters:0:Values",
        "no Values",
    );
    one(
        "R18",
        r#"{ "Name": "n", "Values": [ "v" ], "Mode": 4 }"#,
        ":QueryParameters:0:Values",
        "takes no Values",
    );
    one(
        "3.8",
        r#"{ "Name": "n", "Values": [ null ] }"#,
        ":QueryParameters:0:Values:0",
        "the value is empty",
    );
    one(
        "1.6",
        r#"{ "Name": "n", "Mode": "NotExists" }"#,
        ":QueryParameters:0:Mode",
        "not one of Exact, Contains",
    );
}

#[test]
fn r19_to_r26_policies_of_an_application() {
    for (rule, key, reserved) in [
        ("R19", "AuthorizationPolicy", &["anonymouS"][..]),
        ("R21", "CorsPolicy", &["defaulT", "Disable"]),
        ("R23", "RateLimiterPolicy", &["Default", "disAble"]),
        ("R25", "OutputCachePolicy", &[]),
        ("R26", "TimeoutPolicy", &["Disable"]),
    ] {
        let with = |name: &str| format!(r#"{{ "{key}": "{name}", "Match": {{ "Path": "/" }} }}"#);
        one(
            rule,
            &with("mine"),
            &format!(":{key}"),
            "no policy \"mine\"",
        );
        for name in reserved {
            assert!(errors(&route(&with(name))).is_empty(), "{rule} {name}");
        }
    }
    // Reference A11.1: it would let nobody in, and what is meant to be closed is not left open.
    one(
        "R19",
        r#"{ "AuthorizationPolicy": "defaulT", "Match": { "Path": "/" } }"#,
        ":AuthorizationPolicy",
        "no authentication scheme",
    );
    one(
        "R25",
        r#"{ "OutputCachePolicy": "Default", "Match": { "Path": "/" } }"#,
        ":OutputCachePolicy",
        "no policy",
    );
    one(
        "R26",
        r#"{ "TimeoutPolicy": "Default", "Match": { "Path": "/" } }"#,
        ":TimeoutPolicy",
        "no policy",
    );
}

#[test]
fn r28_timeout_and_its_policy() {
    let json = r#"{ "TimeoutPolicy": "Disable", "Timeout": "00:00:01", "Match": { "Path": "/" } }"#;
    one("R28", json, ":TimeoutPolicy", "exclude each other");
}

#[test]
fn r29_a_timeout_that_is_not_positive() {
    for timeout in ["00:00:00", "-00:00:01", "0"] {
        one(
            "R29",
            &format!(r#"{{ "Timeout": "{timeout}", "Match": {{ "Path": "/" }} }}"#),
            ":Timeout",
            "not positive",
        );
    }
    one(
        "1.2",
        r#"{ "Timeout": "24:00:00", "Match": { "Path": "/" } }"#,
        ":Timeout",
        "1.00:00:00",
    );
}

#[test]
fn a_negative_body_size_is_a_warning() {
    let loaded = load_text(&route(
        r#"{ "ClusterId": "", "MaxRequestBodySize": -2, "Match": { "Path": "/" } }"#,
    ));
    assert!(!loaded.diagnostics.has_errors());
    let size = "ReverseProxy:Routes:r:MaxRequestBodySize";
    assert_eq!(
        warning_paths(&loaded)
            .iter()
            .filter(|path| **path == size)
            .count(),
        1
    );
}
