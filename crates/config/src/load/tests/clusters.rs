//! Clusters: what is read, and the rules C1 to C14.

use std::time::Duration;

use super::*;
use crate::schema::{
    ActiveHealthCheckConfig, ActivityTimeout, ConnectionLifetime, CookieSameSite,
    CookieSecurePolicy, HeaderEncoding, HealthCheckConfig, HttpClientConfig, HttpRequestConfig,
    HttpVersion, HttpVersionPolicy, OstlerClusterConfig, PassiveHealthCheckConfig,
    SessionAffinityConfig, SessionAffinityCookieConfig, SslProtocols, WebProxyConfig,
};

/// A cluster `c` written as JSON.
fn cluster(json: &str) -> String {
    format!(r#"{{ "ReverseProxy": {{ "Clusters": {{ "c": {json} }} }} }}"#)
}

/// Checks that a cluster has one error, at `path` below it.
#[track_caller]
fn one(rule: &str, json: &str, path: &str, words: &str) {
    one_error(
        rule,
        &cluster(json),
        &format!("ReverseProxy:Clusters:c:{path}"),
        words,
    );
}

#[test]
fn everything_of_a_cluster_is_read() {
    let loaded = load_text(&cluster(
        r#"{ "LoadBalancingPolicy": "leastrequests", "Metadata": { "k": "v" },
            "SessionAffinity": { "Enabled": true, "Policy": "Cookie", "FailurePolicy": "return503error", "AffinityKeyName": "key",
                "Cookie": { "Path": "/p", "Domain": "d", "HttpOnly": false, "SecurePolicy": "Always", "SameSite": "-1",
                    "Expiration": "1", "MaxAge": "00:01", "IsEssential": true } },
            "HealthCheck": { "AvailableDestinationsPolicy": "HealthyAndUnknown",
                "Active": { "Enabled": true, "Interval": "00:00:05", "Timeout": "00:00:02", "Policy": "ConsecutiveFailures", "Path": "/h", "Query": "?q" },
                "Passive": { "Enabled": true, "Policy": "TransportFailureRate", "ReactivationPeriod": "00:01:00" } },
            "HttpClient": { "SSLProtocols": [ "Tls12", "tls13" ], "DangerousAcceptAnyServerCertificate": true, "MaxConnectionsPerServer": 7,
                "EnableMultipleHttp2Connections": false, "RequestHeaderEncoding": "UTF-8", "ResponseHeaderEncoding": "latin1",
                "WebProxy": { "Address": "http://p:1/", "BypassOnLocal": true, "UseDefaultCredentials": false } },
            "Ostler": { "TryOtherDestinations": false, "PooledConnectionLifetime": "00:01:00", "Leases": false },
            "HttpRequest": { "ActivityTimeout": "00:00:10", "Version": "1.1", "VersionPolicy": "RequestVersionExact", "AllowResponseBuffering": true },
            "Destinations": { "d": { "Address": "http://d/", "Health": "http://h/", "Host": "host", "Metadata": { "m": 1 } } } }"#,
    ));
    assert!(
        !loaded.diagnostics.has_errors(),
        "{:#?}",
        loaded.diagnostics
    );
    let cluster = &loaded.settings.proxy.clusters[0];
    assert_eq!(
        cluster.load_balancing_policy.as_deref(),
        Some("leastrequests")
    );
    assert_eq!(cluster.metadata["k"], "v");
    assert_eq!(cluster.max_connections_per_server, Some(7));
    assert_eq!(
        cluster.activity_timeout,
        Some(ActivityTimeout::After(Duration::from_secs(10)))
    );
    assert_eq!(
        cluster.session_affinity,
        Some(SessionAffinityConfig {
            policy: Some("Cookie".into()),
            failure_policy: Some("return503error".into()),
            affinity_key_name: "key".into(),
            cookie: Some(SessionAffinityCookieConfig {
                path: Some("/p".into()),
                domain: Some("d".into()),
                http_only: Some(false),
                secure_policy: Some(CookieSecurePolicy::Always),
                same_site: Some(CookieSameSite::Unspecified),
                expiration: Some(Duration::from_secs(86_400)),
                max_age: Some(Duration::from_secs(60)),
                is_essential: Some(true),
            }),
        })
    );
    assert_eq!(
        cluster.health_check,
        HealthCheckConfig {
            available_destinations_policy: Some("HealthyAndUnknown".into()),
            active: ActiveHealthCheckConfig {
                enabled: true,
                interval: Some(Duration::from_secs(5)),
                timeout: Some(Duration::from_secs(2)),
                policy: Some("ConsecutiveFailures".into()),
                path: Some("/h".into()),
                query: Some("?q".into()),
            },
            passive: PassiveHealthCheckConfig {
                enabled: true,
                policy: Some("TransportFailureRate".into()),
                reactivation_period: Some(Duration::from_secs(60)),
            },
        }
    );
    assert_eq!(
        cluster.http_client,
        HttpClientConfig {
            ssl_protocols: Some(SslProtocols(0x3c00)),
            dangerous_accept_any_server_certificate: Some(true),
            enable_multiple_http2_connections: Some(false),
            request_header_encoding: Some(HeaderEncoding::Utf8),
            response_header_encoding: Some(HeaderEncoding::Latin1),
            web_proxy: Some(WebProxyConfig {
                address: "http://p:1/".into(),
                bypass_on_local: Some(true),
                use_default_credentials: Some(false),
            }),
        }
    );
    assert!(SslProtocols(0x3c00).contains(SslProtocols::TLS13));
    assert!(!SslProtocols(0x3c00).contains(SslProtocols::TLS11));
    assert_eq!(
        cluster.http_request,
        HttpRequestConfig {
            version: Some(HttpVersion::Http11),
            version_policy: Some(HttpVersionPolicy::RequestVersionExact),
            allow_response_buffering: Some(true),
        }
    );
    assert_eq!(
        cluster.ostler,
        OstlerClusterConfig {
            try_other_destinations: Some(false),
            pooled_connection_lifetime: Some(ConnectionLifetime::After(Duration::from_secs(60))),
            leases: Some(false),
        }
    );
    let destination = &cluster.destinations[0];
    assert_eq!(destination.health.as_deref(), Some("http://h/"));
    assert_eq!(destination.host.as_deref(), Some("host"));
    assert_eq!(destination.metadata["m"], "1");
}

