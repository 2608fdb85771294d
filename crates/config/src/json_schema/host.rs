//! The application around the proxy: `Urls`, `Kestrel`, `Ostler`.

use serde_json::{Value, json};

use super::shape::{
    boolean, choice, integer, list, number, object, open, text_like, texts, time_span,
};

pub(super) fn urls() -> Value {
    text_like("Where to listen, separated by ;.", "http://localhost:5000")
}

pub(super) fn ports(scheme: &str) -> Value {
    text_like(
        &format!("Ports of {scheme} on all addresses, separated by ;. Urls comes first."),
        "8080",
    )
}

pub(super) fn shutdown_timeout() -> Value {
    integer("How long exchanges under way may take when the front is stopped; 30 by default.")
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
            (
                "MaxRequestBufferSize",
                integer("Without effect: bodies are not buffered."),
            ),
            (
                "MaxResponseBufferSize",
                integer("Without effect: bodies are not buffered."),
            ),
            (
                "MinRequestBodyDataRate",
                data_rate("The least a client must send of a body."),
            ),
            (
                "MinResponseDataRate",
                data_rate("The least a client must take of a response."),
            ),
            (
                "MaxConcurrentConnections",
                integer("Upgraded ones excepted; any number by default."),
            ),
            (
                "MaxConcurrentUpgradedConnections",
                integer("Any number by default."),
            ),
            ("Http2", http2()),
            ("Http3", anything()),
        ],
    );
    let mut sections = super::endpoints::of_kestrel();
    sections.extend([
        ("Limits", limits),
        (
            "AddServerHeader",
            boolean("Without effect: no Server field is added."),
        ),
        ("AllowHostHeaderOverride", boolean("Not implemented yet.")),
        ("AllowAlternateSchemes", boolean("Not implemented yet.")),
        ("AllowResponseHeaderCompression", boolean("Without effect.")),
        ("AllowSynchronousIO", boolean("Without effect.")),
        ("DisableStringReuse", boolean("Without effect.")),
    ]);
    open("ASP.NET's server.", sections)
}

fn data_rate(description: &str) -> Value {
    object(
        description,
        vec![
            ("BytesPerSecond", number("240 by default.")),
            ("GracePeriod", time_span("5 seconds by default.")),
        ],
    )
}

pub(super) fn allowed_hosts() -> Value {
    text_like(
        "Hosts that requests may name, separated by ;. Any by default.",
        "example.com;*.example.com",
    )
}

pub(super) fn http_sys() -> Value {
    let timeouts = object(
        "Zero is the default.",
        vec![
            (
                "EntityBody",
                time_span("How long a request's body may be silent."),
            ),
            ("DrainEntityBody", time_span("Without effect on a front.")),
            ("RequestQueue", time_span("Without effect on a front.")),
            (
                "IdleConnection",
                time_span("As Kestrel:Limits:KeepAliveTimeout."),
            ),
            (
                "HeaderWait",
                time_span("As Kestrel:Limits:RequestHeadersTimeout."),
            ),
            (
                "MinSendBytesPerSecond",
                integer("As Kestrel:Limits:MinResponseDataRate; 4294967295 is none."),
            ),
        ],
    );
    let elsewhere = |key| (key, json!({ "description": "Without effect on a front." }));
    object(
        "Limits by http.sys' names; Kestrel:Limits comes first.",
        vec![
            ("MaxConnections", integer("Any number by default, or -1.")),
            (
                "MaxRequestBodySize",
                integer("In bytes; 30000000 by default, -1 is no limit."),
            ),
            ("Timeouts", timeouts),
            elsewhere("RequestQueueLimit"),
            elsewhere("Http503Verbosity"),
            elsewhere("RequestQueueMode"),
            elsewhere("RequestQueueName"),
            elsewhere("RequestQueueSecurityDescriptor"),
            elsewhere("UrlPrefixes"),
            elsewhere("Authentication"),
            elsewhere("ClientCertificateMethod"),
            elsewhere("EnableResponseCaching"),
            elsewhere("EnableKernelResponseBuffering"),
            elsewhere("MaxAccepts"),
            elsewhere("AllowSynchronousIO"),
            elsewhere("ThrowWriteExceptions"),
            elsewhere("UnsafePreferInlineScheduling"),
            elsewhere("UseLatin1RequestHeaders"),
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
            (
                "QueueGroup",
                text_like(
                    "A group whose members may open queues: the folder of queues is given to it.",
                    "www-data",
                ),
            ),
            (
                "Limits",
                object(
                    "What ASP.NET has no limit for.",
                    vec![(
                        "MaxConnectionsPerAddress",
                        integer("Of one IPv4 address or IPv6 /64; any number by default."),
                    )],
                ),
            ),
            ("Tls", tls),
            ("ProxyProtocol", super::endpoints::proxy_protocol()),
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
