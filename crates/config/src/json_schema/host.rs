//! The application around the proxy: `Urls`, `Kestrel`, `Ostler`.

use serde_json::{Value, json};

use super::shape::{boolean, choice, integer, list, object, open, text_like, texts, time_span};

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
    let mut sections = super::endpoints::of_kestrel();
    sections.push(("Limits", limits));
    open("ASP.NET's server.", sections)
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
    let tls = object(
        "TLS from clients.",
        vec![(
            "ClientCertificateAuthorities",
            text_like(
                "A PEM file of those who vouch for clients; absent: whom the system trusts.",
                "/etc/ostler/clients.pem",
            ),
        )],
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
            ("Tls", tls),
            (
                "KernelTls",
                choice(
                    "Whether exchanges over TLS are delegated where the kernel can encrypt; auto by default.",
                    &["auto", "off"],
                ),
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
