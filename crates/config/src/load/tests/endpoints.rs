//! `Kestrel:Endpoints` and what belongs to it (reference B20.3).

use super::*;
use crate::schema::SslProtocols;
use crate::settings::{
    CertificateConfig, ClientCertificateMode, EndpointConfig, HttpProtocols, TlsConfig,
    TlsHostConfig, TrustedNetworks,
};

fn endpoints(text: &str) -> Vec<EndpointConfig> {
    let loaded = load_text(text);
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    loaded.settings.endpoints
}

fn certificate(at: &str, path: &str) -> CertificateConfig {
    CertificateConfig {
        at: at.into(),
        path: path.into(),
        key_path: None,
        password: None,
    }
}

#[test]
fn names_inherit_from_endpoints_and_endpoints_from_the_defaults() {
    let read = endpoints(
        r#"{ "Kestrel": {
            "Certificates": { "Default": { "Path": "default.pem" } },
            "EndpointDefaults": { "Protocols": "Http1", "SslProtocols": [ "Tls13" ] },
            "Endpoints": {
                "A": { "Url": "https://*:1" },
                "B": { "Url": "HTTPS://*:2", "Protocols": "http1andhttp2", "ClientCertificateMode": "allowcertificate",
                    "Certificate": { "Path": "b.pem" },
                    "Sni": { "a.example": { "SslProtocols": [ "Tls12", "Tls13" ] },
                        "*": { "Certificate": { "Path": "any.pem" }, "ClientCertificateMode": "NoCertificate" } } },
                "C": { "Url": "http://*:3" } } } }"#,
    );
    let host = |certificate, protocols, ssl_protocols, client_certificate_mode| TlsHostConfig {
        certificate,
        protocols,
        ssl_protocols,
        client_certificate_mode,
    };
    let both = SslProtocols(SslProtocols::TLS12.0 | SslProtocols::TLS13.0);
    let default = certificate("Kestrel:Certificates:Default", "default.pem");
    let own = certificate("Kestrel:Endpoints:B:Certificate", "b.pem");
    let any = certificate("Kestrel:Endpoints:B:Sni:*:Certificate", "any.pem");
    let (http1, both_of_http) = (HttpProtocols::Http1, HttpProtocols::Http1AndHttp2);
    let none = ClientCertificateMode::NoCertificate;
    let allow = ClientCertificateMode::AllowCertificate;
    assert_eq!(
        read,
        [
            EndpointConfig {
                path: "Kestrel:Endpoints:A:Url".into(),
                url: "https://*:1".into(),
                protocols: http1,
                tls: Some(TlsConfig {
                    hosts: Vec::new(),
                    any: Some(host(default, http1, SslProtocols::TLS13, none)),
                }),
                proxy_protocol: TrustedNetworks::default(),
            },
            EndpointConfig {
                path: "Kestrel:Endpoints:B:Url".into(),
                url: "HTTPS://*:2".into(),
                protocols: both_of_http,
                tls: Some(TlsConfig {
                    hosts: vec![
                        (
                            "*".into(),
                            host(any, both_of_http, SslProtocols::TLS13, none)
                        ),
                        ("a.example".into(), host(own, both_of_http, both, allow)),
                    ],
                    any: None,
                }),
                proxy_protocol: TrustedNetworks::default(),
            },
            EndpointConfig {
                path: "Kestrel:Endpoints:C:Url".into(),
                url: "http://*:3".into(),
                protocols: http1,
                tls: None,
                proxy_protocol: TrustedNetworks::default(),
            },
        ]
    );
}

#[test]
fn urls_have_the_default_certificate() {
    let read = endpoints(
        r#"{ "Urls": "https://*:1;http://*:2", "Kestrel": { "Certificates": {
            "Default": { "Path": "a.pfx", "KeyPath": "a.key", "Password": "secret" } } } }"#,
    );
    let https = read[0].tls.as_ref().unwrap().any.as_ref().unwrap();
    assert_eq!(https.certificate.path, "a.pfx");
    assert_eq!(https.certificate.key_path.as_deref(), Some("a.key"));
    let password = https.certificate.password.as_ref().unwrap();
    assert_eq!(password.reveal(), "secret");
    assert!(!format!("{read:?}").contains("secret"));
    assert_eq!(read[1].tls, None);
}

