//! Where connections come from and what they begin with: sockets in the file system, both families of
//! addresses, PROXY headers, http spoken where https is.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::support::{
    Authority, BothWays, Client, PATIENCE, Process, Sandbox, TlsSettings, WAYS, eventually, tls,
};

/// What the target says of the request it got.
fn echo<S: std::io::Read + std::io::Write>(client: &mut Client<S>, way: &str) -> Value {
    let response = client.ask("GET", &format!("{way}/echo"));
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn field(echo: &Value, name: &str) -> Option<String> {
    let fields = echo["fields"].as_array().unwrap();
    let field = fields.iter().find(|field| field[0] == name)?;
    Some(field[1].as_str().unwrap().to_owned())
}

fn start(sandbox: &Sandbox, ways: &BothWays, sections: &str) -> Process {
    let path = sandbox.configuration(&ways.configuration("", sections));
    sandbox.ostler(&["run", "--config", path.to_str().unwrap(), "--threads", "2"])
}

/// Connects with a PROXY header, or whatever these bytes are.
fn connect_with(port: u16, first: &[u8]) -> Client {
    let mut client = Client::connect(port);
    client.send(first);
    client
}

fn port(line: &str) -> u16 {
    line.rsplit(':').next().unwrap().parse().unwrap()
}

fn connect_unix(path: &Path) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream)
}

#[test]
fn a_socket_in_the_file_system_is_an_endpoint() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let path = sandbox.path().join("http.sock");
    let url = format!("http://unix:{}", path.display());
    let sections = format!(r#""Urls": "{url}","#);
    let front = start(&sandbox, &ways, &sections);
    front.wait_for_line(&format!("listening on {url}"));
    for _ in 0..4 {
        let mut client = connect_unix(&path);
        for way in WAYS {
            let echo = echo(&mut client, way);
            let arrival = if way == "/delegated" {
                "delegated"
            } else {
                "direct"
            };
            assert_eq!(echo["arrival"], arrival);
            // There is no address to speak of.
            assert_eq!(field(&echo, "x-forwarded-for"), None);
            if way == "/delegated" {
                assert_eq!(echo["client"], Value::Null);
            }
        }
        let body = vec![b'x'; 300_000];
        for way in WAYS {
            assert_eq!(client.post(&format!("{way}/upload"), &body).status, 200);
            let download = client.ask("GET", &format!("{way}/bytes/2000000"));
            assert_eq!(download.body.len(), 2_000_000);
        }
    }
    // Another front does not take it away, and a killed one's is replaced.
    let other = start(&sandbox, &ways, &sections);
    eventually("the other front says why", || {
        other.errors().iter().any(|line| line.contains(&url))
    });
    front.signal("KILL");
    eventually("the socket is left behind", || {
        path.exists() && UnixStream::connect(&path).is_err()
    });
    let next = start(&sandbox, &ways, &sections);
    next.wait_for_line(&format!("listening on {url}"));
    assert_eq!(connect_unix(&path).ask("GET", "/delegated/").status, 200);
    next.signal("TERM");
    eventually("the socket goes with its front", || !path.exists());
}