#[test]
fn a_lifetime_of_connections_is_positive_or_infinite() {
    let lifetime = |text: &str| {
        cluster(&format!(
            r#"{{ "Ostler": {{ "PooledConnectionLifetime": "{text}" }} }}"#
        ))
    };
    let loaded = load_text(&lifetime("-00:00:00.001"));
    let read = loaded.settings.proxy.clusters[0]
        .ostler
        .pooled_connection_lifetime;
    assert_eq!(read, Some(ConnectionLifetime::Infinite));
    for text in ["00:00:00", "-00:01:00"] {
        let json = format!(r#"{{ "Ostler": {{ "PooledConnectionLifetime": "{text}" }} }}"#);
        let at = "Ostler:PooledConnectionLifetime";
        one("own", &json, at, "neither positive nor -00:00:00.001");
    }
}

#[test]
fn c1_a_cluster_without_id() {
    let text = r#"{ "ReverseProxy": { "Clusters": { "": {} } } }"#;
    one_error("C1", text, "ReverseProxy:Clusters:", "no id");
}

#[test]
fn c2_a_destination_without_address() {
    for destination in [
        "{}",
        "null",
        r#"{ "Address": "" }"#,
        r#"{ "Address": null }"#,
    ] {
        let json = format!(r#"{{ "Destinations": {{ "d": {destination} }} }}"#);
        one(
            "C2",
            &json,
            "Destinations:d:Address",
            "no address for destination \"d\" on cluster \"c\"",
        );
    }
    assert!(errors(&cluster("{}")).is_empty());
}

#[test]
fn c3_an_unknown_load_balancing_policy() {
    one(
        "C3",
        r#"{ "LoadBalancingPolicy": "RoundRobbin" }"#,
        "LoadBalancingPolicy",
        "did you mean RoundRobin?",
    );
    let known = "known are FirstAlphabetical, Random, RoundRobin, LeastRequests, PowerOfTwoChoices";
    one(
        "C3",
        r#"{ "LoadBalancingPolicy": "Best" }"#,
        "LoadBalancingPolicy",
        known,
    );
}

#[test]
fn c4_to_c8_session_affinity() {
    let one = |rule, json: &str, path: &str, words| {
        let json = format!(r#"{{ "SessionAffinity": {{ "Enabled": true, {json} }} }}"#);
        one(rule, &json, &format!("SessionAffinity:{path}"), words);
    };
    let key = r#""AffinityKeyName": "k""#;
    one(
        "C4",
        &format!(r#"{key}, "Policy": "Sticky""#),
        "Policy",
        "known are HashCookie, ArrCookie, Cookie, CustomHeader",
    );
    one(
        "C5",
        &format!(r#"{key}, "FailurePolicy": "Redistributed""#),
        "FailurePolicy",
        "did you mean Redistribute?",
    );
    one(
        "C6",
        r#""Policy": "ArrCookie""#,
        "AffinityKeyName",
        "AffinityKeyName is missing",
    );
    one(
        "C7",
        &format!(r#"{key}, "Cookie": {{ "Expiration": "0:0" }}"#),
        "Cookie:Expiration",
        "not positive",
    );
    one(
        "C8",
        &format!(r#"{key}, "Cookie": {{ "MaxAge": "-1" }}"#),
        "Cookie:MaxAge",
        "not positive",
    );
    one(
        "1.8",
        &format!(r#"{key}, "Cookie": {{ "SameSite": "Loose" }}"#),
        "Cookie:SameSite",
        "not one of Unspecified, None",
    );
}

#[test]
fn session_affinity_that_is_not_enabled_may_say_anything() {
    for enabled in ["", r#""Enabled": false,"#, r#""Enabled": null,"#] {
        let json = format!(
            r#"{{ "SessionAffinity": {{ {enabled} "Policy": "x", "FailurePolicy": "x", "Cookie": {{ "MaxAge": "x" }} }} }}"#
        );
        let loaded = load_text(&cluster(&json));
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        assert_eq!(loaded.settings.proxy.clusters[0].session_affinity, None);
    }
    one(
        "1.2",
        r#"{ "SessionAffinity": { "Enabled": "yes" } }"#,
        "SessionAffinity:Enabled",
        "neither true nor false",
    );
}

#[test]
fn c9_an_unknown_available_destinations_policy_even_when_nothing_is_checked() {
    let json = r#"{ "HealthCheck": { "AvailableDestinationsPolicy": "Healthy" } }"#;
    one(
        "C9",
        json,
        "HealthCheck:AvailableDestinationsPolicy",
        "known are HealthyOrPanic, HealthyAndUnknown",
    );
}

#[test]
fn c10_and_c11_health_checks() {
    let one = |rule, kind: &str, json: &str, words| {
        let key = json.split('"').nth(1).unwrap();
        let text = format!(r#"{{ "HealthCheck": {{ "{kind}": {{ "Enabled": true, {json} }} }} }}"#);
        one(rule, &text, &format!("HealthCheck:{kind}:{key}"), words);
        // What is not enabled may say anything that is well formed.
        let text = text.replace("true", "false");
        assert!(errors(&cluster(&text)).is_empty(), "{rule} {json}");
    };
    one(
        "C10",
        "Active",
        r#""Policy": "x""#,
        "no active health check policy",
    );
    one(
        "C10",
        "Active",
        r#""Interval": "-00:00:01""#,
        "not positive",
    );
    one("C10", "Active", r#""Timeout": "00:00:00""#, "not positive");
    one(
        "C11",
        "Passive",
        r#""Policy": "TransportFailureRateHealthPolicy""#,
        "known are TransportFailureRate",
    );
    one(
        "C11",
        "Passive",
        r#""ReactivationPeriod": "00:00:00""#,
        "not positive",
    );
}

#[test]
fn a_leaf_must_be_well_formed_even_where_it_is_not_enabled() {
    let json = r#"{ "HealthCheck": { "Active": { "Enabled": false, "Interval": "soon" } } }"#;
    one(
        "1.2",
        json,
        "HealthCheck:Active:Interval",
        "not a time span",
    );
}

#[test]
fn c12_max_connections_per_server() {
    for number in ["0", "-1"] {
        let json = format!(r#"{{ "HttpClient": {{ "MaxConnectionsPerServer": {number} }} }}"#);
        one(
            "C12",
            &json,
            "HttpClient:MaxConnectionsPerServer",
            "not positive",
        );
    }
    let json = r#"{ "HttpClient": { "MaxConnectionsPerServer": 2147483648 } }"#;
    one(
        "1.2",
        json,
        "HttpClient:MaxConnectionsPerServer",
        "not a whole number",
    );
}

#[test]
fn c13_encodings() {
    for key in ["RequestHeaderEncoding", "ResponseHeaderEncoding"] {
        for name in ["base64", "utf-7", "windows-1252"] {
            let json = format!(r#"{{ "HttpClient": {{ "{key}": "{name}" }} }}"#);
            one("C13", &json, &format!("HttpClient:{key}"), "no encoding");
        }
        for name in ["UTF-16LE", "utf-32be", "unicode"] {
            let json = format!(r#"{{ "HttpClient": {{ "{key}": "{name}" }} }}"#);
            one("C13", &json, &format!("HttpClient:{key}"), "plain letters");
        }
        for name in ["utf-8", "us-ascii", "Latin1", "iso-8859-1", "cp819", ""] {
            let json = format!(r#"{{ "HttpClient": {{ "{key}": "{name}" }} }}"#);
            assert!(errors(&cluster(&json)).is_empty(), "{name}");
        }
    }
}

#[test]
fn c14_versions() {
    for version in ["\"2.0.0\"", "1.2", "\"3.1\"", "\"HTTP/2\"", "4"] {
        let json = format!(r#"{{ "HttpRequest": {{ "Version": {version} }} }}"#);
        one(
            "C14",
            &json,
            "HttpRequest:Version",
            "is not one of 1.0, 1.1, 2 and 3",
        );
    }
    for version in ["1.1", "2", "\"2.0\"", "3"] {
        let json = format!(r#"{{ "HttpRequest": {{ "Version": {version} }} }}"#);
        assert!(
            load_text(&cluster(&json)).diagnostics.is_empty(),
            "{version}"
        );
    }
    let loaded = load_text(&cluster(r#"{ "HttpRequest": { "Version": "1.0" } }"#));
    assert!(!loaded.diagnostics.has_errors() && !loaded.diagnostics.is_empty());
    let json = r#"{ "HttpRequest": { "VersionPolicy": "Exact" } }"#;
    one(
        "1.2",
        json,
        "HttpRequest:VersionPolicy",
        "not one of RequestVersionOrLower",
    );
}

#[test]
fn ssl_protocols_are_a_list_of_names_numbers_or_lists() {
    let read = |json: &str| {
        let text = cluster(&format!(
            r#"{{ "HttpClient": {{ "SslProtocols": {json} }} }}"#
        ));
        let loaded = load_text(&text);
        assert!(!loaded.diagnostics.has_errors(), "{json}");
        loaded.settings.proxy.clusters[0].http_client.ssl_protocols
    };
    assert_eq!(
        read("[ \"Tls11, Tls12\", 12288 ]"),
        Some(SslProtocols(0x3f00))
    );
    assert_eq!(read("[ \"None\" ]"), Some(SslProtocols::NONE));
    assert_eq!(read("[]"), None);
    assert_eq!(read("\"Tls12\""), None);
    one(
        "1.2",
        r#"{ "HttpClient": { "SslProtocols": [ "Tls12", "Tls14" ] } }"#,
        "HttpClient:SslProtocols:1",
        "not one of None",
    );
}

#[test]
fn a_web_proxy_counts_when_it_has_an_absolute_address() {
    let json = r#"{ "HttpClient": { "WebProxy": { "Address": "proxy:" } } }"#;
    one(
        "1.2",
        json,
        "HttpClient:WebProxy:Address",
        "not an absolute URI",
    );
    let loaded = load_text(&cluster(
        r#"{ "HttpClient": { "WebProxy": { "BypassOnLocal": true } } }"#,
    ));
    assert!(loaded.diagnostics.is_empty());
    assert_eq!(
        loaded.settings.proxy.clusters[0].http_client.web_proxy,
        None
    );
}

#[test]
fn a_web_proxy_that_cannot_be_used_is_told_where_it_stands() {
    for (address, problem) in [
        (
            "ftp://proxy",
            "there are http, https, socks4, socks4a, socks5",
        ),
        ("socks4://user@proxy", "use socks5"),
        ("http://proxy:0", "port"),
    ] {
        let json = format!(r#"{{ "HttpClient": {{ "WebProxy": {{ "Address": "{address}" }} }} }}"#);
        one("1.10", &json, "HttpClient:WebProxy:Address", problem);
    }
    let loaded = load_text(&cluster(
        r#"{ "HttpClient": { "WebProxy": { "Address": "http://p", "UseDefaultCredentials": true } } }"#,
    ));
    let warnings: Vec<_> = loaded.diagnostics.warnings().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].path.ends_with("WebProxy:UseDefaultCredentials"));
}

#[test]
fn an_activity_timeout_may_be_infinite_and_one_that_is_not_positive_is_a_warning() {
    let read = |text: &str| {
        let loaded = load_text(&cluster(&format!(
            r#"{{ "HttpRequest": {{ "ActivityTimeout": "{text}" }} }}"#
        )));
        assert!(!loaded.diagnostics.has_errors());
        (
            loaded.settings.proxy.clusters[0].activity_timeout,
            loaded.diagnostics.warnings().count(),
        )
    };
    assert_eq!(read("-00:00:00.001"), (Some(ActivityTimeout::Infinite), 0));
    assert_eq!(
        read("00:00:05"),
        (Some(ActivityTimeout::After(Duration::from_secs(5))), 0)
    );
    assert_eq!(
        read("00:00:00"),
        (Some(ActivityTimeout::After(Duration::ZERO)), 1)
    );
    assert_eq!(
        read("-00:00:01"),
        (Some(ActivityTimeout::After(Duration::ZERO)), 1)
    );
}

#[test]
fn a_queue_needs_the_pipeline_step_and_a_name_of_260_characters_at_most() {
    let load = |pipeline: &str, queue: &str| {
        load_text(&format!(
            r#"{{ "ReverseProxy": {{ {pipeline} "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "http://*:80/",
                "Metadata": {{ "httpsysdelegationqueue": "{queue}" }} }} }} }} }} }} }}"#
        ))
    };
    let path = "ReverseProxy:Clusters:c:Destinations:d:Metadata:httpsysdelegationqueue";
    let pipeline = r#""Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],"#;
    assert!(load(pipeline, "q").diagnostics.is_empty());
    assert_eq!(warning_paths(&load("", "q")), [path]);
    assert_eq!(
        warning_paths(&load(r#""Pipeline": [ "LoadBalancing" ],"#, "q")),
        [path]
    );
    // Any text asks for delegation, and no queue has this one for its name.
    assert_eq!(warning_paths(&load(pipeline, "")), [path]);
    assert!(load(pipeline, &"ä".repeat(260)).diagnostics.is_empty());
    let too_long = load(pipeline, &"q".repeat(261));
    let errors: Vec<_> = too_long
        .diagnostics
        .errors()
        .map(|error| error.path.as_str())
        .collect();
    assert_eq!(errors, [path]);
}
