//! `Kestrel:Limits` and what else bounds clients (reference B20.2).

use std::time::Duration;

use super::*;
use crate::settings::{DataRate, Http2Limits, LimitsConfig};

fn limits(json: &str) -> LimitsConfig {
    let loaded = load_text(&format!(r#"{{ "Kestrel": {{ "Limits": {json} }} }}"#));
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    loaded.settings.ostler.limits
}

#[test]
fn http_2_limits_have_kestrels_names_and_defaults() {
    assert_eq!(
        limits("{}").http2,
        Http2Limits {
            max_streams_per_connection: 100,
            header_table_size: 4096,
            max_frame_size: 16_384,
            max_request_header_field_size: 32_768,
            initial_connection_window_size: 1_048_576,
            initial_stream_window_size: 786_432,
            keep_alive_ping_delay: None,
            keep_alive_ping_timeout: Duration::from_secs(20),
        }
    );
    let all = limits(
        r#"{ "Http2": { "MaxStreamsPerConnection": 7, "HeaderTableSize": 0, "MaxFrameSize": 16777215,
            "MaxRequestHeaderFieldSize": 100, "InitialConnectionWindowSize": 70000,
            "InitialStreamWindowSize": 65535, "KeepAlivePingDelay": "00:00:01", "KeepAlivePingTimeout": "00:00:02" } }"#,
    );
    assert_eq!(
        all.http2,
        Http2Limits {
            max_streams_per_connection: 7,
            header_table_size: 0,
            max_frame_size: 16_777_215,
            max_request_header_field_size: 100,
            initial_connection_window_size: 70_000,
            initial_stream_window_size: 65_535,
            keep_alive_ping_delay: Some(Duration::from_secs(1)),
            keep_alive_ping_timeout: Duration::from_secs(2),
        }
    );
}

#[test]
fn a_ping_that_never_comes_is_off() {
    for never in ["-00:00:00.001", "10675199.02:48:05.4775807"] {
        let said = limits(&format!(
            r#"{{ "Http2": {{ "KeepAlivePingDelay": "{never}" }} }}"#
        ));
        assert_eq!(said.http2.keep_alive_ping_delay, None, "{never}");
    }
}

