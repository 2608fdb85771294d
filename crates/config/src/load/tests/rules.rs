//! Every rule of reference A2.1 and A2.2 by its number: something that breaks it and nothing else, and
//! where the error stands.

use super::*;

/// Rule, a route that breaks it, the path below the route.
const ROUTES: [(u32, &str, &str); 29] = [
    // What a file can say of these two: Match and a rule that are null.
    (2, r#"{ "Match": null }"#, "Match"),
    (
        11,
        r#"{ "Match": { "Path": "/", "Headers": [ null ] } }"#,
        "Match:Headers:0:Name Match:Headers:0:Values",
    ),
    (1, "an id", ""),
    (3, r#"{ "Match": { "Methods": [ "GET" ] } }"#, "Match"),
    (
        4,
        r#"{ "Match": { "Path": "/" }, "Transforms": [ { "No": "1" } ] }"#,
        "Transforms:0",
    ),
    (
        5,
        r#"{ "Match": { "Path": "/" }, "Transforms": [ { "RequestHeadersCopy": "1" } ] }"#,
        "Transforms:0:RequestHeadersCopy",
    ),
    (
        6,
        r#"{ "Match": { "Hosts": [ "a", "" ] } }"#,
        "Match:Hosts:1",
    ),
    (
        7,
        r#"{ "Match": { "Hosts": [ "a.XN--b" ] } }"#,
        "Match:Hosts:0",
    ),
    (8, r#"{ "Match": { "Path": "bad" } }"#, "Match:Path"),
    (
        9,
        r#"{ "Match": { "Path": "/", "Methods": [ "GET", "get" ] } }"#,
        "Match:Methods:1",
    ),
    (
        10,
        r#"{ "Match": { "Path": "/", "Methods": [ "CONNECT" ] } }"#,
        "Match:Methods:0",
    ),
    (
        12,
        r#"{ "Match": { "Path": "/", "Headers": [ { "Values": [ "v" ] } ] } }"#,
        "Match:Headers:0:Name",
    ),
    (
        13,
        r#"{ "Match": { "Path": "/", "Headers": [ { "Name": "h" } ] } }"#,
        "Match:Headers:0:Values",
    ),
    (
        14,
        r#"{ "Match": { "Path": "/", "Headers": [ { "Name": "h", "Mode": "NotExists", "Values": [ "v" ] } ] } }"#,
        "Match:Headers:0:Values",
    ),
    (
        15,
        r#"{ "Match": { "Path": "/", "QueryParameters": [ null ] } }"#,
        "Match:QueryParameters:0:Name Match:QueryParameters:0:Values",
    ),
    (
        16,
        r#"{ "Match": { "Path": "/", "QueryParameters": [ { "Values": [ "v" ] } ] } }"#,
        "Match:QueryParameters:0:Name",
    ),
    (
        17,
        r#"{ "Match": { "Path": "/", "QueryParameters": [ { "Name": "q" } ] } }"#,
        "Match:QueryParameters:0:Values",
    ),
    (
        18,
        r#"{ "Match": { "Path": "/", "QueryParameters": [ { "Name": "q", "Mode": "Exists", "Values": [ "v" ] } ] } }"#,
        "Match:QueryParameters:0:Values",
    ),
    (
        19,
        r#"{ "Match": { "Path": "/" }, "AuthorizationPolicy": "none" }"#,
        "AuthorizationPolicy",
    ),
    (
        20,
        r#""Authorization": { "Policies": { "anonYmous": { "RequireRoles": [ "r" ] } } }"#,
        "Authorization:Policies:anonYmous",
    ),
    (
        21,
        r#"{ "Match": { "Path": "/" }, "CorsPolicy": "none" }"#,
        "CorsPolicy",
    ),
    (
        22,
        r#""Cors": { "Policies": { "disAble": { "Origins": [ "*" ] } } }"#,
        "Cors:Policies:disAble",
    ),
    (
        23,
        r#"{ "Match": { "Path": "/" }, "RateLimiterPolicy": "none" }"#,
        "RateLimiterPolicy",
    ),
    (
        24,
        r#""RateLimiter": { "Policies": { "defaulT": { "Type": "Concurrency", "PermitLimit": 1 } } }"#,
        "RateLimiter:Policies:defaulT",
    ),
    (
        25,
        r#"{ "Match": { "Path": "/" }, "OutputCachePolicy": "Default" }"#,
        "OutputCachePolicy",
    ),
    (
        26,
        r#"{ "Match": { "Path": "/" }, "TimeoutPolicy": "Default" }"#,
        "TimeoutPolicy",
    ),
    (
        27,
        r#""RequestTimeouts": { "Policies": { "disAble": { "Timeout": "00:00:01" } } }"#,
        "RequestTimeouts:Policies:disAble",
    ),
    (
        28,
        r#"{ "Match": { "Path": "/" }, "Timeout": "00:00:01", "TimeoutPolicy": "Disable" }"#,
        "TimeoutPolicy",
    ),
    (
        29,
        r#"{ "Match": { "Path": "/" }, "Timeout": "00:00:00" }"#,
        "Timeout",
    ),
];

/// Rule, a cluster that breaks it, the path below the cluster.
const CLUSTERS: [(u32, &str, &str); 14] = [
    (1, "an id", ""),
    (
        2,
        r#"{ "Destinations": { "d": { "Address": "" } } }"#,
        "Destinations:d:Address",
    ),
    (
        3,
        r#"{ "LoadBalancingPolicy": "none" }"#,
        "LoadBalancingPolicy",
    ),
    (
        4,
        r#"{ "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k", "Policy": "none" } }"#,
        "SessionAffinity:Policy",
    ),
    (
        5,
        r#"{ "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k", "FailurePolicy": "none" } }"#,
        "SessionAffinity:FailurePolicy",
    ),
    (
        6,
        r#"{ "SessionAffinity": { "Enabled": true } }"#,
        "SessionAffinity:AffinityKeyName",
    ),
    (
        7,
        r#"{ "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k", "Cookie": { "Expiration": "0" } } }"#,
        "SessionAffinity:Cookie:Expiration",
    ),
    (
        8,
        r#"{ "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k", "Cookie": { "MaxAge": "-1" } } }"#,
        "SessionAffinity:Cookie:MaxAge",
    ),
    (
        9,
        r#"{ "HealthCheck": { "AvailableDestinationsPolicy": "none" } }"#,
        "HealthCheck:AvailableDestinationsPolicy",
    ),
    (
        10,
        r#"{ "HealthCheck": { "Active": { "Enabled": true, "Policy": "none", "Interval": "0", "Timeout": "0" } } }"#,
        "HealthCheck:Active:Interval HealthCheck:Active:Policy HealthCheck:Active:Timeout",
    ),
    (
        11,
        r#"{ "HealthCheck": { "Passive": { "Enabled": true, "Policy": "none", "ReactivationPeriod": "0" } } }"#,
        "HealthCheck:Passive:Policy HealthCheck:Passive:ReactivationPeriod",
    ),
    (
        12,
        r#"{ "HttpClient": { "MaxConnectionsPerServer": 0 } }"#,
        "HttpClient:MaxConnectionsPerServer",
    ),
    (
        13,
        r#"{ "HttpClient": { "RequestHeaderEncoding": "base64", "ResponseHeaderEncoding": "base64" } }"#,
        "HttpClient:RequestHeaderEncoding HttpClient:ResponseHeaderEncoding",
    ),
    (
        14,
        r#"{ "HttpRequest": { "Version": "2.0.0" } }"#,
        "HttpRequest:Version",
    ),
];

/// Paths of all errors of a text, in order of the paths.
fn paths(text: &str) -> Vec<String> {
    let loaded = load_with(&tree(text), &NothingBad);
    let errors = loaded.diagnostics.errors();
    let mut paths: Vec<_> = errors
        .map(|error| {
            assert!(error.remedy.is_some(), "{error}");
            error.path.clone()
        })
        .collect();
    paths.sort();
    paths
}

fn check(kind: &str, rules: &[(u32, &str, &str)]) {
    for (number, broken, wanted) in rules {
        let (text, root) = match *broken {
            "an id" => {
                let whole = r#"{ "Match": { "Path": "/" } }"#;
                let item = if kind == "Routes" {
                    whole
                } else {
                    r#"{ "Metadata": { "a": 1 } }"#
                };
                (
                    format!(r#"{{ "ReverseProxy": {{ "{kind}": {{ "": {item} }} }} }}"#),
                    format!("ReverseProxy:{kind}:"),
                )
            }
            section if section.starts_with('"') => (format!("{{ {section} }}"), String::new()),
            item => (
                format!(r#"{{ "ReverseProxy": {{ "{kind}": {{ "x": {item} }} }} }}"#),
                format!("ReverseProxy:{kind}:x:"),
            ),
        };
        let wanted: Vec<_> = wanted
            .split(' ')
            .map(|path| format!("{root}{path}"))
            .collect();
        assert_eq!(paths(&text), wanted, "{kind}, rule {number}");
    }
    let mut numbers: Vec<_> = rules.iter().map(|(number, ..)| *number).collect();
    numbers.sort_unstable();
    let all: Vec<_> = (1..=u32::try_from(rules.len()).unwrap()).collect();
    assert_eq!(numbers, all);
}

#[test]
fn r1_to_r29_are_errors_at_their_places_with_a_remedy() {
    check("Routes", &ROUTES);
}

#[test]
fn c1_to_c14_are_errors_at_their_places_with_a_remedy() {
    check("Clusters", &CLUSTERS);
}

#[test]
fn layers_merge_leaf_by_leaf_and_arrays_by_index() {
    // reference A1.14
    let mut tree = tree(
        r#"{ "ReverseProxy": { "Routes": { "r": { "ClusterId": "c", "Order": 1,
        "Match": { "Path": "/a", "Hosts": [ "a.com", "b.com", "c.com" ] } } } } }"#,
    );
    let over = r#"{ "reverseproxy": { "routes": { "R": { "Order": "x", "Match": { "Hosts": [ "z.com" ] } } } } }"#;
    tree.add_json("over.json", over).unwrap();
    let loaded = load(&tree);
    let route = &loaded.settings.proxy.routes[0];
    assert_eq!(route.matches.hosts, ["z.com", "b.com", "c.com"]);
    assert_eq!(route.matches.path.as_deref(), Some("/a"));
    let error = loaded.diagnostics.errors().next().unwrap();
    assert_eq!(error.place.as_ref().unwrap().origin, "over.json");
}