#[test]
fn mistakes_of_endpoints_are_errors_with_a_remedy() {
    let endpoint = |keys: &str| {
        format!(
            r#"{{ "Kestrel": {{ "Endpoints": {{ "a": {{ "Url": "https://*:1",
                "Certificate": {{ "Path": "c" }}, {keys} }} }} }} }}"#
        )
    };
    for (keys, path, words) in [
        (
            r#""Protocols": "Http3""#,
            "Protocols",
            "HTTP/3 is not spoken",
        ),
        (
            r#""Protocols": "Http4""#,
            "Protocols",
            "no choice of protocols",
        ),
        (
            r#""ClientCertificateMode": "DelayCertificate""#,
            "ClientCertificateMode",
            "later than in the handshake",
        ),
        (
            r#""ClientCertificateMode": "Maybe""#,
            "ClientCertificateMode",
            "no client certificate mode",
        ),
        (
            r#""SslProtocols": [ "Tls11" ]"#,
            "SslProtocols",
            "only TLS 1.2 and TLS 1.3",
        ),
        (r#""Sni": { "a*.b": {} }"#, "Sni:a*.b", "no client asks"),
        (
            r#""Sni": { "b": { "Certificate": { "Subject": "x" } } }"#,
            "Sni:b:Certificate:Subject",
            "no certificate store",
        ),
        (
            r#""Sni": { "b": { "Certificate": { "Path": "x", "Store": "My" } } }"#,
            "Sni:b:Certificate:Store",
            "not from both",
        ),
        (
            r#""Sni": { "b": { "Certificate": { "KeyPath": "x" } } }"#,
            "Sni:b:Certificate",
            "has no Path",
        ),
    ] {
        let path = format!("Kestrel:Endpoints:a:{path}");
        one_error(keys, &endpoint(keys), &path, words);
        let loaded = load_text(&endpoint(keys));
        assert!(
            loaded
                .diagnostics
                .errors()
                .all(|error| error.remedy.is_some()),
            "{keys}"
        );
    }
    let clear = r#"{ "Kestrel": { "Endpoints": { "a": { "Url": "http://*:1", "SslProtocols": [ "Tls12" ] } } } }"#;
    one_error(
        "http",
        clear,
        "Kestrel:Endpoints:a:SslProtocols",
        "without TLS",
    );
    for without in [
        r#"{ "Urls": "https://*:1" }"#,
        r#"{ "Kestrel": { "Endpoints": { "a": { "Url": "https://*:1" } } } }"#,
    ] {
        let path = match without.contains("Urls") {
            true => "Urls",
            false => "Kestrel:Endpoints:a:Url",
        };
        one_error("https", without, path, "no certificate");
    }
}

#[test]
fn what_cannot_be_spoken_beside_what_can_is_a_warning() {
    let loaded = load_text(
        r#"{ "Kestrel": { "EndpointDefaults": { "Protocols": "Http1AndHttp2AndHttp3", "SslProtocols": [ "Tls11", "Tls12" ] } } }"#,
    );
    assert!(!loaded.diagnostics.has_errors());
    let defaults = "Kestrel:EndpointDefaults";
    let paths = ["Protocols", "SslProtocols"].map(|key| format!("{defaults}:{key}"));
    assert_eq!(warning_paths(&loaded), paths);
}

#[test]
fn a_proxy_protocol_is_that_of_the_endpoints_it_names_and_of_trusted_networks() {
    let text = r#"{ "Kestrel": { "Endpoints": {
            "Public": { "Url": "http://*:1" }, "Own": { "Url": "http://unix:/run/a.sock" } } },
        "Ostler": { "ProxyProtocol": {
            "TrustedNetworks": [ "10.0.0.0/8", "unix" ], "Endpoints": [ "public" ] } } }"#;
    let read = endpoints(text);
    let of = |name: &str| read.iter().find(|one| one.path.contains(name)).unwrap();
    let peer = Some("10.1.2.3".parse().unwrap());
    assert!(of("Public").proxy_protocol.contain(peer));
    assert!(of("Public").proxy_protocol.contain(None));
    assert!(!of("Own").proxy_protocol.contain(None));
    let all = endpoints(
        r#"{ "Urls": "http://*:1",
            "Ostler": { "ProxyProtocol": { "TrustedNetworks": [ "10.1.2.3" ] } } }"#,
    );
    assert!(all[0].proxy_protocol.contain(peer));
}

#[test]
fn a_proxy_protocol_of_nobody_or_of_no_endpoint_is_an_error() {
    for (section, wanted) in [
        (
            r#"{ "Endpoints": [ "A" ] }"#,
            "Ostler:ProxyProtocol:TrustedNetworks: nobody is trusted",
        ),
        (
            r#"{ "TrustedNetworks": [ "10.0.0.0/64" ] }"#,
            "Ostler:ProxyProtocol:TrustedNetworks:0: ",
        ),
        (
            r#"{ "TrustedNetworks": [ "::1" ], "Endpoints": [ "B" ] }"#,
            "Ostler:ProxyProtocol:Endpoints:0: there is no endpoint \"B\"",
        ),
    ] {
        let text = format!(
            r#"{{ "Kestrel": {{ "Endpoints": {{ "A": {{ "Url": "http://*:1" }} }} }},
                "Ostler": {{ "ProxyProtocol": {section} }} }}"#
        );
        let loaded = load(&tree(&text));
        let errors: Vec<_> = loaded
            .diagnostics
            .errors()
            .map(ToString::to_string)
            .collect();
        assert!(
            errors.iter().any(|error| error.contains(wanted)),
            "{errors:?}"
        );
    }
}