#[test]
fn wrong_http_2_limits_are_errors() {
    for (key, value, words) in [
        ("MaxStreamsPerConnection", "0", "not from 1 to 2147483647"),
        ("HeaderTableSize", "-1", "not from 0"),
        ("MaxFrameSize", "16383", "not from 16384 to 16777215"),
        ("MaxFrameSize", "16777216", "not from 16384 to 16777215"),
        ("MaxRequestHeaderFieldSize", "0", "not from 1"),
        ("InitialConnectionWindowSize", "65534", "not from 65535"),
        (
            "InitialConnectionWindowSize",
            "65535",
            "less than a stream's of 786432",
        ),
        ("InitialStreamWindowSize", "1", "not from 65535"),
        (
            "KeepAlivePingDelay",
            "\"00:00:00.5\"",
            "neither a second or more",
        ),
        (
            "KeepAlivePingTimeout",
            "\"00:00:00\"",
            "neither positive nor",
        ),
    ] {
        let text =
            format!(r#"{{ "Kestrel": {{ "Limits": {{ "Http2": {{ "{key}": {value} }} }} }} }}"#);
        one_error("20.2", &text, &format!("Kestrel:Limits:Http2:{key}"), words);
    }
}

fn rate(bytes_per_second: u64, milliseconds: u64) -> Option<DataRate> {
    Some(DataRate {
        bytes_per_second,
        grace_period: Duration::from_millis(milliseconds),
    })
}

#[test]
fn data_rates_have_kestrels_defaults_and_null_is_none() {
    for (json, expected) in [
        ("{}", rate(240, 5000)),
        (r#"{ "KEY": null }"#, None),
        (r#"{ "KEY": { "BytesPerSecond": 1000 } }"#, rate(1000, 5000)),
        (
            r#"{ "KEY": { "BytesPerSecond": 0.5, "GracePeriod": "00:00:00.2" } }"#,
            rate(1, 200),
        ),
        (
            r#"{ "KEY": { "GracePeriod": "00:00:10" } }"#,
            rate(240, 10_000),
        ),
    ] {
        let said = limits(&json.replace("KEY", "MinRequestBodyDataRate"));
        assert_eq!(said.min_request_body_data_rate, expected, "{json}");
        let said = limits(&json.replace("KEY", "MinResponseDataRate"));
        assert_eq!(said.min_response_data_rate, expected, "{json}");
    }
}

#[test]
fn numbers_of_connections_are_unlimited_unless_said() {
    let none = limits("{}");
    assert_eq!(none.max_concurrent_connections, None);
    assert_eq!(none.max_concurrent_upgraded_connections, None);
    assert_eq!(none.max_connections_per_address, None);
    let said =
        limits(r#"{ "MaxConcurrentConnections": 3, "MaxConcurrentUpgradedConnections": 0 }"#);
    assert_eq!(said.max_concurrent_connections, Some(3));
    assert_eq!(said.max_concurrent_upgraded_connections, Some(0));
    let null = r#"{ "MaxConcurrentConnections": null, "MaxConcurrentUpgradedConnections": null,
        "MaxRequestBodySize": null }"#;
    assert_eq!(limits(null).max_request_body_size, None);
    let own = r#"{ "MaxConnectionsPerAddress": 9, "QueueRetention": "00:00:00.5" }"#;
    let loaded = load_text(&format!(r#"{{ "Ostler": {{ "Limits": {own} }} }}"#));
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let said = loaded.settings.ostler.limits;
    assert_eq!(said.max_connections_per_address, Some(9));
    assert_eq!(said.queue_retention, Duration::from_millis(500));
    assert_eq!(none.queue_retention, Duration::from_secs(10));
}

#[test]
fn wrong_rates_and_numbers_are_errors() {
    for (key, value, words) in [
        ("MinRequestBodyDataRate:BytesPerSecond", "0", "above 0"),
        (
            "MinRequestBodyDataRate:BytesPerSecond",
            "\"NaN\"",
            "above 0",
        ),
        ("MinResponseDataRate:BytesPerSecond", "-1", "above 0"),
        (
            "MinResponseDataRate:GracePeriod",
            "\"00:00:00\"",
            "not positive",
        ),
        ("MaxConcurrentConnections", "0", "not positive"),
        ("MaxConcurrentUpgradedConnections", "-1", "negative"),
    ] {
        let text = format!(r#"{{ "Kestrel:Limits:{key}": {value} }}"#);
        one_error("20.2", &text, &format!("Kestrel:Limits:{key}"), words);
    }
    let text = r#"{ "Ostler": { "Limits": { "MaxConnectionsPerAddress": 0 } } }"#;
    one_error(
        "Ostler",
        text,
        "Ostler:Limits:MaxConnectionsPerAddress",
        "not positive",
    );
    let text = r#"{ "Ostler:Limits:QueueRetention": "-00:00:01" }"#;
    one_error("Ostler", text, "Ostler:Limits:QueueRetention", "negative");
}

#[test]
fn http_sys_names_say_the_same() {
    let text = r#"{ "HttpSys": { "MaxConnections": 5, "MaxRequestBodySize": 7, "Timeouts": {
        "EntityBody": "00:00:03", "IdleConnection": "00:00:04", "HeaderWait": "00:00:05",
        "MinSendBytesPerSecond": 150 } } }"#;
    let loaded = load_text(text);
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let said = loaded.settings.ostler.limits;
    assert_eq!(
        said,
        LimitsConfig {
            max_concurrent_connections: Some(5),
            max_request_body_size: Some(7),
            entity_body_timeout: Some(Duration::from_secs(3)),
            keep_alive_timeout: Duration::from_secs(4),
            head_timeout: Duration::from_secs(5),
            min_response_data_rate: rate(150, 5000),
            ..LimitsConfig::default()
        }
    );
}

/// Reference H1.12: zero falls back to the default; 3: -1 connections are infinite.
#[test]
fn http_sys_zeros_are_defaults_and_its_infinities_are_none() {
    let text = r#"{ "HttpSys": { "MaxConnections": -1, "MaxRequestBodySize": null, "Timeouts": {
        "EntityBody": "0", "IdleConnection": "0", "HeaderWait": "00:00:00",
        "DrainEntityBody": "0", "RequestQueue": "0", "MinSendBytesPerSecond": 4294967295 } } }"#;
    let loaded = load_text(text);
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let said = loaded.settings.ostler.limits;
    let expected = LimitsConfig {
        max_request_body_size: None,
        min_response_data_rate: None,
        ..LimitsConfig::default()
    };
    assert_eq!(said, expected);
    let text = r#"{ "HttpSys": { "Timeouts": { "MinSendBytesPerSecond": 0 } } }"#;
    let said = load_text(text).settings.ostler.limits;
    assert_eq!(said, LimitsConfig::default());
}

