//! `Kestrel:Endpoints`, `Kestrel:EndpointDefaults` and `Kestrel:Certificates`.

use serde_json::Value;

use super::shape::{boolean, list, map, member, object, text, text_like, texts};

/// A key with its shape.
type Properties = Vec<(&'static str, Value)>;

/// What stands in `Kestrel` beside its limits.
pub(super) fn of_kestrel() -> Properties {
    let mut endpoint = shared();
    endpoint.push(("Url", text_like("Where to listen.", "https://*:8443")));
    endpoint.push(("Certificate", certificate()));
    endpoint.push((
        "Sni",
        map(
            "By the name a client asks for: a host, *.suffix, or *.",
            name(),
        ),
    ));
    let endpoint = object("An endpoint.", endpoint);
    let default = object(
        "Certificates that several endpoints share.",
        vec![("Default", certificate()), ("Development", certificate())],
    );
    vec![
        (
            "Endpoints",
            map(
                "Endpoints by name; Urls has no effect beside them.",
                endpoint,
            ),
        ),
        (
            "EndpointDefaults",
            object("What holds where an endpoint does not say.", shared()),
        ),
        ("Certificates", default),
    ]
}

/// `Ostler:ProxyProtocol`.
pub(super) fn proxy_protocol() -> Value {
    object(
        "Who says in a PROXY header (version 1 or 2) who the client is.",
        vec![
            (
                "TrustedNetworks",
                texts(
                    "Addresses, networks such as 10.0.0.0/8, or unix: their connections begin with the header.",
                ),
            ),
            (
                "Endpoints",
                texts("Names of Kestrel:Endpoints; absent: all of them."),
            ),
        ],
    )
}

fn name() -> Value {
    let mut name = shared();
    name.push(("Certificate", certificate()));
    object("What the endpoint says where this does not.", name)
}

/// What endpoints, their defaults and their names may say.
fn shared() -> Properties {
    let versions = ["None", "Tls12", "Tls13"];
    vec![
        (
            "Protocols",
            one_of(
                "Http1AndHttp2 by default.",
                &["Http1AndHttp2", "Http1", "Http2"],
            ),
        ),
        (
            "SslProtocols",
            list(
                "Versions of TLS; absent: 1.2 and 1.3.",
                member("", &versions),
            ),
        ),
        (
            "ClientCertificateMode",
            one_of(
                "NoCertificate by default.",
                &["NoCertificate", "AllowCertificate", "RequireCertificate"],
            ),
        ),
    ]
}

fn certificate() -> Value {
    object(
        "A certificate with its key.",
        vec![
            (
                "Path",
                text_like(
                    "A PEM file, the chain behind the certificate, or PKCS#12.",
                    "cert.pem",
                ),
            ),
            (
                "KeyPath",
                text_like("A PEM file, where the key is not in the same.", "key.pem"),
            ),
            ("Password", text("Of the key or of the PKCS#12 file.")),
            (
                "Subject",
                text("Of a certificate store, which does not exist here."),
            ),
            (
                "Store",
                text("A certificate store, which does not exist here."),
            ),
            (
                "Location",
                text("Of a certificate store, which does not exist here."),
            ),
            ("AllowInvalid", boolean("Of a certificate store.")),
        ],
    )
}

fn one_of(description: &str, names: &[&str]) -> Value {
    serde_json::json!({ "anyOf": [{ "enum": names }, { "type": ["string", "null"] }],
        "description": description })
}
