//! Certificates that .NET accepts, towards destinations, in probes and from clients; and what the log says
//! of those that nobody accepts.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;

use crate::support::{BothWays, Front, Process, Sandbox, WAYS, eventually, tls};
use crate::tls::start;

/// A certificate for `localhost` that signs itself and may issue others, as they are made by hand.
struct OwnAuthority {
    pem: PathBuf,
    key_file: PathBuf,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl OwnAuthority {
    fn new(sandbox: &Sandbox, name: &str) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pem = sandbox.path().join(format!("{name}.pem"));
        let key_file = sandbox.path().join(format!("{name}.key"));
        std::fs::write(&pem, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        Self {
            pem,
            key_file,
            certificate,
            key,
        }
    }

    fn endpoint(&self) -> serde_json::Value {
        json!({ "Url": "https://127.0.0.1:0",
            "Certificate": { "Path": self.pem, "KeyPath": self.key_file } })
    }

    /// A client that shows it, to a server that shows it, too.
    fn client(&self, server: &Self) -> Arc<ClientConfig> {
        // webpki would not take it: whether the server is right is not what is asked here.
        let mut roots = RootCertStore::empty();
        roots.add(server.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![self.certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}

/// A front of https, before a target, and the port it listens on.
fn https_front(sandbox: &Sandbox, ways: &BothWays, shown: &OwnAuthority) -> Front {
    let sections = json!({ "Endpoints": { "a": shown.endpoint() } });
    start(
        sandbox,
        &ways.configuration("", &format!(r#""Kestrel": {sections},"#)),
    )
}

/// A front before that one, which trusts what is in a file.
fn before(sandbox: &Sandbox, port: u16, trusted: &OwnAuthority) -> Front {
    let json = json!({ "ReverseProxy": {
        "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
        "Clusters": { "c": {
            "HealthCheck": { "Active": { "Enabled": true, "Interval": "00:00:01", "Path": "/forwarded/" } },
            "Destinations": { "d": { "Address": format!("https://localhost:{port}/") } } } } } });
    let roots = trusted.pem.to_str().unwrap();
    let arguments = [("SSL_CERT_FILE", roots)];
    sandbox.front_in(&json.to_string(), &arguments)
}

fn says(process: &Process, what: &str) -> bool {
    process.errors().iter().any(|line| line.contains(what))
}

#[test]
fn a_destination_whose_own_certificate_is_trusted_is_asked_and_probed() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let own = OwnAuthority::new(&sandbox, "own");
    let behind = https_front(&sandbox, &ways, &own);
    let other = Sandbox::new();
    let front = before(&other, behind.port, &own);
    for way in WAYS {
        let response = front.ask("GET", &format!("{way}/"));
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert!(!says(&front.process, "a probe fails"));
}

#[test]
fn a_destination_that_nobody_trusts_is_refused_with_a_remedy() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let own = OwnAuthority::new(&sandbox, "own");
    let behind = https_front(&sandbox, &ways, &own);
    let other = Sandbox::new();
    let stranger = OwnAuthority::new(&other, "stranger");
    let front = before(&other, behind.port, &stranger);
    assert_eq!(front.ask("GET", "/forwarded/").status, 502);
    eventually("request and probe are told of with a remedy", || {
        let lines = front.process.errors();
        let with_remedy = |what: &str| {
            let mut lines = lines.iter();
            lines.any(|line| line.contains(what) && line.contains("dotnet dev-certs https -ep"))
        };
        with_remedy("a probe fails")
            && lines
                .iter()
                .any(|line| line.contains("update-ca-certificates"))
    });
}

#[test]
fn a_client_whose_own_certificate_is_trusted_is_served_and_another_is_told_of() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let (known, stranger) = (
        OwnAuthority::new(&sandbox, "known"),
        OwnAuthority::new(&sandbox, "stranger"),
    );
    // What the server shows is of no matter here.
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let shown = OwnAuthority {
        certificate: params.self_signed(&key).unwrap(),
        key,
        ..OwnAuthority::new(&sandbox, "server")
    };
    std::fs::write(&shown.pem, shown.certificate.pem()).unwrap();
    std::fs::write(&shown.key_file, shown.key.serialize_pem()).unwrap();
    let mut endpoint = shown.endpoint();
    endpoint["ClientCertificateMode"] = json!("RequireCertificate");
    let sections = format!(
        r#""Kestrel": {}, "Ostler": {},"#,
        json!({ "Endpoints": { "a": endpoint } }),
        json!({ "Tls": { "ClientCertificateAuthorities": known.pem } }),
    );
    let front = start(&sandbox, &ways.configuration("", &sections));
    let mut client = tls(front.port, "localhost", known.client(&shown));
    for way in WAYS {
        assert_eq!(client.ask("GET", &format!("{way}/")).status, 200);
    }
    let mut refused = tls(front.port, "localhost", stranger.client(&shown));
    let _ = refused.try_send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let ended = refused.stream().read(&mut [0]);
    assert!(matches!(ended, Err(_) | Ok(0)), "{ended:?}");
    eventually("the log says why", || {
        says(&front.process, "a client's certificate is refused")
            && says(&front.process, "ClientCertificateAuthorities")
    });
}
