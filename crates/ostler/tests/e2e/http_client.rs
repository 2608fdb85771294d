//! What a cluster's `HttpClient` and `HttpRequest` make of requests, byte by byte: web proxies,
//! encodings of fields, HTTP/1.0; and destinations that cannot be reached (reference
//! B7.4, B9, B10.1, B16.2 and B19).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::destinations::{Destination, Speaks, acceptor};
use crate::support::{Front, PATIENCE, Sandbox, eventually};
use crate::upgrades::{converse, web_socket};

/// A server of the test's own that notes what it is sent, a request's head or a handshake at a time.
struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    /// Has each connection dealt with by `serve`, on a thread of its own.
    fn start(serve: impl Fn(&mut Incoming) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serve, seen) = (Arc::clone(&serve), Arc::clone(&noted));
                std::thread::spawn(move || {
                    let stream = BufReader::new(stream);
                    // A front that goes away in between is nothing to a test.
                    let _ = serve(&mut Incoming { stream, seen });
                });
            }
        });
        Self { address, seen }
    }

    /// Answers every request with these bytes.
    fn answering(response: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::start(move |incoming| {
            loop {
                let head = incoming.head()?;
                incoming.read(content_length(&head))?;
                incoming.send(response.as_ref())?;
            }
        })
    }

    /// An HTTP proxy: answers requests in absolute form itself, and opens a tunnel to `destination`
    /// for `CONNECT`, whatever host that names.
    fn proxy(destination: SocketAddr) -> Self {
        Self::start(move |incoming| {
            loop {
                let head = incoming.head()?;
                if head.starts_with(b"CONNECT ") {
                    incoming.send(b"HTTP/1.1 200 OK\r\nX-Proxy: yes\r\n\r\n")?;
                    return incoming.join(destination);
                }
                incoming.read(content_length(&head))?;
                incoming.send(PROXIED.as_bytes())?;
            }
        })
    }

    fn seen(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    fn bytes(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }
}

