//! WebSockets between clients and destinations that speak the same version of HTTP or another one
//! (RFC 8441; reference B12).

use std::sync::Arc;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, SendStream};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::destinations::{Speaks, acceptor};
use crate::forwarding::{OK, forwarding};
use crate::support::http2_client::{Http2Client, run, send, url, whole};
use crate::support::http2_destination::{Asked, Http2Destination, blocking, next, read};
use crate::support::{Client, Destination, Front, Incoming, Sandbox, eventually};
use crate::upgrades::{ACCEPT, HANDSHAKE};
use crate::uploads::{HTTP2, front};

fn settings() -> h2::server::Builder {
    let mut settings = h2::server::Builder::new();
    settings.enable_connect_protocol();
    settings
}

fn connect() -> http::request::Builder {
    Request::builder()
        .method("CONNECT")
        .uri(url("/ws?q=1"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .extension(h2::ext::Protocol::from_static("websocket"))
}

async fn begin(client: &Http2Client) -> (ResponseFuture, SendStream<Bytes>) {
    let (response, stream) = client.begin(connect().body(()).unwrap(), false).await;
    (response, stream)
}

/// The connection's SETTINGS are known once something has been answered.
async fn client(front: &Front) -> Http2Client {
    Http2Client::connect(front.port).await
}

fn is_connect(asked: &Asked, path: &str) {
    assert_eq!(asked.head.method, "CONNECT");
    let protocol = asked.head.extensions.get::<h2::ext::Protocol>().unwrap();
    assert_eq!(protocol.as_str(), "websocket");
    assert_eq!(asked.head.uri.path_and_query().unwrap(), path);
    assert_eq!(asked.field("sec-websocket-version"), Some("13"));
    for name in ["sec-websocket-key", "connection", "upgrade"] {
        assert_eq!(asked.field(name), None, "{name}");
    }
}

/// The handshake of a client of HTTP/1.1, answered by a destination of HTTP/2; then both talk and
/// the client ends.
async fn http1_to_http2(front: &Front, requests: &mut tokio::sync::mpsc::UnboundedReceiver<Asked>) {
    let mut client = front.connect();
    client.send([HANDSHAKE.as_bytes(), b"first"].concat());
    let mut asked = requests.recv().await.unwrap();
    is_connect(&asked, "/ws");
    let mut answer = asked.answer(200, false);
    send(&mut answer, b"welcome", false).await;
    let mut client = blocking(move || {
        let response = client.response();
        assert_eq!(response.status, 101);
        assert_eq!(response.field("sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(response.field("upgrade"), Some("websocket"));
        assert_eq!(response.field("connection"), Some("Upgrade"));
        assert_eq!(response.field("content-length"), None);
        assert_eq!(client.read(7), b"welcome");
        client
    })
    .await;
    assert_eq!(asked.read(5).await, b"first");
    client.send("second");
    assert_eq!(asked.read(6).await, b"second");
    send(&mut answer, b"bye", true).await;
    blocking(move || {
        assert_eq!(client.read(3), b"bye");
        assert!(client.is_closed());
    })
    .await;
    // Nothing is left of the stream.
    while let Ok(Some(_)) = asked.data().await {}
}

#[test]
fn an_http1_client_reaches_an_http2_destination_by_prior_knowledge() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve_with(settings(), None);
        for _ in 0..3 {
            http1_to_http2(&front, &mut requests).await;
        }
    });
}

/// A front that trusts a destination which speaks TLS.
fn tls_front(sandbox: &Sandbox, port: u16, certificate: &str) -> Front {
    let roots = sandbox.path().join("roots.pem");
    std::fs::write(&roots, certificate).unwrap();
    let json = forwarding(
        "",
        &[&format!(
            r#""d": {{ "Address": "https://localhost:{port}/" }}"#
        )],
    );
    sandbox.front_in(&json, &[("SSL_CERT_FILE", roots.to_str().unwrap())])
}

#[test]
fn an_http1_client_reaches_an_http2_destination_by_alpn() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let (acceptor, certificate) = acceptor(Speaks::Tls);
    let front = tls_front(&sandbox, destination.port(), &certificate);
    run(async {
        let mut requests = destination.serve_with(settings(), Some(acceptor));
        http1_to_http2(&front, &mut requests).await;
    });
}

