//! TLS from clients: what is negotiated, what is shown to whom, and that nothing of it is ever said in
//! clear text (reference B20.3, B3.6 and B3.8).

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Authority, BothWays, Client, Front, Process, Response, Sandbox, TlsSettings, WAYS,
    delegating_to, eventually, tls,
};
use crate::upgrades::{converse, say_goodbye};

/// A front that listens where its configuration says, ready; and its first port.
pub(crate) fn start(sandbox: &Sandbox, json: &str) -> Front {
    start_logging(sandbox, json, "info")
}

pub(crate) fn start_logging(sandbox: &Sandbox, json: &str, log: &str) -> Front {
    start_with_file(sandbox, &sandbox.own_configuration(json), log)
}

pub(crate) fn start_with_file(sandbox: &Sandbox, path: &Path, log: &str) -> Front {
    let path = path.to_str().unwrap();
    let arguments = ["--log", log, "run", "--config", path, "--threads", "1"];
    let process = sandbox.ostler(&arguments);
    let line = process.line();
    let port = line
        .strip_prefix("listening on https://127.0.0.1:")
        .unwrap_or_else(|| panic!("{line:?}; {:?}", process.errors()));
    Front {
        port: port.parse().unwrap(),
        process,
    }
}

/// `"Kestrel": {...},` with one https endpoint, whose certificate is `PEM` and `KEY` in the sandbox.
pub(crate) fn kestrel(sandbox: &Sandbox, endpoint: Value) -> String {
    let mut all = json!({ "Url": "https://127.0.0.1:0", "Certificate": {
        "Path": sandbox.path().join("server.pem"), "KeyPath": sandbox.path().join("server.key") } });
    for (key, value) in endpoint.as_object().unwrap() {
        all[key] = value.clone();
    }
    let section = json!({ "Endpoints": { "secure": all } });
    format!(r#""Kestrel": {section},"#)
}

/// A certificate for `localhost` in the sandbox, and who vouches for it.
pub(crate) fn authority(sandbox: &Sandbox) -> Authority {
    let authority = Authority::new("Test Root");
    let identity = authority.issue(&["localhost"]);
    identity.write(sandbox.path(), "server");
    authority
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sent_field(echo: &Value, name: &str) -> Vec<String> {
    let fields = echo["fields"].as_array().unwrap().iter();
    let named = fields.filter(|field| field[0] == name);
    named
        .map(|field| field[1].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn requests_are_forwarded_and_streamed_over_one_connection() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    // Whatever the kernel could do.
    let off = r#""Ostler": { "KernelTls": "off" },"#;
    let kestrel = kestrel(&sandbox, json!({}));
    let json = both.configuration("", &format!("{off} {kestrel}"));
    let front = start_logging(&sandbox, &json, "ostler=debug,ostler_proxy=debug,info");
    let large: Vec<u8> = (0..5_000_000u32).map(|at| (at % 251) as u8).collect();
    for version in rustls::ALL_VERSIONS {
        let mut settings = TlsSettings::new(&authority);
        let versions = [*version];
        settings.versions = &versions;
        let mut client = settings.connect(front.port);
        let own = client.stream().sock.socket.local_addr().unwrap();
        for way in WAYS {
            let echo = client.ask("GET", &format!("{way}/echo?q=1")).json();
            match way {
                "/forwarded" => {
                    assert_eq!(sent_field(&echo, "x-forwarded-proto"), ["https"]);
                    assert_eq!(sent_field(&echo, "x-forwarded-for"), ["127.0.0.1"]);
                }
                _ => {
                    assert_eq!(echo["arrival"], "streamed");
                    assert_eq!(echo["scheme"], "https");
                    assert_eq!(echo["server_name"], "localhost");
                    assert_eq!(echo["client"], own.to_string());
                    assert_eq!(sent_field(&echo, "x-forwarded-proto"), [""; 0]);
                }
            }
            let uploaded = client.post(&format!("{way}/upload"), &large).json();
            assert_eq!(uploaded["sha256"], sha256(&large), "{way} {version:?}");
            let known = client.ask("GET", &format!("{way}/bytes/3000000"));
            assert_eq!((known.status, known.body.len()), (200, 3_000_000));
            let chunked = client.ask("GET", &format!("{way}/stream/3000000"));
            assert_eq!(chunked.field("transfer-encoding"), Some("chunked"));
            assert_eq!(chunked.body, known.body, "{way} {version:?}");
            let head = client.ask("HEAD", &format!("{way}/bytes/7"));
            assert_eq!((head.status, head.body.len()), (200, 0));
            client.send(format!(
                "POST {way}/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                 Content-Length: 5\r\n\r\n"
            ));
            assert_eq!(client.response().status, 100);
            client.send("hello");
            assert_eq!(client.response().json()["sha256"], sha256(b"hello"));
            // Two at once: what is behind the first waits in the front.
            let two = format!("GET {way}/status/404 HTTP/1.1\r\nHost: x\r\n\r\n");
            client.send(two.repeat(2));
            assert_eq!(client.response().status, 404);
            assert_eq!(client.response().status, 404);
        }
    }
    let said = |words: &str| {
        let lines = front.process.errors();
        lines.iter().any(|line| line.contains(words))
    };
    assert!(said("the client's connection cannot be given away"));
}

#[test]
fn nothing_of_a_response_crosses_the_wire_in_clear_text() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, json!({}))),
    );
    let mut client = TlsSettings::new(&authority).connect(front.port);
    let marker = "a-text-that-nobody-else-says";
    for way in WAYS {
        // Answered by the destination, which says the marker, and by the front itself.
        let echo = client.ask("GET", &format!("{way}/echo?{marker}"));
        assert!(echo.text().contains(marker));
        assert_eq!(client.ask("GET", "/nowhere").status, 404);
        client.send(format!(
            "POST {way}/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        ));
        assert_eq!(client.response().status, 100);
        client.send("x");
        assert_eq!(client.response().status, 200);
    }
    client.send("no request\r\n\r\n");
    assert_eq!(client.response().status, 400);
    assert_eq!(client.rest(), b"");
    let wire = &client.stream().sock.received;
    assert!(wire.len() > 1000);
    for clear in ["HTTP/1.1", marker, "Content-Length", "100 Continue"] {
        let clear = clear.as_bytes();
        let found = wire.windows(clear.len()).any(|bytes| bytes == clear);
        assert!(
            !found,
            "{:?} is on the wire",
            String::from_utf8_lossy(clear)
        );
    }
    // Records all the way: handshake, change of cipher, application data, alert.
    let mut rest = &wire[..];
    while !rest.is_empty() {
        assert!((20..=23).contains(&rest[0]), "a record of type {}", rest[0]);
        let length = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        rest = &rest[5 + length..];
    }
}

#[test]
fn web_sockets_are_joined_over_tls() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, json!({}))),
    );
    let config = TlsSettings::new(&authority).config();
    for way in WAYS {
        let stream = tls(front.port, "localhost", config.clone()).into_stream();
        let url = format!("wss://localhost{way}/ws");
        let (mut socket, response) = tungstenite::client(url, stream).unwrap();
        assert_eq!(response.status(), 101);
        converse(&mut socket);
        say_goodbye(socket);
    }
}