const PROXIED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection to a [`Recorder`].
struct Incoming {
    stream: BufReader<TcpStream>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Incoming {
    /// Reads a request's head, and notes it.
    fn head(&mut self) -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.stream.read_until(b'\n', &mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.seen.lock().unwrap().push(head.clone());
        Ok(head)
    }

    fn read(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads so many bytes of a handshake, and notes them.
    fn noted(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        let bytes = self.read(count)?;
        self.seen.lock().unwrap().push(bytes.clone());
        Ok(bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Joins this connection with a new one.
    fn join(&mut self, to: SocketAddr) -> std::io::Result<()> {
        let mut there = TcpStream::connect(to)?;
        let (mut from_there, mut to_here) =
            (there.try_clone()?, self.stream.get_ref().try_clone()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_there, &mut to_here);
            let _ = to_here.shutdown(std::net::Shutdown::Both);
        });
        std::io::copy(&mut self.stream, &mut there)?;
        there.shutdown(std::net::Shutdown::Write)
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().unwrap())
}

/// A front before one destination; `roots` are certificates that it trusts.
fn front(sandbox: &Sandbox, address: &str, settings: &Value, roots: Option<&str>) -> Front {
    let mut cluster = json!({ "Destinations": { "d": { "Address": address } } });
    let cluster = cluster.as_object_mut().unwrap();
    cluster.extend(settings.as_object().unwrap().clone());
    let json = json!({ "ReverseProxy": {
        "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
        "Clusters": { "c": cluster },
    } });
    let path = sandbox.path().join("roots.pem");
    std::fs::write(&path, roots.unwrap_or_default()).unwrap();
    let environment = [("SSL_CERT_FILE", path.to_str().unwrap())];
    sandbox.front_in(&json.to_string(), &environment)
}

fn through(proxy: &str) -> Value {
    json!({ "HttpClient": { "WebProxy": { "Address": proxy } } })
}

/// The address of a listener that nobody accepts on and whose backlog is full, with what fills it.
fn unanswering() -> (SocketAddr, tokio::net::TcpListener, Vec<TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        filling.push(stream);
        assert!(filling.len() < 100, "the backlog does not fill");
    }
    // The runtime may go: the listener only has to stay open.
    std::mem::forget(runtime);
    (address, listener, filling)
}

/// The address of a port that nobody listens on.
fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_proxy_is_asked_for_http_destinations_in_absolute_form() {
    let sandbox = Sandbox::new();
    let proxy = Recorder::proxy(refusing());
    let address = proxy.address;
    let settings = through(&format!("http://us%65r:pass@{address}/"));
    let front = front(&sandbox, "http://app.example:8080/base/", &settings, None);
    let mut client = front.connect();
    for _ in 0..2 {
        assert_eq!(client.ask("GET", "/x?q=1").text(), "proxied");
    }
    assert_eq!(client.post("/y", b"hello").text(), "proxied");
    let (get, post) = (
        "GET http://app.example:8080/base/x?q=1 HTTP/1.1\r\n\
         host: app.example:8080\r\n\
         x-forwarded-for: 127.0.0.1\r\n\
         x-forwarded-host: test\r\n\
         x-forwarded-proto: http\r\n\
         proxy-authorization: Basic dXNlcjpwYXNz\r\n\r\n",
        "POST http://app.example:8080/base/y HTTP/1.1\r\n",
    );
    let seen = proxy.seen();
    assert_eq!(seen[..2], [get, get]);
    assert!(seen[2].starts_with(post), "{seen:?}");
    // The destination's port is the scheme's own, and its `Host` is another.
    let sandbox = Sandbox::new();
    let settings = json!({
        "Destinations": { "d": { "Address": "http://app.example", "Host": "inner.example" } },
        "HttpClient": { "WebProxy": { "Address": format!("http://{address}") } },
    });
    let front = self::front(&sandbox, "", &settings, None);
    assert_eq!(front.ask("GET", "/").text(), "proxied");
    let last = proxy.seen().pop().unwrap();
    assert!(
        last.starts_with("GET http://app.example/ HTTP/1.1\r\nhost: inner.example\r\n"),
        "{last:?}"
    );
    assert!(!last.contains("proxy-authorization"), "{last:?}");
}

#[test]
fn https_destinations_are_reached_through_a_tunnel() {
    let sandbox = Sandbox::new();
    let destination = Destination::saying(Speaks::Tls, Some("the destination".to_owned()));
    let proxy = Recorder::proxy(destination.address);
    let settings = through(&format!("http://u:p@{}", proxy.address));
    let roots = destination.certificate.as_deref();
    let front = front(&sandbox, "https://inner.example/", &settings, roots);
    for _ in 0..3 {
        assert_eq!(front.ask("GET", "/").text(), "the destination");
    }
    let connect = "CONNECT inner.example:443 HTTP/1.1\r\n\
                   host: inner.example:443\r\n\
                   proxy-authorization: Basic dTpw\r\n\r\n";
    assert_eq!(proxy.seen(), [connect]);
}

#[test]
fn a_proxy_is_itself_reached_over_tls() {
    let sandbox = Sandbox::new();
    let proxy = Destination::saying(Speaks::TlsHttp1, Some("the proxy".to_owned()));
    let settings = through(&format!("https://localhost:{}", proxy.address.port()));
    let roots = proxy.certificate.as_deref();
    let front = front(&sandbox, "http://app.example/", &settings, roots);
    assert_eq!(front.ask("GET", "/").text(), "the proxy");
}

/// A proxy over TLS that opens tunnels to `destination`: its address and its certificate.
fn tls_proxy(destination: SocketAddr) -> (SocketAddr, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (acceptor, certificate) = acceptor(Speaks::TlsHttp1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut here = acceptor.accept(stream).await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(here.read_u8().await.unwrap());
                }
                assert!(head.starts_with(b"CONNECT inner.example:443 HTTP/1.1\r\n"));
                here.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut there = tokio::net::TcpStream::connect(destination).await.unwrap();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
                });
            }
        });
    });
    (address, certificate)
}

