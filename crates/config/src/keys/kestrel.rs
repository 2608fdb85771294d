//! `Kestrel` and `HttpSys`: endpoints, certificates, limits.

use super::Value::{
    Anything, Boolean, Choice, Integer, Map, Members, Number, Object as Section, Text, TimeSpan,
};
use super::{Key, Object, Origin};

pub(crate) static KESTREL: Object = Object::new(
    Origin::AspNet,
    "Where and how clients are listened to.",
    &[
        Key::new(
            "Endpoints",
            Map(&ENDPOINT),
            "Endpoints by name. `Urls` has no effect beside them.",
        ),
        Key::new(
            "EndpointDefaults",
            Section(&ENDPOINT_DEFAULTS),
            "What holds where an endpoint does not say.",
        ),
        Key::new(
            "Certificates",
            Section(&CERTIFICATES),
            "Certificates that endpoints share.",
        ),
        Key::new("Limits", Section(&LIMITS), "What clients may do."),
        Key::new(
            "AddServerHeader",
            Boolean,
            "No `Server` field is added; `true` is warned of.",
        )
        .idle(),
        Key::new(
            "AllowHostHeaderOverride",
            Boolean,
            "Not implemented yet; `true` is warned of.",
        )
        .idle(),
        Key::new(
            "AllowAlternateSchemes",
            Boolean,
            "Not implemented yet; `true` is warned of.",
        )
        .idle(),
        Key::new(
            "AllowResponseHeaderCompression",
            Boolean,
            "Fields of HTTP/2 responses are compressed; `false` is warned of.",
        )
        .idle(),
        Key::new("AllowSynchronousIO", Boolean, "Without effect.").idle(),
        Key::new("DisableStringReuse", Boolean, "Without effect.").idle(),
    ],
);

pub(crate) static CERTIFICATES: Object = Object::new(
    Origin::AspNet,
    "Certificates that endpoints share.",
    &[
        Key::new(
            "Default",
            Section(&CERTIFICATE),
            "The certificate of https endpoints without one of their own.",
        ),
        Key::new("Development", Anything, "Without effect.").idle(),
    ],
);