#[test]
fn a_request_over_tls_waits_for_its_target() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let first = sandbox.target("q", &["--mode", "create"]);
    let delegating = delegating_to(&["q"]);
    let json = delegating.replacen('{', &format!("{{ {}", kestrel(&sandbox, json!({}))), 1);
    let front = start_logging(&sandbox, &json, "ostler::exchange=debug,info");
    let mut client = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(client.ask("GET", "/").pid(), first.pid());
    // Where it is delegated, the target tells the front of its end after the client.
    eventually("the exchange is over for the front", || {
        let lines = front.process.errors();
        lines.iter().any(|line| line.contains("mode="))
    });
    first.kill();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let second = sandbox.target("q", &["--mode", "create"]);
    let response = client.response();
    assert_eq!((response.status, response.pid()), (200, second.pid()));
}

#[test]
fn versions_of_tls_are_those_of_the_endpoint() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let endpoint = kestrel(
        &sandbox,
        json!({ "SslProtocols": [ "Tls12" ], "Protocols": "Http1" }),
    );
    let front = start(&sandbox, &both.configuration("", &endpoint));
    let mut settings = TlsSettings::new(&authority);
    settings.alpn = &[b"h2", b"http/1.1"];
    let mut client = settings.try_connect(front.port).unwrap();
    let connection = &client.stream().conn;
    assert_eq!(
        connection.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_2)
    );
    assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(client.ask("GET", "/delegated/").status, 200);
    let newer = [&rustls::version::TLS13];
    settings.versions = &newer;
    let error = settings.try_connect(front.port).err().unwrap().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
    settings.versions = rustls::ALL_VERSIONS;
    settings.alpn = &[b"h2"];
    let error = settings.try_connect(front.port).err().unwrap().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn whoever_speaks_neither_tls_nor_http_hears_nothing_and_stalls_nobody() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let sections = kestrel(&sandbox, json!({}));
    let sections = sections.replacen(
        '{',
        r#"{ "Limits": { "RequestHeadersTimeout": "00:00:01" },"#,
        1,
    );
    let front = start(&sandbox, &both.configuration("", &sections));
    // It is answered by an alert, if at all.
    let mut clear = Client::connect(front.port);
    clear.send("\0\x01\x02 something else\r\n\r\n");
    let heard = clear.rest();
    assert!(heard.is_empty() || heard[0] == 21, "{heard:?}");
    assert!(heard.len() <= 7, "{heard:?}");
    // Some say nothing, some half a hello: others are served meanwhile.
    let mut silent: Vec<_> = (0..20).map(|_| Client::connect(front.port)).collect();
    for half in silent.iter_mut().step_by(2) {
        half.send([22, 3, 1, 2, 0, 1, 0]);
    }
    let mut client = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(client.ask("GET", "/forwarded/").status, 200);
    // And are let go of in the end.
    for silent in &mut silent {
        assert!(silent.is_closed());
    }
    assert_eq!(client.ask("GET", "/delegated/").status, 200);
}