#[test]
fn tls_goes_through_a_tunnel_in_tls() {
    let sandbox = Sandbox::new();
    let destination = Destination::saying(Speaks::Tls, Some("the destination".to_owned()));
    let (proxy, certificate) = tls_proxy(destination.address);
    let roots = certificate + destination.certificate.as_deref().unwrap();
    let settings = through(&format!("https://localhost:{}", proxy.port()));
    let front = front(&sandbox, "https://inner.example/", &settings, Some(&roots));
    for _ in 0..2 {
        assert_eq!(front.ask("GET", "/").text(), "the destination");
    }
}

#[test]
fn upgrades_go_through_a_tunnel_and_ordinary_requests_do_not() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let destination = address.strip_prefix("http://").unwrap();
    let destination = destination.trim_end_matches('/').parse().unwrap();
    let proxy = Recorder::proxy(destination);
    let settings = through(&format!("http://{}", proxy.address));
    let front = front(&sandbox, "http://app.example/", &settings, None);
    assert_eq!(front.ask("GET", "/").text(), "proxied");
    converse(&mut web_socket(front.port, ""));
    assert_eq!(front.ask("GET", "/").text(), "proxied");
    let seen = proxy.seen();
    let lines: Vec<_> = seen
        .iter()
        .map(|head| head.lines().next().unwrap())
        .collect();
    let get = "GET http://app.example/ HTTP/1.1";
    assert_eq!(lines, [get, "CONNECT app.example:80 HTTP/1.1", get]);
}

#[test]
fn local_destinations_are_reached_directly_when_told_so() {
    let destination = Recorder::answering(OK);
    let proxy = Recorder::proxy(destination.address);
    let port = destination.address.port();
    for (bypass, host, is_direct) in [
        (true, "127.0.0.1", true),
        (true, "localhost", true),
        (true, "app.example", false),
        (false, "127.0.0.1", false),
    ] {
        let sandbox = Sandbox::new();
        let settings = json!({ "HttpClient": { "WebProxy": {
            "Address": format!("http://{}", proxy.address), "BypassOnLocal": bypass } } });
        let front = front(&sandbox, &format!("http://{host}:{port}/"), &settings, None);
        let expected = if is_direct { "ok" } else { "proxied" };
        assert_eq!(front.ask("GET", "/").text(), expected, "{bypass} {host}");
    }
}

#[test]
fn a_proxy_that_refuses_costs_the_exchange() {
    const REFUSED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                           Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let proxy = Recorder::answering(REFUSED);
    let settings = through(&format!("http://{}", proxy.address));
    let sandbox = Sandbox::new();
    let roots = Destination::saying(Speaks::Tls, None).certificate;
    let tunnel = front(
        &sandbox,
        "https://app.example/",
        &settings,
        roots.as_deref(),
    );
    assert_eq!(tunnel.ask("GET", "/").status, 502);
    eventually("the log says why", || {
        let log = tunnel.process.errors().join("\n");
        log.contains("the proxy answers CONNECT with 407 Proxy Authentication Required")
    });
    // Of a request in absolute form it is the answer, less what is between front and proxy.
    let sandbox = Sandbox::new();
    let forwarding = front(&sandbox, "http://app.example/", &settings, None);
    let answer = forwarding.ask("GET", "/");
    assert_eq!(answer.status, 407);
    assert_eq!(answer.field("proxy-authenticate"), None);
    let sandbox = Sandbox::new();
    let settings = through(&format!("http://{}", refusing()));
    let unreachable = front(&sandbox, "http://app.example/", &settings, None);
    assert_eq!(unreachable.ask("GET", "/").status, 502);
}

