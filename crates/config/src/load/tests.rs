//! Whole configurations: what is read, what is refused, and where it says so.

use proptest::prelude::*;

use super::*;

fn load_text(text: &str) -> Loaded {
    let mut tree = ConfigurationTree::new();
    tree.add_json("ostler.json", text).unwrap();
    load(&tree)
}

/// The errors of a route and a cluster written as JSON.
fn errors(route: &str, cluster: &str) -> Vec<String> {
    let text = format!(
        r#"{{ "ReverseProxy": {{ "Routes": {{ "r": {route} }}, "Clusters": {{ "c": {cluster} }} }} }}"#
    );
    load_text(&text)
        .diagnostics
        .errors()
        .map(ToString::to_string)
        .collect()
}

const ROUTE: &str = r#"{ "Match": { "Path": "/" } }"#;

#[test]
fn the_seed_configuration_loads_with_one_warning() {
    let loaded = load_text(
        r#"{ "ReverseProxy": {
      "Routes": { "route1" : { "ClusterId": "cluster1", "Match": { "Path": "{**catch-all}" }, } }, // comment
      "Clusters": { "cluster1": { "Destinations": { "cluster1/destination1": { "Address": "http://*:80/",
        "Metadata": { "HttpSysDelegationQueue": "TargetHttpSysQueueName" } } } } } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    let warnings: Vec<_> = loaded.diagnostics.warnings().collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].path,
        "ReverseProxy:Clusters:cluster1:Destinations:cluster1/destination1:Metadata:HttpSysDelegationQueue"
    );
    assert_eq!(warnings[0].place.as_ref().unwrap().line, 4);
    let proxy = &loaded.settings.proxy;
    assert_eq!(
        proxy.routes[0].matches.path.as_deref(),
        Some("{**catch-all}")
    );
    assert_eq!(
        proxy.clusters[0].destinations[0].metadata["HttpSysDelegationQueue"],
        "TargetHttpSysQueueName"
    );
    assert_eq!(loaded.settings.urls, ["http://localhost:5000"]);
}