/// A destination that answers every connection with the same bytes and closes it when `close` says
/// so: what is known to be broken before its first byte left is not begun.
fn destination(answer: &'static str, close: Receiver<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
            let _ = close.recv();
        }
    });
    address
}

#[test]
fn only_a_whole_response_ends_with_a_close_notify() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let (close, closes): (Vec<_>, Vec<_>) = (0..3).map(|_| channel()).unzip();
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour",
        "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nfour",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
    ];
    let address: Vec<_> = std::iter::zip(answers, closes)
        .map(|(answer, close)| destination(answer, close))
        .collect();
    let route = |id: &str| json!({ "ClusterId": id, "Match": { "Path": format!("/{id}") } });
    let cluster = |at: usize| json!({ "Destinations": { "d": { "Address": address[at] } } });
    let proxy = json!({
        "Routes": { "whole": route("whole"), "cut": route("cut"), "chunks": route("chunks") },
        "Clusters": { "whole": cluster(0), "cut": cluster(1), "chunks": cluster(2) } });
    let json = format!(
        r#"{{ {} "ReverseProxy": {proxy} }}"#,
        kestrel(&sandbox, json!({}))
    );
    let front = start(&sandbox, &json);
    // To an HTTP/1.0 client only the end of the connection is the end of an unknown length.
    let ask = |path: &str, close: &Sender<()>| {
        let mut client = TlsSettings::new(&authority).connect(front.port);
        client.send(format!("GET /{path} HTTP/1.0\r\n\r\n"));
        let mut heard = Vec::new();
        while !heard.ends_with(b"four") {
            let mut byte = [0];
            client.stream().read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        close.send(()).unwrap();
        let ended = client.stream().read_to_end(&mut Vec::new());
        ended.map_err(|error| error.kind())
    };
    assert_eq!(ask("whole", &close[0]), Ok(0));
    assert_eq!(ask("cut", &close[1]), Err(ErrorKind::UnexpectedEof));
    assert_eq!(ask("chunks", &close[2]), Err(ErrorKind::UnexpectedEof));
}

