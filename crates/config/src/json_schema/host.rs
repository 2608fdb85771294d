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
            ("Http2", anything()),
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
    object(
        "Files that are served before requests are routed.",
        vec![
            ("Enabled", boolean("False by default.")),
            (
                "ServeUnknownFileTypes",
                boolean("Whether files are served whose extension says no type; false by default."),
            ),
        ],
    )
}

pub(super) fn navigation_fallback() -> Value {
    object(
        "The file for paths that no route matches and that are not named like a file.",
        vec![("Path", text_like("Below the web root.", "/index.html"))],
    )
}

pub(super) fn content_root() -> Value {
    text_like("The configuration file's folder by default.", "/srv/app")
}

pub(super) fn web_root() -> Value {
    text_like("Where static files are, below the content root.", "wwwroot")
}