/// RFC 1928 and RFC 1929.
#[test]
fn socks_5_carries_the_name_and_the_credentials() {
    let destination = Recorder::answering(OK);
    let to = destination.address;
    let proxy = Recorder::start(move |incoming| {
        incoming.noted(3)?;
        incoming.send(&[5, 2])?;
        incoming.noted(2 + 4 + 1 + 6)?;
        incoming.send(&[1, 0])?;
        incoming.noted(4 + 1 + "app.example".len() + 2)?;
        incoming.send(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        incoming.join(to)
    });
    let sandbox = Sandbox::new();
    let settings = through(&format!("socks5://user:secret@{}", proxy.address));
    let front = front(&sandbox, "http://app.example:8080/", &settings, None);
    assert_eq!(front.ask("GET", "/x").text(), "ok");
    let wanted: [&[u8]; 3] = [
        b"\x05\x01\x02",
        b"\x01\x04user\x06secret",
        b"\x05\x01\x00\x03\x0bapp.example\x1f\x90",
    ];
    assert_eq!(proxy.bytes(), wanted);
    let head = destination.seen().pop().unwrap();
    assert!(
        head.starts_with("GET /x HTTP/1.1\r\nhost: app.example:8080\r\n"),
        "{head:?}"
    );
}

#[test]
fn socks_4_carries_an_address_and_socks_4a_a_name() {
    let destination = Recorder::answering(OK);
    let to = destination.address;
    let port = to.port();
    for (scheme, host, wanted) in [
        ("socks4", "127.0.0.1", &b"\x7f\x00\x00\x01\x00"[..]),
        (
            "socks4a",
            "app.example",
            b"\x00\x00\x00\x01\x00app.example\x00",
        ),
    ] {
        let count = 4 + wanted.len();
        let proxy = Recorder::start(move |incoming| {
            incoming.noted(count)?;
            incoming.send(&[0, 90, 0, 0, 0, 0, 0, 0])?;
            incoming.join(to)
        });
        let sandbox = Sandbox::new();
        let settings = through(&format!("{scheme}://{}", proxy.address));
        let front = front(&sandbox, &format!("http://{host}:{port}/"), &settings, None);
        assert_eq!(front.ask("GET", "/x").text(), "ok", "{scheme}");
        let [high, low] = port.to_be_bytes();
        let handshake = proxy.bytes().remove(0);
        assert_eq!(handshake[..4], [4, 1, high, low]);
        // Of a name, only that the address is an impossible one is said (SOCKS 4A).
        let tail = &handshake[4..];
        assert_eq!(tail[..3], wanted[..3], "{scheme}");
        assert_eq!(tail[4..], wanted[4..], "{scheme}");
    }
}

#[test]
fn probes_pass_the_proxy_in_the_clusters_version() {
    let sandbox = Sandbox::new();
    let proxy = Recorder::proxy(refusing());
    let settings = json!({
        "HttpClient": { "WebProxy": { "Address": format!("http://{}", proxy.address) } },
        "HttpRequest": { "Version": "1.0" },
        "HealthCheck": { "Active": { "Enabled": true, "Path": "/health" } },
    });
    let _front = front(&sandbox, "http://app.example:8080/", &settings, None);
    eventually("the destination is probed", || !proxy.seen().is_empty());
    let head = proxy.seen().remove(0);
    let line = "GET http://app.example:8080/health HTTP/1.0\r\n";
    assert!(head.starts_with(line), "{head:?}");
}

/// Reference B19: the bytes on the wire, as they come and in an encoding.
#[test]
fn fields_of_requests_are_sent_in_the_encoding_that_is_named() {
    let destination = Recorder::answering(OK);
    let address = format!("http://{}/", destination.address);
    for (encoding, sent, expected) in [
        (None, &b"\xe9\xc3\xa9"[..], Ok(&b"\xe9\xc3\xa9"[..])),
        (
            Some("utf-8"),
            "\u{e9}\u{20ac}".as_bytes(),
            Ok("\u{e9}\u{20ac}".as_bytes()),
        ),
        (Some("latin1"), "\u{e9}\u{ff}".as_bytes(), Ok(b"\xe9\xff")),
        (Some("us-ascii"), b"plain", Ok(b"plain")),
        (Some("iso-8859-1"), "\u{20ac}".as_bytes(), Err(502)),
        (Some("us-ascii"), "\u{e9}".as_bytes(), Err(502)),
        // What is no UTF-8 is the client's mistake.
        (Some("utf-8"), b"\xe9", Err(400)),
        (Some("latin1"), b"\xe9", Err(400)),
    ] {
        let sandbox = Sandbox::new();
        let settings = json!({ "HttpClient": { "RequestHeaderEncoding": encoding } });
        let front = front(&sandbox, &address, &settings, None);
        let mut client = front.connect();
        let before = destination.bytes().len();
        client.send([b"GET / HTTP/1.1\r\nHost: x\r\nX-Name: ", sent, b"\r\n\r\n"].concat());
        let status = client.response().status;
        assert_eq!(
            status,
            expected.err().unwrap_or(200),
            "{encoding:?} {sent:?}"
        );
        let seen = destination.bytes().split_off(before);
        let Ok(expected) = expected else {
            assert!(seen.is_empty(), "{encoding:?} {sent:?}");
            continue;
        };
        let line = [b"\r\nx-name: ", expected, b"\r\n"].concat();
        let found = seen[0].windows(line.len()).any(|window| window == line);
        assert!(
            found,
            "{encoding:?} {sent:?}: {:?}",
            seen[0].escape_ascii().to_string()
        );
    }
}

#[test]
fn fields_of_responses_are_read_in_the_encoding_that_is_named() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Name: ";
    for (encoding, sent, expected) in [
        (None, &b"\xe9\xc3\xa9"[..], &b"\xe9\xc3\xa9"[..]),
        (Some("utf-8"), "\u{e9}".as_bytes(), "\u{e9}".as_bytes()),
        (Some("utf-8"), b"a\xe9b", "a\u{fffd}b".as_bytes()),
        (Some("latin1"), b"\xe9\xff", "\u{e9}\u{ff}".as_bytes()),
        (Some("us-ascii"), b"a\xe9b", b"a?b"),
    ] {
        let trailers = [b"\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: ", sent, b"\r\n\r\n"].concat();
        let destination = Recorder::answering([HEAD, sent, &trailers].concat());
        let sandbox = Sandbox::new();
        let settings = json!({ "HttpClient": { "ResponseHeaderEncoding": encoding } });
        let address = format!("http://{}/", destination.address);
        let front = front(&sandbox, &address, &settings, None);
        let mut client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close\r\n\r\n");
        let response = client.rest();
        for name in ["x-name", "x-trailer"] {
            let line = [b"\r\n", name.as_bytes(), b": ", expected, b"\r\n"].concat();
            let found = response.windows(line.len()).any(|window| window == line);
            let shown = response.escape_ascii().to_string();
            assert!(found, "{encoding:?} {name} {sent:?}: {shown}");
        }
    }
}

