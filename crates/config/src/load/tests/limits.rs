//! `Kestrel:Limits` and what else bounds clients (reference part B, 20.2).

use std::time::Duration;

use super::*;
use crate::settings::{FrontLimits, Http2Limits};

fn limits(json: &str) -> FrontLimits {
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