#[test]
fn an_http2_client_reaches_an_http2_destination() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve_with(settings(), None);
        let client = client(&front).await;
        let (response, mut stream) = begin(&client).await;
        let mut asked = requests.recv().await.unwrap();
        is_connect(&asked, "/ws?q=1");
        assert_eq!(asked.field("sec-websocket-protocol"), Some("chat"));
        let mut answer = asked.answer(200, false);
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        for name in ["sec-websocket-accept", "connection", "upgrade"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        let mut body = response.into_body();
        for _ in 0..10 {
            send(&mut stream, b"there", false).await;
            assert_eq!(asked.read(5).await, b"there");
            send(&mut answer, b"back", false).await;
            assert_eq!(read(&mut body, 4).await, b"back");
        }
        // A client that breaks off breaks the stream off, also behind its own end.
        stream.send_data(Bytes::new(), true).unwrap();
        send(&mut answer, b"still", false).await;
        assert_eq!(read(&mut body, 5).await, b"still");
        stream.send_reset(Reason::CANCEL);
        let reset = std::future::poll_fn(|cx| answer.poll_reset(cx));
        assert_eq!(reset.await.unwrap(), Reason::CANCEL);
        // A destination that breaks off does so at the client.
        let (response, _stream) = begin(&client).await;
        let mut asked = requests.recv().await.unwrap();
        let mut answer = asked.answer(200, false);
        let mut body = response.await.unwrap().into_body();
        answer.send_reset(Reason::INTERNAL_ERROR);
        assert!(next(&mut body).await.is_err());
        // Its end is an end.
        let (response, _stream) = begin(&client).await;
        let mut asked = requests.recv().await.unwrap();
        let mut answer = asked.answer(200, false);
        send(&mut answer, b"bye", true).await;
        let mut body = response.await.unwrap().into_body();
        assert_eq!(read(&mut body, 3).await, b"bye");
        assert!(next(&mut body).await.unwrap().is_none());
    });
}

#[test]
fn what_is_no_agreement_is_passed_on() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve_with(settings(), None);
        let mut old = front.connect();
        old.send(HANDSHAKE);
        let mut asked = requests.recv().await.unwrap();
        let mut answer = asked.answer(403, false);
        send(&mut answer, b"no", true).await;
        let response = blocking(move || old.response()).await;
        assert_eq!((response.status, response.text().as_str()), (403, "no"));
        let client = client(&front).await;
        let (response, _stream) = begin(&client).await;
        let mut asked = requests.recv().await.unwrap();
        let mut answer = asked.answer(403, false);
        send(&mut answer, b"no", true).await;
        let response = whole(response.await.unwrap()).await;
        assert_eq!((response.status(), response.text()), (403, "no"));
    });
}

#[test]
fn a_destination_without_extended_connect_is_asked_for_an_upgrade_where_it_may_be() {
    // Reference B12.3; not where nothing but HTTP/2 will do.
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let _requests = destination.serve();
        let mut old = front.connect();
        old.send(HANDSHAKE);
        assert_eq!(blocking(move || old.response().status).await, 502);
        let client = client(&front).await;
        let (response, _stream) = begin(&client).await;
        assert_eq!(response.await.unwrap().status(), 502);
    });
}

/// Serves TLS: HTTP/2 without extended CONNECT where ALPN says so, else it accepts each upgrade.
async fn accept_upgrades(listener: tokio::net::TcpListener, acceptor: tokio_rustls::TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        tokio::spawn(async move {
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let _ = respond.send_response(http::Response::new(()), true);
                }
                return;
            }
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let switched = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\nbye"
            );
            stream.write_all(switched.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        });
    }
}

#[test]
fn over_tls_an_upgrade_is_what_is_left_where_extended_connect_is_not_known() {
    for speaks in [Speaks::Tls, Speaks::TlsHttp1] {
        let sandbox = Sandbox::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, certificate) = acceptor(speaks);
        let front = tls_front(&sandbox, port, &certificate);
        run(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::spawn(accept_upgrades(listener, acceptor));
            for _ in 0..2 {
                let mut client = front.connect();
                client.send(HANDSHAKE);
                blocking(move || {
                    let response = client.response();
                    assert_eq!(response.status, 101);
                    assert_eq!(response.field("sec-websocket-accept"), Some(ACCEPT));
                    assert_eq!(client.rest(), b"bye");
                })
                .await;
            }
        });
    }
}

/// What an HTTP/1.1 destination answers to the handshake that it has been sent.
fn accepts(incoming: &mut Incoming, right: bool) {
    let head = incoming.head();
    assert_eq!(head.line, "GET /ws?q=1 HTTP/1.1");
    assert_eq!(head.all("upgrade"), ["websocket"]);
    assert_eq!(head.all("connection"), ["Upgrade"]);
    let key = head.all("sec-websocket-key")[0];
    assert_eq!(key.len(), 24);
    let accept = match right {
        true => tungstenite::handshake::derive_accept_key(key.as_bytes()),
        false => ACCEPT.to_owned(),
    };
    incoming.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\nwelcome"
    ));
}