/// Reference B9 and B12.2.
#[test]
fn http_1_0_is_spoken_where_it_can_be() {
    let (_target, address);
    let sandbox = Sandbox::new();
    (_target, address) = sandbox.listening_target("q");
    let destination = Recorder::answering("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let settings = json!({ "HttpRequest": { "Version": "1.0" } });
    let recorded = format!("http://{}/", destination.address);
    let front = front(&sandbox, &recorded, &settings, None);
    assert_eq!(front.ask("GET", "/x?y").text(), "ok");
    assert_eq!(front.connect().post("/z", b"hello").text(), "ok");
    let (get, post) = (
        "GET /x?y HTTP/1.0\r\n\
         host: AUTHORITY\r\n\
         x-forwarded-for: 127.0.0.1\r\n\
         x-forwarded-host: test\r\n\
         x-forwarded-proto: http\r\n\r\n",
        "POST /z HTTP/1.0\r\n\
         host: AUTHORITY\r\n\
         content-length: 5\r\n\
         x-forwarded-for: 127.0.0.1\r\n\
         x-forwarded-host: test\r\n\
         x-forwarded-proto: http\r\n\r\n",
    );
    let authority = destination.address.to_string();
    let wanted = [get, post].map(|head| head.replace("AUTHORITY", &authority));
    assert_eq!(destination.seen(), wanted);
    let mut client = front.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().status, 502);
    assert_eq!(
        destination.seen().len(),
        2,
        "nothing is sent of a chunked body"
    );
    // An upgrade is of HTTP/1.1.
    let other = Sandbox::new();
    let front = self::front(&other, &address, &settings, None);
    converse(&mut web_socket(front.port, ""));
}