#[test]
fn a_socket_in_the_file_system_is_a_destination() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let path = sandbox.path().join("behind.sock");
    let url = format!("http://unix:{}", path.display());
    let behind = start(&sandbox, &ways, &format!(r#""Urls": "{url}","#));
    behind.wait_for_line(&format!("listening on {url}"));
    for (version, policy) in [
        ("1.1", "RequestVersionOrLower"),
        ("2", "RequestVersionExact"),
    ] {
        let other = Sandbox::new();
        let json = json!({ "ReverseProxy": {
            "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
            "Clusters": { "c": {
                "HttpRequest": { "Version": version, "VersionPolicy": policy },
                "HealthCheck": { "Active": { "Enabled": true, "Interval": "00:00:01", "Path": "/" } },
                "Destinations": { "d": { "Address": format!("{url}:/forwarded/") } } } } } });
        let front = other.front(&json.to_string());
        let mut client = front.connect();
        let echo = echo(&mut client, "");
        assert_eq!(echo["target"], "/forwarded/echo");
        assert_eq!(
            field(&echo, "x-forwarded-for").as_deref(),
            None,
            "{version}"
        );
        let body = vec![b'x'; 200_000];
        assert_eq!(client.post("/upload", &body).status, 200);
        assert_eq!(client.ask("GET", "/bytes/1000000").body.len(), 1_000_000);
        let lines = front.process.errors();
        assert!(
            !lines.iter().any(|line| line.contains("a probe fails")),
            "{lines:?}"
        );
    }
    // Nobody listens there.
    drop(behind);
    let other = Sandbox::new();
    let json = json!({ "ReverseProxy": {
        "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
        "Clusters": { "c": { "Destinations": { "d": { "Address": url } } } } } });
    let front = other.front(&json.to_string());
    assert_eq!(front.ask("GET", "/").status, 502);
}

#[test]
fn all_addresses_of_ipv6_are_all_of_ipv4_too() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let front = start(&sandbox, &ways, r#""Urls": "http://[::]:0","#);
    let line = front.line();
    assert!(line.starts_with("listening on http://[::]:"), "{line}");
    let port = port(&line);
    for way in WAYS {
        let seen = field(&echo(&mut Client::connect(port), way), "x-forwarded-for");
        if way == "/forwarded" {
            assert_eq!(seen.as_deref(), Some("127.0.0.1"));
        }
    }
    if let Ok(stream) = TcpStream::connect((IpAddr::V6(Ipv6Addr::LOCALHOST), port)) {
        assert_eq!(Client::over(stream).ask("GET", "/forwarded/").status, 200);
    }
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";

fn binary() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f".to_vec();
    header.extend([192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 187]);
    // A field of a kind that nobody here asks for.
    header.extend([0xee, 0, 0]);
    header
}

const TRUSTED: &str = r#""Ostler": { "ProxyProtocol": { "TrustedNetworks": [ "127.0.0.0/8" ] } },"#;

#[test]
fn a_trusted_peer_says_who_the_client_is() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let sections = format!(r#""Urls": "http://127.0.0.1:0", {TRUSTED}"#);
    let front = start(&sandbox, &ways, &sections);
    let port = port(&front.line());
    for header in [LINE.to_vec(), binary()] {
        for way in WAYS {
            let mut client = connect_with(port, &header);
            // Kept: the connection is that client's, request after request.
            for _ in 0..2 {
                let echo = echo(&mut client, way);
                if way == "/delegated" {
                    assert_eq!(echo["client"], "192.0.2.7:4711");
                    assert_eq!(echo["local"], "198.51.100.1:443");
                } else {
                    assert_eq!(
                        field(&echo, "x-forwarded-for").as_deref(),
                        Some("192.0.2.7")
                    );
                }
            }
        }
        // In one packet with the request, and cut into bytes.
        let request = b"GET /forwarded/echo HTTP/1.1\r\nHost: x\r\n\r\n";
        let whole = [&header[..], request].concat();
        let mut at_once = connect_with(port, &whole);
        assert_eq!(at_once.response().status, 200);
        let mut slow = Client::connect(port);
        for byte in &whole {
            slow.send([*byte]);
        }
        assert_eq!(slow.response().status, 200);
    }
    // The sender speaks for itself.
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
    ] {
        let echo = echo(&mut connect_with(port, header), "/forwarded");
        assert_eq!(
            field(&echo, "x-forwarded-for").as_deref(),
            Some("127.0.0.1")
        );
    }
}

#[test]
fn a_trusted_peer_that_does_not_say_who_the_client_is_is_not_served() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let sections = format!(r#""Urls": "http://127.0.0.1:0", {TRUSTED}"#);
    let front = start(&sandbox, &ways, &sections);
    let port = port(&front.line());
    for first in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"PROXY TCP4 x y 1 2\r\n",
    ] {
        assert!(connect_with(port, first).is_closed());
    }
    eventually("the log says why", || {
        let lines = front.errors();
        let says = |text: &str| lines.iter().any(|line| line.contains(text));
        says("does not begin with a PROXY header") && says("version 1 is malformed")
    });
}