#[test]
fn rules_of_routes() {
    let one = |rule: &str, route: &str, wanted: &str| {
        let errors = errors(route, "{}");
        assert_eq!(errors.len(), 1, "{rule}: {errors:?}");
        assert!(errors[0].contains(wanted), "{rule}: {errors:?}");
    };
    one("R3", r#"{ "ClusterId": "c" }"#, "neither hosts nor a path");
    one(
        "R3",
        r#"{ "Match": { "Hosts": [] } }"#,
        "neither hosts nor a path",
    );
    one(
        "R6",
        r#"{ "Match": { "Path": "/", "Hosts": [ "" ] } }"#,
        "host is empty",
    );
    one(
        "R7",
        r#"{ "Match": { "Hosts": [ "XN--abc" ] } }"#,
        "Punycode",
    );
    one(
        "R9",
        r#"{ "Match": { "Path": "/", "Methods": [ "GET", "get" ] } }"#,
        "twice",
    );
    one(
        "R10",
        r#"{ "Match": { "Path": "/", "Methods": [ "BREW" ] } }"#,
        "not supported",
    );
    one(
        "R12",
        r#"{ "Match": { "Path": "/", "Headers": [ { "Values": [ "v" ] } ] } }"#,
        "no Name",
    );
    one(
        "R13",
        r#"{ "Match": { "Path": "/", "Headers": [ { "Name": "n" } ] } }"#,
        "no Values",
    );
    one(
        "R14",
        r#"{ "Match": { "Path": "/", "Headers": [ { "Name": "n", "Mode": "Exists", "Values": [ "v" ] } ] } }"#,
        "takes no Values",
    );
    one(
        "R15",
        r#"{ "Match": { "Path": "/", "QueryParameters": [ { "Values": [ "v" ] } ] } }"#,
        "no Name",
    );
    one(
        "R17",
        r#"{ "Match": { "Path": "/", "QueryParameters": [ { "Name": "n" } ] } }"#,
        "no Values",
    );
    one(
        "R18",
        r#"{ "Match": { "Path": "/", "QueryParameters": [ { "Name": "n", "Mode": "4", "Values": [ "v" ] } ] } }"#,
        "takes no Values",
    );
    one(
        "R19",
        r#"{ "AuthorizationPolicy": "mine", "Match": { "Path": "/" } }"#,
        "no policy \"mine\"",
    );
    one(
        "R26",
        r#"{ "TimeoutPolicy": "Default", "Match": { "Path": "/" } }"#,
        "no policy",
    );
    one(
        "R28",
        r#"{ "TimeoutPolicy": "disAble", "Timeout": "00:00:01", "Match": { "Path": "/" } }"#,
        "both",
    );
    one(
        "R29",
        r#"{ "Timeout": "00:00:00", "Match": { "Path": "/" } }"#,
        "not positive",
    );
    one(
        "3.8",
        r#"{ "Match": { "Path": "/", "Headers": [ { "Name": "n", "Values": [ "" ] } ] } }"#,
        "empty",
    );
}

#[test]
fn rules_of_clusters() {
    let one = |rule: &str, cluster: &str, wanted: &str| {
        let errors = errors(ROUTE, cluster);
        assert_eq!(errors.len(), 1, "{rule}: {errors:?}");
        assert!(errors[0].contains(wanted), "{rule}: {errors:?}");
    };
    one(
        "C2",
        r#"{ "Destinations": { "d": { "Address": "" } } }"#,
        "no address for destination d on cluster c",
    );
    one(
        "C3",
        r#"{ "LoadBalancingPolicy": "RoundRobbin" }"#,
        "did you mean RoundRobin?",
    );
    one(
        "C4",
        r#"{ "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k", "Policy": "x" } }"#,
        "session affinity policy",
    );
    one(
        "C5",
        r#"{ "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k", "FailurePolicy": "x" } }"#,
        "failure policy",
    );
    one(
        "C6",
        r#"{ "SessionAffinity": { "Enabled": true } }"#,
        "AffinityKeyName",
    );
    one(
        "C7",
        r#"{ "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k", "Cookie": { "Expiration": "0:0" } } }"#,
        "not positive",
    );
    one(
        "C9",
        r#"{ "HealthCheck": { "AvailableDestinationsPolicy": "x" } }"#,
        "available destinations policy",
    );
    one(
        "C10",
        r#"{ "HealthCheck": { "Active": { "Enabled": true, "Interval": "-00:00:01" } } }"#,
        "not positive",
    );
    one(
        "C11",
        r#"{ "HealthCheck": { "Passive": { "Enabled": "true", "Policy": "x" } } }"#,
        "passive health",
    );
    one(
        "C12",
        r#"{ "HttpClient": { "MaxConnectionsPerServer": 0 } }"#,
        "not positive",
    );
    one(
        "C13",
        r#"{ "HttpClient": { "RequestHeaderEncoding": "base64" } }"#,
        "encoding",
    );
    one("C14", r#"{ "HttpRequest": { "Version": "1.2" } }"#, "1.2");
    assert!(errors(ROUTE, r#"{ "SessionAffinity": { "Policy": "x" } }"#).is_empty());
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let loaded = load_text(
        "{ \"ReverseProxy\": { \"Routes\": { \"r\": {\n \"Order\": \"first\",\n \"Match\": { \"Methods\": [ \"BREW\" ] } } },\n\
         \"Clusters\": { \"c\": {\n \"LoadBalancingPolicy\": \"x\", \"Destinations\": { \"d\": {} } } } } }",
    );
    let found: Vec<_> = loaded
        .diagnostics
        .errors()
        .map(|error| (error.path.as_str(), error.place.as_ref().unwrap().line))
        .collect();
    assert_eq!(
        found,
        [
            ("ReverseProxy:Routes:r:Order", 2),
            ("ReverseProxy:Routes:r:Match:Methods:0", 3),
            ("ReverseProxy:Routes:r:Match", 3),
            ("ReverseProxy:Clusters:c:Destinations:d", 5),
            ("ReverseProxy:Clusters:c:LoadBalancingPolicy", 5),
        ]
    );
}

#[test]
fn the_pipeline_is_a_list_of_known_steps() {
    let load = |pipeline: &str| {
        load_text(&format!(
            r#"{{ "ReverseProxy": {{ "Pipeline": {pipeline} }} }}"#
        ))
    };
    assert_eq!(
        load(r#"[ "loadbalancing" ]"#).settings.proxy.pipeline,
        Some(vec!["loadbalancing".to_owned()])
    );
    let twice = load(r#"[ "LoadBalancing", "LOADBALANCING", "Delegation" ]"#);
    assert_eq!(twice.diagnostics.errors().count(), 2);
    assert_eq!(load_text("{}").settings.proxy.pipeline, None);
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let loaded = load_text(
        r#"{ "ReverseProxy": {
        "Routes": { "r": { "Clusterid": "c", "Mach": 1, "Match": { "Path": "/", "Methods": "GET" },
            "Transforms": [ { "PathSet": "/x" } ], "CorsPolicy": "Disable" } },
        "Clusters": { "c": { "SessionAffinity": { "Enabled": true, "AffinityKeyName": "k" },
            "HealthCheck": { "Active": { "Enabled": false }, "Passive": { "Enabled": true } },
            "Destinations": { "d": { "Address": "https://localhost/" } } } } },
        "Logging": { "LogLevel": { "Default": "Information" } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    let mut paths: Vec<_> = loaded
        .diagnostics
        .warnings()
        .map(|warning| warning.path.as_str())
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "ReverseProxy:Clusters:c:Destinations:d:Address",
            "ReverseProxy:Clusters:c:HealthCheck:Passive:Enabled",
            "ReverseProxy:Clusters:c:SessionAffinity:Enabled",
            "ReverseProxy:Routes:r:CorsPolicy",
            "ReverseProxy:Routes:r:Mach",
            "ReverseProxy:Routes:r:Match:Methods",
            "ReverseProxy:Routes:r:Transforms",
        ]
    );
    let text: Vec<_> = loaded
        .diagnostics
        .warnings()
        .map(ToString::to_string)
        .collect();
    assert!(text.iter().any(|text| text.contains("did you mean Match?")));
    assert_eq!(
        loaded.settings.proxy.routes[0].cluster_id.as_deref(),
        Some("c")
    );
}

#[test]
fn limits_and_urls_are_read() {
    let loaded = load_text(
        r#"{ "Urls": "http://localhost:1;http://*:2 ;", "Ostler": { "Threads": 3, "TrustedUsers": [ "app" ] },
             "Kestrel": { "Limits": { "MaxRequestHeadersTotalSize": 70000, "KeepAliveTimeout": "00:01:00" } } }"#,
    );
    assert_eq!(loaded.settings.urls, ["http://localhost:1", "http://*:2"]);
    assert_eq!(loaded.settings.ostler.threads, 3);
    assert_eq!(loaded.settings.ostler.trusted_users, ["app"]);
    assert_eq!(
        loaded.settings.ostler.limits.keep_alive_timeout.as_secs(),
        60
    );
    let errors: Vec<_> = loaded
        .diagnostics
        .errors()
        .map(|error| error.path.as_str())
        .collect();
    assert_eq!(errors, ["Kestrel:Limits:MaxRequestHeadersTotalSize"]);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let mut tree = ConfigurationTree::new();
        if tree.add_json("x", &text).is_ok() {
            let _ = load(&tree);
        }
    }

    #[test]
    fn near_misses_never_panic(text in r#"[{}\[\]":,/* a1\n-]{0,80}"#) {
        let _ = ConfigurationTree::new().add_json("x", &text);
    }
}
