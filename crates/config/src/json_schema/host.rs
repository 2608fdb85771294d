//! The application around the proxy: `Urls`, `Kestrel`, `Ostler`.

use serde_json::{Value, json};

use super::shape::{boolean, integer, list, map, object, open, text_like, texts, time_span};

pub(super) fn urls() -> Value {
    text_like("Where to listen, separated by ;.", "http://localhost:5000")
}

pub(super) fn kestrel() -> Value {
    let anything = || json!({ "description": "Not implemented yet." });
    let limits = object(
        "What clients may do.",
        vec![
            ("MaxRequestLineSize", integer("In bytes; 8192 by default.")),
            (
                "MaxRequestHeadersTotalSize",
                integer("In bytes; 32768 by default, 65535 at most."),
            ),
            ("MaxRequestHeaderCount", integer("100 by default.")),
            ("KeepAliveTimeout", time_span("2 minutes by default.")),
            ("RequestHeadersTimeout", time_span("30 seconds by default.")),
            (
                "MaxRequestBodySize",
                integer("In bytes; 30000000 by default, -1 is no limit."),
            ),
            ("MaxRequestBufferSize", anything()),
            ("MaxResponseBufferSize", anything()),
            ("MinRequestBodyDataRate", anything()),
            ("MinResponseDataRate", anything()),
            ("MaxConcurrentConnections", anything()),
            ("MaxConcurrentUpgradedConnections", anything()),
            ("Http2", http2()),
            ("Http3", anything()),
        ],
    );
    let url = text_like("Where to listen.", "http://*:8080");
    let endpoint = open("An endpoint; only Url is read.", vec![("Url", url)]);
    open(
        "ASP.NET's server.",
        vec![
            ("Limits", limits),
            ("Endpoints", map("Endpoints by name.", endpoint)),
        ],
    )
}

fn http2() -> Value {
    object(
        "What a client may ask of an HTTP/2 connection.",
        vec![
            ("MaxStreamsPerConnection", integer("100 by default.")),
            ("HeaderTableSize", integer("In bytes; 4096 by default.")),
            (
                "MaxFrameSize",
                integer("In bytes; 16384 by default, 16777215 at most."),
            ),
            (
                "MaxRequestHeaderFieldSize",
                integer("In bytes; 32768 by default."),
            ),
            (
                "InitialConnectionWindowSize",
                integer("In bytes; 1048576 by default, 65535 at least."),
            ),
            (
                "InitialStreamWindowSize",
                integer("In bytes; 786432 by default, 65535 at least."),
            ),
            ("KeepAlivePingDelay", time_span("Off by default.")),
            ("KeepAlivePingTimeout", time_span("20 seconds by default.")),
        ],
    )
}

pub(super) fn ostler() -> Value {
    let active = object(
        "Of active health checks.",
        vec![
            ("DefaultInterval", time_span("15 seconds by default.")),
            ("DefaultTimeout", time_span("10 seconds by default.")),
        ],
    );
    let passive = object(
        "Of passive health checks.",
        vec![
            ("DetectionWindow", time_span("60 seconds by default.")),
            ("MinimalTotalCount", integer("10 by default.")),
        ],
    );
    let checks = object(
        "Defaults of health checks.",
        vec![("Active", active), ("Passive", passive)],
    );
    let key = object(
        "A key of 32 bytes.",
        vec![
            ("Key", text_like("In base64.", "")),
            (
                "KeyFile",
                text_like("A file that holds it in base64.", "/etc/ostler/key"),
            ),
        ],
    );
    let data_protection = object(
        "What the affinity policies Cookie and CustomHeader encrypt with.",
        vec![("Keys", list("The first encrypts, all decrypt.", key))],
    );
    object(
        "What YARP has no setting for.",
        vec![
            (
                "Threads",
                integer("At most 1024; 0, the default, is one a CPU."),
            ),
            (
                "RuntimeFolder",
                text_like("Where request queues live.", "/run/ostler"),
            ),
            (
                "TrustedUsers",
                texts("Users whose targets are handed client sockets."),
            ),
            ("DataProtection", data_protection),
            ("HealthChecks", checks),
        ],
    )
}

pub(super) fn static_files() -> Value {
    open(
        "Not implemented yet.",
        vec![("Enabled", boolean("False by default."))],
    )
}