#[test]
fn nobody_else_is_believed() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let sections = r#""Kestrel": { "Endpoints": {
            "told": { "Url": "http://127.0.0.1:0" }, "plain": { "Url": "http://127.0.0.1:0" } } },
        "Ostler": { "ProxyProtocol": { "TrustedNetworks": [ "127.0.0.0/8" ], "Endpoints": [ "told" ] } },"#;
    let front = start(&sandbox, &ways, sections);
    // To everybody else it is the malformed head of a request.
    let as_head = [LINE, b"\r\n"].concat();
    // Endpoints come in the order of their names.
    let (plain, told) = (port(&front.line()), port(&front.line()));
    assert_eq!(Client::connect(plain).ask("GET", "/forwarded/").status, 200);
    assert_eq!(connect_with(plain, &as_head).response().status, 400);
    assert_eq!(
        connect_with(told, LINE).ask("GET", "/forwarded/").status,
        200
    );
    drop(front);
    let sections = r#""Urls": "http://127.0.0.1:0",
        "Ostler": { "ProxyProtocol": { "TrustedNetworks": [ "10.0.0.0/8" ] } },"#;
    let front = start(&sandbox, &ways, sections);
    let port = port(&front.line());
    assert_eq!(Client::connect(port).ask("GET", "/forwarded/").status, 200);
    assert_eq!(connect_with(port, &as_head).response().status, 400);
}

#[test]
fn a_proxy_header_goes_before_tls() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let authority = Authority::new("Test Root");
    let (certificate, key) = authority
        .issue(&["localhost"])
        .write(sandbox.path(), "server");
    let endpoint = json!({ "Url": "https://127.0.0.1:0",
        "Certificate": { "Path": certificate, "KeyPath": key } });
    let sections = format!(r#""Kestrel": {{ "Endpoints": {{ "a": {endpoint} }} }}, {TRUSTED}"#);
    let front = start(&sandbox, &ways, &sections);
    let port = port(&front.line());
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&binary()).unwrap();
    let config = TlsSettings::new(&authority).config();
    let session = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut client = Client::over(StreamOwned::new(session, socket));
    for way in WAYS {
        let echo = echo(&mut client, way);
        let seen = match way {
            "/delegated" => echo["client"].as_str().map(str::to_owned),
            _ => field(&echo, "x-forwarded-for").map(|ip| format!("{ip}:4711")),
        };
        assert_eq!(seen.as_deref(), Some("192.0.2.7:4711"));
    }
}

#[test]
fn http_spoken_to_an_https_port_gets_a_readable_answer() {
    let sandbox = Sandbox::new();
    let ways = BothWays::new(&sandbox);
    let authority = Authority::new("Test Root");
    let (certificate, key) = authority
        .issue(&["localhost"])
        .write(sandbox.path(), "server");
    let endpoint = json!({ "Url": "https://127.0.0.1:0",
        "Certificate": { "Path": certificate, "KeyPath": key } });
    let sections = format!(r#""Kestrel": {{ "Endpoints": {{ "a": {endpoint} }} }},"#);
    let front = start(&sandbox, &ways, &sections);
    let port = port(&front.line());
    let mut client = Client::connect(port);
    let response = client.ask("GET", "/");
    assert_eq!(response.status, 400);
    assert!(response.text().contains("https"), "{}", response.text());
    assert!(client.is_closed());
    // The head alone, to HEAD; and all of it behind a body that nobody reads.
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
        .write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"),
        "{answer:?}"
    );
    let response = Client::connect(port).post("/", &vec![b'x'; 200_000]);
    assert_eq!(response.status, 400);
    // Who speaks TLS is served as ever.
    let mut client = tls(port, "localhost", TlsSettings::new(&authority).config());
    assert_eq!(client.ask("GET", "/forwarded/").status, 200);
}