const PROTOCOLS: Key = Key::new(
    "Protocols",
    Choice(&["Http1AndHttp2", "Http1", "Http2"]),
    "The versions of HTTP that are spoken; over `http` HTTP/2 by prior knowledge.",
)
.default(r#""Http1AndHttp2""#);
const SSL: Key = Key::new(
    "SslProtocols",
    Members(&["None", "Tls12", "Tls13"]),
    "Versions of TLS.",
)
.default(r#"["Tls12", "Tls13"]"#)
.example(r#"["Tls13"]"#);
const CLIENT_CERTIFICATES: Key = Key::new(
    "ClientCertificateMode",
    Choice(&["NoCertificate", "AllowCertificate", "RequireCertificate"]),
    "Whether clients show certificates; see `Ostler:Tls:ClientCertificateAuthorities`.",
)
.default(r#""NoCertificate""#)
.example(r#""AllowCertificate""#);

pub(crate) static ENDPOINT_DEFAULTS: Object = Object::new(
    Origin::AspNet,
    "What holds where an endpoint does not say.",
    &[PROTOCOLS, SSL, CLIENT_CERTIFICATES],
);

pub(crate) static ENDPOINT: Object = Object::new(
    Origin::AspNet,
    "An address that is listened on.",
    &[
        Key::new(
            "Url",
            Text,
            "Where to listen: `http://` or `https://`, an address, a name or `*` for all addresses, and a port; \
             or `http://unix:/path`, a socket in the file system. Required.",
        )
        .example(r#""https://*:8443""#),
        Key::new("Certificate", Section(&CERTIFICATE), "The certificate that clients are shown."),
        Key::new(
            "Sni",
            Map(&SNI_NAME),
            "What clients are told by the name they ask for: a host, `*.suffix`, or `*`. A client that asks for \
             another is refused.",
        ),
        PROTOCOLS,
        SSL,
        CLIENT_CERTIFICATES,
    ],
);

pub(crate) static SNI_NAME: Object = Object::new(
    Origin::AspNet,
    "What clients that ask for this name are told; the endpoint's where this does not say.",
    &[
        Key::new(
            "Certificate",
            Section(&CERTIFICATE),
            "The certificate that they are shown.",
        ),
        PROTOCOLS,
        SSL,
        CLIENT_CERTIFICATES,
    ],
);

pub(crate) static CERTIFICATE: Object = Object::new(
    Origin::AspNet,
    "A certificate with its chain and its key, in files that are read again when they change.",
    &[
        Key::new(
            "Path",
            Text,
            "A PEM file, the chain behind the certificate, or PKCS#12. Required.",
        )
        .example(r#""/etc/ostler/cert.pem""#),
        Key::new(
            "KeyPath",
            Text,
            "A PEM file with the key, where it is not in the same.",
        )
        .example(r#""/etc/ostler/key.pem""#),
        Key::new("Password", Text, "Of the key or of the PKCS#12 file.").example(r#""secret""#),
        Key::new(
            "Subject",
            Text,
            "Of a certificate store, which does not exist here: an error.",
        )
        .idle(),
        Key::new(
            "Store",
            Text,
            "A certificate store, which does not exist here: an error.",
        )
        .idle(),
        Key::new(
            "Location",
            Text,
            "Of a certificate store, which does not exist here: an error.",
        )
        .idle(),
        Key::new(
            "AllowInvalid",
            Boolean,
            "Of a certificate store; without effect.",
        )
        .idle(),
    ],
);

pub(crate) static LIMITS: Object = Object::new(
    Origin::AspNet,
    "What clients may do.",
    &[
        Key::new("MaxRequestLineSize", Integer, "The longest request line, in bytes; 1048576 at most.").default("8192"),
        Key::new(
            "MaxRequestHeadersTotalSize",
            Integer,
            "Most bytes of field lines in a request's head; 1048576 at most.",
        )
        .default("32768"),
        Key::new("MaxRequestHeaderCount", Integer, "Most fields of a request.").default("100"),
        Key::new("KeepAliveTimeout", TimeSpan, "How long a connection may be idle between requests.")
            .default(r#""00:02:00""#),
        Key::new("RequestHeadersTimeout", TimeSpan, "How long a head may take; also a TLS handshake.")
            .default(r#""00:00:30""#),
        Key::new(
            "MaxRequestBodySize",
            Integer,
            "The largest body of a request, in bytes; more is 413. `null` or -1 is any size; routes may say \
             otherwise.",
        )
        .default("30000000"),
        Key::new(
            "MinRequestBodyDataRate",
            Section(&DATA_RATE),
            "The least a client must send of a body that is waited for; less is 408. `null` is nothing.",
        ),
        Key::new(
            "MinResponseDataRate",
            Section(&DATA_RATE),
            "The least a client must take of a response; less ends the connection. `null` is nothing.",
        ),
        Key::new(
            "MaxConcurrentConnections",
            Integer,
            "Most connections, upgraded ones excepted; positive. `null` is any number.",
        )
        .default("any number")
        .example("10000"),
        Key::new(
            "MaxConcurrentUpgradedConnections",
            Integer,
            "Most upgraded connections, such as WebSockets. `null` is any number.",
        )
        .default("any number")
        .example("10000"),
        Key::new("Http2", Section(&HTTP2_LIMITS), "What a client may ask of an HTTP/2 connection."),
        Key::new("Http3", Anything, "Not implemented yet; warned of.").idle(),
        Key::new("MaxRequestBufferSize", Integer, "Without effect: bodies are not buffered.").idle(),
        Key::new("MaxResponseBufferSize", Integer, "Without effect: bodies are not buffered.").idle(),
    ],
);

pub(crate) static DATA_RATE: Object = Object::new(
    Origin::AspNet,
    "The least bytes a second, once a time of grace is over.",
    &[
        Key::new("BytesPerSecond", Number, "Above 0.").default("240"),
        Key::new(
            "GracePeriod",
            TimeSpan,
            "For how long it may be less; positive.",
        )
        .default(r#""00:00:05""#),
    ],
);

pub(crate) static HTTP2_LIMITS: Object = Object::new(
    Origin::AspNet,
    "What a client may ask of an HTTP/2 connection.",
    &[
        Key::new(
            "MaxStreamsPerConnection",
            Integer,
            "Most exchanges at once.",
        )
        .default("100"),
        Key::new(
            "HeaderTableSize",
            Integer,
            "The table that compresses request fields, in bytes; 0 is none.",
        )
        .default("4096"),
        Key::new(
            "MaxFrameSize",
            Integer,
            "The longest frame, in bytes, from 16384 to 16777215.",
        )
        .default("16384"),
        Key::new(
            "MaxRequestHeaderFieldSize",
            Integer,
            "The longest field of a request, in bytes.",
        )
        .default("32768"),
        Key::new(
            "InitialConnectionWindowSize",
            Integer,
            "Bytes of all bodies under way on a connection; from 65535.",
        )
        .default("1048576"),
        Key::new(
            "InitialStreamWindowSize",
            Integer,
            "Bytes of one body under way; from 65535.",
        )
        .default("786432"),
        Key::new(
            "KeepAlivePingDelay",
            TimeSpan,
            "How long a connection is silent before it is pinged; at least a second.",
        )
        .default("never")
        .example(r#""00:01:00""#),
        Key::new(
            "KeepAlivePingTimeout",
            TimeSpan,
            "How long the answer may take before the connection is closed.",
        )
        .default(r#""00:00:20""#),
    ],
);

pub(crate) static HTTP_SYS: Object = Object::new(
    Origin::Code("HttpSysOptions"),
    "Limits by http.sys' names; `Kestrel:Limits` comes first.",
    &[
        Key::new(
            "MaxConnections",
            Integer,
            "Most connections; -1 is any number.",
        )
        .default("-1")
        .example("10000"),
        Key::new(
            "MaxRequestBodySize",
            Integer,
            "As that of `Kestrel:Limits`.",
        )
        .default("30000000"),
        Key::new(
            "Timeouts",
            Section(&HTTP_SYS_TIMEOUTS),
            "Zero is the default.",
        ),
        Key::new(
            "RequestQueueLimit",
            Anything,
            "Of a queue: decided by the target.",
        )
        .idle(),
        Key::new(
            "Http503Verbosity",
            Anything,
            "Of a queue: decided by the target.",
        )
        .idle(),
        Key::new(
            "RequestQueueMode",
            Anything,
            "Of a queue: decided by the target.",
        )
        .idle(),
        Key::new(
            "RequestQueueName",
            Anything,
            "Of a queue: decided by the target.",
        )
        .idle(),
        Key::new(
            "RequestQueueSecurityDescriptor",
            Anything,
            "Of a queue: decided by the target.",
        )
        .idle(),
        Key::new(
            "UrlPrefixes",
            Anything,
            "Of a queue: decided by the target.",
        )
        .idle(),
        Key::new("Authentication", Anything, "Without effect.").idle(),
        Key::new("ClientCertificateMethod", Anything, "Without effect.").idle(),
        Key::new("EnableResponseCaching", Anything, "Without effect.").idle(),
        Key::new("EnableKernelResponseBuffering", Anything, "Without effect.").idle(),
        Key::new("MaxAccepts", Anything, "Without effect.").idle(),
        Key::new("AllowSynchronousIO", Anything, "Without effect.").idle(),
        Key::new("ThrowWriteExceptions", Anything, "Without effect.").idle(),
        Key::new("UnsafePreferInlineScheduling", Anything, "Without effect.").idle(),
        Key::new("UseLatin1RequestHeaders", Anything, "Without effect.").idle(),
    ],
);

pub(crate) static HTTP_SYS_TIMEOUTS: Object = Object::new(
    Origin::Code("TimeoutManager"),
    "Zero is the default; 18:12:15 at most.",
    &[
        Key::new("EntityBody", TimeSpan, "How long a body that is waited for may be silent.")
            .default("for ever, if it is fast enough otherwise")
            .example(r#""00:02:00""#),
        Key::new("IdleConnection", TimeSpan, "As `Kestrel:Limits:KeepAliveTimeout`.")
            .default(r#""00:02:00""#),
        Key::new("HeaderWait", TimeSpan, "As `Kestrel:Limits:RequestHeadersTimeout`.")
            .default(r#""00:00:30""#),
        Key::new(
            "MinSendBytesPerSecond",
            Integer,
            "As `Kestrel:Limits:MinResponseDataRate`, with a grace of 5 seconds; 4294967295 is none.",
        )
        .default("240"),
        Key::new("DrainEntityBody", TimeSpan, "Of a queue: decided by the target.").idle(),
        Key::new("RequestQueue", TimeSpan, "Of a queue: decided by the target.").idle(),
    ],
);