#[test]
fn an_http2_client_reaches_an_http1_destination() {
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = front(&sandbox, "", &destination.address());
    run(async {
        let client = client(&front).await;
        let (response, mut stream) = begin(&client).await;
        let accepting = Arc::clone(&destination);
        let mut incoming = blocking(move || {
            let mut incoming = accepting.accept();
            accepts(&mut incoming, true);
            incoming
        })
        .await;
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        for name in ["sec-websocket-accept", "connection", "upgrade"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        let mut body = response.into_body();
        assert_eq!(read(&mut body, 7).await, b"welcome");
        send(&mut stream, b"hello", false).await;
        let incoming = blocking(move || {
            assert_eq!(incoming.read(5), b"hello");
            incoming.send("bye");
            incoming
        });
        drop(incoming.await);
        assert_eq!(read(&mut body, 3).await, b"bye");
        assert!(next(&mut body).await.unwrap().is_none());
        // One whose proof is another's.
        let (response, _stream) = begin(&client).await;
        let accepting = Arc::clone(&destination);
        let rest = blocking(move || {
            let mut incoming = accepting.accept();
            accepts(&mut incoming, false);
            incoming.rest()
        });
        let response = response.await.unwrap();
        assert_eq!(response.status(), 502);
        assert!(response.headers().get("sec-websocket-accept").is_none());
        assert_eq!(rest.await, b"", "and its connection ends");
        // One that refuses.
        let (response, _stream) = begin(&client).await;
        let refused = blocking(move || {
            let mut incoming = destination.accept();
            incoming.head();
            incoming.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
        });
        let response = whole(response.await.unwrap()).await;
        assert_eq!((response.status(), response.text()), (403, "no"));
        refused.await;
    });
}

#[test]
fn a_key_that_is_none_is_refused_and_troubles_no_destination() {
    // Reference B12.4.
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve_with(settings(), None);
        for key in ["Sec-WebSocket-Key: short\r\n", ""] {
            let mut old = front.connect();
            let key = HANDSHAKE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", key);
            old.send(key);
            assert_eq!(blocking(move || old.response().status).await, 400);
        }
        assert!(requests.try_recv().is_err());
    });
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let before = self::front(&sandbox, "", &destination.address());
    run(async {
        let client = client(&before).await;
        let request = connect().header("sec-websocket-key", "short");
        let (response, _stream) = client.begin(request.body(()).unwrap(), false).await;
        assert_eq!(response.await.unwrap().status(), 400);
    });
    assert!(destination.is_left_alone());
}

#[test]
fn spdy_is_an_upgrade_of_http1_and_nothing_else() {
    // Reference B12.2.
    let spdy = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let before = front(&sandbox, "", &destination.address());
    let mut client = before.connect();
    client.send(spdy);
    let mut incoming = destination.accept();
    assert_eq!(incoming.head().all("upgrade"), ["SPDY/3.1"]);
    incoming.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
    );
    assert_eq!(client.response().status, 101);
    client.send("there");
    assert_eq!(incoming.read(5), b"there");
    let other = Sandbox::new();
    let destination = Destination::new();
    let front = front(&other, HTTP2, &destination.address());
    let mut client = front.connect();
    client.send(spdy);
    assert_eq!(client.response().status, 502);
    assert!(destination.is_left_alone());
}

fn upgraded(front: &Front, destination: &Destination) -> (Client, Incoming) {
    let mut client = front.connect();
    client.send(HANDSHAKE);
    let mut incoming = destination.accept();
    incoming.head();
    incoming.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(client.response().status, 101);
    (client, incoming)
}

#[test]
fn a_silent_tunnel_ends_at_both_ends() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let more = r#""HttpRequest": { "ActivityTimeout": "00:00:02" },"#;
    let front = front(&sandbox, more, &destination.address());
    let (mut client, mut incoming) = upgraded(&front, &destination);
    // Either direction keeps it.
    for _ in 0..6 {
        std::thread::sleep(std::time::Duration::from_millis(500));
        client.send("x");
        assert_eq!(incoming.read(1), b"x");
    }
    assert!(client.is_closed());
    assert!(incoming.is_closed());
}

#[test]
fn a_tunnel_holds_its_place_among_the_connections_to_its_destination() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let more = r#""HttpClient": { "MaxConnectionsPerServer": 1 },
        "HttpRequest": { "ActivityTimeout": "00:00:02" },"#;
    let front = front(&sandbox, more, &destination.address());
    let (mut client, mut incoming) = upgraded(&front, &destination);
    let mut other = front.connect();
    other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    // While the tunnel is used nobody else has a connection.
    let port = front.port;
    let waiting = std::thread::spawn(move || Client::connect(port).ask("GET", "/").status);
    eventually("the other is answered", || {
        client.send("x");
        assert_eq!(incoming.read(1), b"x");
        waiting.is_finished()
    });
    assert_eq!(waiting.join().unwrap(), 504);
    assert_eq!(other.response().status, 504);
    assert!(destination.is_left_alone());
    drop(incoming);
    assert!(client.is_closed());
    let mut other = front.connect();
    other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    incoming.send(OK);
    assert_eq!(other.response().status, 200);
}

#[test]
fn what_either_side_said_last_arrives() {
    // Reference B12.5.
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = front(&sandbox, "", &destination.address());
    let (mut client, mut incoming) = upgraded(&front, &destination);
    client.send("last");
    client.shutdown_write();
    assert_eq!(incoming.read(4), b"last");
    // The destination has more to say to a client that has said all.
    incoming.send(vec![b'x'; 1_000_000]);
    drop(incoming);
    assert_eq!(client.rest().len(), 1_000_000);
    let (mut client, mut incoming) = upgraded(&front, &destination);
    incoming.send(vec![b'x'; 1_000_000]);
    drop(incoming);
    assert_eq!(client.rest().len(), 1_000_000);
    drop(client);
}