/// Reference B10.1: a connection is open after 15 seconds, or the answer is 504.
#[test]
fn a_connection_that_does_not_come_about_is_a_gateway_timeout() {
    let sandbox = Sandbox::new();
    let (address, _listener, _filling) = unanswering();
    let front = front(&sandbox, &format!("http://{address}/"), &json!({}), None);
    assert_eq!(front.ask("GET", "/").status, 504);
    // The tunnel of a proxy is part of it.
    let silent = Recorder::start(|incoming| {
        incoming.head()?;
        incoming.head().map(|_| ())
    });
    let sandbox = Sandbox::new();
    let roots = Destination::saying(Speaks::Tls, None).certificate;
    let settings = through(&format!("http://{}", silent.address));
    let front = self::front(
        &sandbox,
        "https://app.example/",
        &settings,
        roots.as_deref(),
    );
    let mut client = front.connect();
    client
        .socket()
        .set_read_timeout(Some(2 * PATIENCE))
        .unwrap();
    assert_eq!(client.ask("GET", "/").status, 504);
    assert_eq!(silent.seen().len(), 1);
}

#[test]
fn destinations_that_cannot_be_reached_are_a_bad_gateway() {
    let plain = Recorder::start(|incoming| {
        incoming.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
        incoming.head().map(|_| ())
    });
    let stranger = Destination::saying(Speaks::Tls, None);
    let trusted = Destination::saying(Speaks::Tls, None).certificate;
    for (what, address) in [
        ("refused", format!("http://{}/", refusing())),
        ("no such name", "http://no-such-name.invalid/".to_owned()),
        (
            "no TLS",
            format!("https://localhost:{}/", plain.address.port()),
        ),
        (
            "unknown",
            format!("https://localhost:{}/", stranger.address.port()),
        ),
    ] {
        let sandbox = Sandbox::new();
        let front = front(&sandbox, &address, &json!({}), trusted.as_deref());
        let mut client = front.connect();
        for _ in 0..2 {
            assert_eq!(client.ask("GET", "/").status, 502, "{what}");
        }
    }
}

#[test]
fn mistakes_are_told_with_a_remedy() {
    let sandbox = Sandbox::new();
    let client = |client: Value| {
        json!({ "ReverseProxy": { "Clusters": { "c": { "HttpClient": client } } } }).to_string()
    };
    let said = |json: &str| {
        let path = sandbox.configuration(json);
        let process = sandbox.ostler(&["check", "--config", path.to_str().unwrap()]);
        let status = process.wait();
        (status.code(), process)
    };
    for (settings, wanted) in [
        (
            json!({ "WebProxy": { "Address": "ftp://proxy" } }),
            "HttpClient:WebProxy:Address",
        ),
        (
            json!({ "RequestHeaderEncoding": "utf-16" }),
            "name utf-8, iso-8859-1 or us-ascii",
        ),
        (
            json!({ "ResponseHeaderEncoding": "utf8" }),
            "did you mean utf-8?",
        ),
    ] {
        let (code, process) = said(&client(settings));
        assert_eq!(code, Some(64), "{wanted}");
        eventually("the mistake is told", || {
            process.errors().join("\n").contains(wanted)
        });
    }
    let settings = json!({ "WebProxy": { "Address": "http://p", "UseDefaultCredentials": true } });
    let (code, process) = said(&client(settings));
    assert_eq!(code, Some(0));
    eventually("the remedy is told", || {
        process
            .errors()
            .join("\n")
            .contains("http://user:password@proxy:3128/")
    });
}
