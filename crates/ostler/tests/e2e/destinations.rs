//! Destinations over TLS and HTTP/2: what is negotiated, whom the front believes, and how the
//! connections are used (reference B3.5, B9 and B16).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{Front, Sandbox};

/// A destination that says how it was asked.
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    /// Its certificate, which is its own authority.
    pub(crate) certificate: Option<String>,
    connections: Arc<AtomicUsize>,
}

/// What a destination speaks.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Speaks {
    /// HTTP/2 in clear text, by prior knowledge.
    Http2,
    /// TLS, and HTTP/2 or HTTP/1.1 by ALPN.
    Tls,
    /// TLS and HTTP/1.1.
    TlsHttp1,
}

impl Destination {
    fn start(speaks: Speaks) -> Self {
        Self::saying(speaks, None)
    }

    /// One that answers with this text, whatever it is asked.
    pub(crate) fn saying(speaks: Speaks, text: Option<String>) -> Self {
        let (acceptor, certificate) = match speaks {
            Speaks::Http2 => (None, None),
            _ => {
                let (acceptor, pem) = acceptor(speaks);
                (Some(acceptor), Some(pem))
            }
        };
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let number = counted.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, acceptor.clone(), number, text.clone()));
                }
            });
        });
        Self {
            address: receiver.recv().unwrap(),
            certificate,
            connections,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server's side of TLS with a certificate for `localhost` and `inner.example`.
pub(crate) fn acceptor(speaks: Speaks) -> (TlsAcceptor, String) {
    let names = ["localhost".to_owned(), "inner.example".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    if speaks == Speaks::Tls {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

async fn serve(
    stream: tokio::net::TcpStream,
    acceptor: Option<TlsAcceptor>,
    number: usize,
    text: Option<String>,
) {
    let Some(acceptor) = acceptor else {
        let service = service_fn(|request| answer(request, number, None, text.clone()));
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
        return;
    };
    // A client that does not believe the certificate ends here.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let connection = stream.get_ref().1;
    let name = connection.server_name().map(str::to_owned);
    let is_http2 = connection.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| answer(request, number, name.clone(), text.clone()));
    let stream = TokioIo::new(stream);
    if is_http2 {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(stream, service)
            .await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(stream, service)
            .await;
    }
}

async fn answer(
    request: http::Request<Incoming>,
    connection: usize,
    server_name: Option<String>,
    text: Option<String>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    if let Some(text) = text {
        return Ok(http::Response::new(Full::from(text)));
    }
    let (parts, body) = request.into_parts();
    let field = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap());
    let said = json!({
        "version": format!("{:?}", parts.version),
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str),
        "scheme": parts.uri.scheme_str(),
        "authority": parts.uri.authority().map(http::uri::Authority::as_str),
        "host": field("host"),
        "connection_field": field("connection"),
        "server_name": server_name,
        "connection": connection,
        "body": body.collect().await.map(|body| body.to_bytes().len()).unwrap_or(usize::MAX),
    });
    Ok(http::Response::new(Full::from(said.to_string())))
}

/// A front before a destination, whose certificate it trusts if it has one and is `trusted`.
fn front(sandbox: &Sandbox, address: &str, destination: &Destination, cluster: Value) -> Front {
    let mut all = json!({ "Destinations": { "d": { "Address": address } } });
    merge(&mut all, cluster);
    let json = json!({ "ReverseProxy": {
        "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
        "Clusters": { "c": all },
    } });
    let roots = sandbox.path().join("roots.pem");
    let pem = destination.certificate.as_deref().unwrap_or_default();
    std::fs::write(&roots, pem).unwrap();
    sandbox.front_in(
        &json.to_string(),
        &[("SSL_CERT_FILE", roots.to_str().unwrap())],
    )
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[test]
fn https_destinations_are_asked_over_http_2_where_alpn_agrees() {
    let sandbox = Sandbox::new();
    let destination = Destination::start(Speaks::Tls);
    let port = destination.address.port();
    let address = format!("https://localhost:{port}/base/");
    let front = front(&sandbox, &address, &destination, json!({}));
    let mut client = front.connect();
    let said = client.ask("GET", "/x?q=1").json();
    assert_eq!(said["version"], "HTTP/2.0");
    assert_eq!(said["path"], "/base/x?q=1");
    assert_eq!(said["scheme"], "https");
    assert_eq!(said["authority"], format!("localhost:{port}"));
    assert_eq!(said["host"], Value::Null);
    assert_eq!(said["server_name"], "localhost");
    assert_eq!(client.post("/x", &[7; 100_000]).json()["body"], 100_000);
    // All of it on one connection, of however many clients.
    let clients: Vec<_> = (0..8).map(|_| front.ask("GET", "/").json()).collect();
    assert!(clients.iter().all(|said| said["connection"] == 0));
    assert_eq!(destination.connections(), 1);
}

#[test]
fn version_1_1_offers_no_alpn_and_keeps_its_connections() {
    let sandbox = Sandbox::new();
    let destination = Destination::start(Speaks::Tls);
    let address = format!("https://localhost:{}/", destination.address.port());
    let cluster = json!({ "HttpRequest": { "Version": "1.1" } });
    let front = front(&sandbox, &address, &destination, cluster);
    for _ in 0..5 {
        let said = front.ask("GET", "/x").json();
        assert_eq!(said["version"], "HTTP/1.1");
        assert_eq!(
            said["host"],
            format!("localhost:{}", destination.address.port())
        );
        assert_eq!(said["connection"], 0);
    }
    assert_eq!(destination.connections(), 1);
}

#[test]
fn http_2_exactly_is_refused_where_a_destination_does_not_speak_it() {
    let sandbox = Sandbox::new();
    let destination = Destination::start(Speaks::TlsHttp1);
    let address = format!("https://localhost:{}/", destination.address.port());
    let lower = front(&sandbox, &address, &destination, json!({}));
    assert_eq!(lower.ask("GET", "/").json()["version"], "HTTP/1.1");
    let exact = json!({ "HttpRequest": { "VersionPolicy": "RequestVersionExact" } });
    let other = Sandbox::new();
    let exact = front(&other, &address, &destination, exact);
    assert_eq!(exact.ask("GET", "/").status, 502);
}

#[test]
fn http_2_by_prior_knowledge_is_spoken_in_clear_text() {
    let sandbox = Sandbox::new();
    let destination = Destination::start(Speaks::Http2);
    let address = format!("http://{}/", destination.address);
    let cluster =
        json!({ "HttpRequest": { "Version": "2", "VersionPolicy": "RequestVersionExact" } });
    let front = front(&sandbox, &address, &destination, cluster);
    let mut client = front.connect();
    for length in [0, 1, 70_000] {
        let said = client.post("/x", &vec![1; length]).json();
        assert_eq!(said["version"], "HTTP/2.0");
        assert_eq!(said["scheme"], "http");
        assert_eq!(said["authority"], destination.address.to_string());
        assert_eq!(said["body"], length);
        assert_eq!(said["connection_field"], Value::Null);
    }
    assert_eq!(destination.connections(), 1);
}

#[test]
fn the_server_name_is_that_of_the_outgoing_host() {
    // Reference B3.5: a destination behind an address is still asked for by its name.
    let sandbox = Sandbox::new();
    let destination = Destination::start(Speaks::Tls);
    let address = format!("https://127.0.0.1:{}/", destination.address.port());
    let cluster = json!({ "Destinations": { "d": { "Host": "inner.example" } } });
    let named = front(&sandbox, &address, &destination, cluster);
    let said = named.ask("GET", "/").json();
    assert_eq!(said["server_name"], "inner.example");
    assert_eq!(said["authority"], "inner.example");
    // Without it the certificate is not that of the address.
    let other = Sandbox::new();
    let unnamed = front(&other, &address, &destination, json!({}));
    assert_eq!(unnamed.ask("GET", "/").status, 502);
}

#[test]
fn a_certificate_nobody_vouches_for_is_believed_only_when_told_so() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::new());
    let destination = Destination::start(Speaks::Tls);
    let stranger = Destination::start(Speaks::Tls);
    let address = format!("https://localhost:{}/", stranger.address.port());
    let strict = front(&sandbox, &address, &destination, json!({}));
    assert_eq!(strict.ask("GET", "/").status, 502);
    let cluster = json!({ "HttpClient": { "DangerousAcceptAnyServerCertificate": true } });
    let lax = front(&other, &address, &destination, cluster);
    assert_eq!(lax.ask("GET", "/").json()["server_name"], "localhost");
}