#[test]
fn kestrel_comes_before_http_sys_and_a_contradiction_is_a_warning() {
    let both = |kestrel: &str, http_sys: &str| {
        load_text(&format!(
            r#"{{ "Kestrel": {{ "Limits": {kestrel} }}, "HttpSys": {http_sys} }}"#
        ))
    };
    let loaded = both(
        r#"{ "KeepAliveTimeout": "00:00:10", "MinResponseDataRate": null, "MaxConcurrentConnections": 1 }"#,
        r#"{ "MaxConnections": 2, "Timeouts": { "IdleConnection": "00:00:11", "MinSendBytesPerSecond": 100 } }"#,
    );
    assert_eq!(
        warning_paths(&loaded),
        [
            "HttpSys:MaxConnections",
            "HttpSys:Timeouts:IdleConnection",
            "HttpSys:Timeouts:MinSendBytesPerSecond"
        ]
    );
    assert!(!loaded.diagnostics.has_errors());
    let said = loaded.settings.ostler.limits;
    assert_eq!(said.keep_alive_timeout, Duration::from_secs(10));
    assert_eq!(said.min_response_data_rate, None);
    assert_eq!(said.max_concurrent_connections, Some(1));
    let agreed = both(
        r#"{ "KeepAliveTimeout": "00:00:10" }"#,
        r#"{ "Timeouts": { "IdleConnection": "00:00:10" } }"#,
    );
    assert!(agreed.diagnostics.is_empty(), "{:#?}", agreed.diagnostics);
}

#[test]
fn wrong_http_sys_options_are_errors() {
    for (key, value, words) in [
        ("MaxConnections", "-2", "-1, any number"),
        ("MaxConnections", "0", "-1, any number"),
        ("MaxRequestBodySize", "-2", "negative"),
        ("Timeouts:EntityBody", "\"18:12:16\"", "from 0 to 18:12:15"),
        ("Timeouts:HeaderWait", "\"-1\"", "from 0 to 18:12:15"),
        (
            "Timeouts:MinSendBytesPerSecond",
            "4294967296",
            "from 0 to 4294967295",
        ),
    ] {
        let text = format!(r#"{{ "HttpSys:{key}": {value} }}"#);
        one_error("3", &text, &format!("HttpSys:{key}"), words);
    }
}

#[test]
fn what_does_not_apply_is_a_warning() {
    for (json, path) in [
        (
            r#"{ "HttpSys": { "RequestQueueLimit": 9 } }"#,
            "HttpSys:RequestQueueLimit",
        ),
        (
            r#"{ "HttpSys": { "Http503Verbosity": "Full" } }"#,
            "HttpSys:Http503Verbosity",
        ),
        (
            r#"{ "HttpSys": { "Timeouts": { "RequestQueue": "00:01:00" } } }"#,
            "HttpSys:Timeouts:RequestQueue",
        ),
        (
            r#"{ "HttpSys": { "Timeouts": { "DrainEntityBody": "00:01:00" } } }"#,
            "HttpSys:Timeouts:DrainEntityBody",
        ),
        (
            r#"{ "Kestrel": { "Limits": { "MaxRequestBufferSize": 1 } } }"#,
            "Kestrel:Limits:MaxRequestBufferSize",
        ),
        (
            r#"{ "Kestrel": { "Limits": { "MaxResponseBufferSize": 1 } } }"#,
            "Kestrel:Limits:MaxResponseBufferSize",
        ),
        (
            r#"{ "Kestrel": { "AddServerHeader": true } }"#,
            "Kestrel:AddServerHeader",
        ),
        (
            r#"{ "Kestrel": { "AllowHostHeaderOverride": true } }"#,
            "Kestrel:AllowHostHeaderOverride",
        ),
        (
            r#"{ "Kestrel": { "AllowSynchronousIO": true } }"#,
            "Kestrel:AllowSynchronousIO",
        ),
        (
            r#"{ "Kestrel": { "Limits": { "MinRequestBodyDataRate": 240 } } }"#,
            "Kestrel:Limits:MinRequestBodyDataRate",
        ),
    ] {
        let loaded = load_text(json);
        assert_eq!(warning_paths(&loaded), [path], "{json}");
        assert!(!loaded.diagnostics.has_errors(), "{json}");
    }
    let same = r#"{ "Kestrel": { "AddServerHeader": false, "AllowHostHeaderOverride": false,
        "AllowResponseHeaderCompression": true } }"#;
    assert!(load_text(same).diagnostics.is_empty());
    let wrong = r#"{ "Kestrel": { "AddServerHeader": "no" } }"#;
    one_error(
        "20.2",
        wrong,
        "Kestrel:AddServerHeader",
        "neither true nor false",
    );
}