#[test]
fn curl_believes_the_certificate() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, json!({}))),
    );
    let root = sandbox.path().join("root.pem");
    std::fs::write(&root, &authority.pem).unwrap();
    for way in WAYS {
        let url = format!("https://localhost:{}{way}/bytes/1000000", front.port);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--ipv4", "--cacert"]);
        match command.arg(&root).arg(&url).arg(&url).output() {
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                assert_eq!(output.stdout.len(), 2_000_000, "{way}");
            }
            Err(error) => eprintln!("curl cannot be run ({error}); nothing is tested"),
        }
    }
}

#[test]
fn the_scheme_decides_ports_of_hosts_and_secure_cookies() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let endpoints = kestrel(&sandbox, json!({}));
    let json = both.configuration(r#""#, &endpoints);
    let json = json
        .replace(r#""Path": "/forwarded/"#, r#""Hosts": [ "shop.example:443" ], "Path": "/forwarded/"#)
        .replace(
            r#""Pipeline": ["#,
            r#""Pipeline": [ "SessionAffinity","#,
        )
        .replace(
            r#""delegated": { "Destinations""#,
            r#""delegated": { "SessionAffinity": { "Enabled": true, "Policy": "HashCookie",
                "AffinityKeyName": "key", "Cookie": { "SecurePolicy": "SameAsRequest" } }, "Destinations""#,
        );
    let front = start(&sandbox, &json);
    let mut client = TlsSettings::new(&authority).connect(front.port);
    // Without a port in `Host` it is that of the scheme.
    client.send("GET /forwarded/ HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(client.response().status, 200);
    client.send("GET /forwarded/ HTTP/1.1\r\nHost: shop.example:80\r\n\r\n");
    assert_eq!(client.response().status, 404);
    let response: Response = client.ask("GET", "/delegated/");
    let cookie = response.field("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("; secure"), "{cookie}");
}

#[test]
fn a_front_that_stops_finishes_what_it_relays_and_takes_its_leave() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, json!({}))),
    );
    let mut idle = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(idle.ask("GET", "/delegated/").status, 200);
    let mut busy: Vec<_> = WAYS
        .iter()
        .map(|way| {
            let mut client = TlsSettings::new(&authority).connect(front.port);
            client.send(format!("GET {way}/delay/1000 HTTP/1.1\r\nHost: x\r\n\r\n"));
            client
        })
        .collect();
    // Each is under way once another, asked later, is answered.
    for way in WAYS {
        assert_eq!(idle.ask("GET", &format!("{way}/")).status, 200);
    }
    front.process.signal("TERM");
    // A proper end: reading to it is no error.
    assert_eq!(idle.stream().read(&mut [0; 1]).unwrap(), 0);
    for client in &mut busy {
        assert_eq!(client.response().status, 200);
        assert_eq!(client.stream().read(&mut [0; 1]).unwrap(), 0);
    }
    assert!(front.process.wait().success());
}

#[test]
fn clients_that_go_leave_nothing_behind() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let front = start(
        &sandbox,
        &both.configuration("", &kestrel(&sandbox, json!({}))),
    );
    let config = TlsSettings::new(&authority).config();
    let round = || {
        for number in 0..60 {
            let mut client = tls(front.port, "localhost", config.clone());
            match number % 6 {
                // In the middle of a handshake, of a response, of a request's body; after an answer.
                0 => {
                    let stream = client.stream();
                    stream.conn.write_tls(&mut stream.sock).unwrap();
                }
                1 | 2 => {
                    let way = WAYS[number % 2];
                    client.send(format!(
                        "GET {way}/stream/3000000 HTTP/1.1\r\nHost: x\r\n\r\n"
                    ));
                    assert_eq!(client.try_head().unwrap().0, 200);
                }
                3 | 4 => {
                    let way = WAYS[number % 2];
                    client.send(format!(
                        "POST {way}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"
                    ));
                }
                _ => assert_eq!(client.ask("GET", "/delegated/").status, 200),
            }
        }
    };
    round();
    let settled = |process: &Process| {
        let mut last = usize::MAX;
        eventually("descriptors stay as they are", || {
            std::mem::replace(&mut last, process.descriptors()) == last
        });
        last
    };
    // Connections to the destination are kept for a while; more rounds need no more of them.
    let before = (settled(&front.process), settled(&both.target));
    round();
    eventually("all is given back", || {
        front.process.descriptors() <= before.0 + 4 && both.target.descriptors() <= before.1 + 4
    });
}
