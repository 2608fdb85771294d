//! Exchanges over TLS that are delegated, since the kernel encrypts and decrypts for whoever holds the
//! client's socket. Where the kernel does not, these tests say so and pass over, unless
//! `OSTLER_EXPECT_KERNEL_TLS` is set, as it is in `tests/vm`.

use std::io::{ErrorKind, Read, Write};

use serde_json::json;

use crate::support::{
    Authority, BothWays, Front, Sandbox, TlsClient, TlsSettings, WAYS, delegating_by_path,
    delegating_to, eventually, tls,
};
use crate::tls::{authority, kestrel, sha256, start_logging};
use crate::upgrades::{converse, say_goodbye};

const LOG: &str = "ostler::exchange=debug,ostler_proxy=debug,info";

/// A front with one https endpoint, if exchanges over it are delegated.
fn start(sandbox: &Sandbox, proxy: &str) -> Option<Front> {
    let sections = format!("{{ {}", kestrel(sandbox, json!({})));
    let front = start_logging(sandbox, &proxy.replacen('{', &sections, 1), LOG);
    let said = |words: &str| {
        let lines = front.process.errors();
        lines.iter().any(|line| line.contains(words))
    };
    let offered = || said("the kernel does TLS");
    eventually("the front knows what the kernel does", || {
        offered() || said("exchanges over TLS are not delegated")
    });
    if offered() {
        return Some(front);
    }
    let expected = std::env::var_os("OSTLER_EXPECT_KERNEL_TLS").is_some();
    assert!(!expected, "kernel TLS is expected");
    eprintln!("passed over: the kernel does not offer TLS");
    None
}

/// Modes of the exchanges that are over, by the front's log.
fn modes(front: &Front) -> Vec<String> {
    let mode = |line: &String| {
        let (_, rest) = line.split_once("mode=")?;
        Some(rest.split(' ').next()?.trim_matches('"').to_owned())
    };
    front.process.errors().iter().filter_map(mode).collect()
}

/// With TLS 1.2 and with TLS 1.3, one after the other.
fn clients(authority: &Authority, port: u16) -> impl Iterator<Item = TlsClient> {
    let versions = rustls::ALL_VERSIONS.iter();
    versions.map(move |version| {
        let versions = [*version];
        let settings = TlsSettings {
            versions: &versions,
            ..TlsSettings::new(authority)
        };
        settings.connect(port)
    })
}

fn large() -> Vec<u8> {
    (0..3_000_000u32).map(|at| (at % 251) as u8).collect()
}

/// What `/bytes/N` answers.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| at as u8).collect()
}

/// Whether the server has said that nothing more comes, and nothing came.
fn ends_properly(client: &mut TlsClient) -> bool {
    matches!(client.stream().read(&mut [0]), Ok(0))
}

#[test]
fn requests_of_a_connection_go_to_two_targets() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let (a, b) = (sandbox.target("a", &[]), sandbox.target("b", &[]));
    let Some(front) = start(&sandbox, &delegating_by_path(&["a", "b"])) else {
        return;
    };
    let mut asked = 0;
    for mut client in clients(&authority, front.port) {
        let own = client.stream().sock.socket.local_addr().unwrap();
        for _ in 0..2 {
            for (path, target) in [("/a", &a), ("/b", &b)] {
                let echo = client.ask("GET", &format!("{path}/echo?q=1")).json();
                assert_eq!(echo["arrival"], "delegated");
                assert_eq!(echo["pid"], target.pid());
                assert_eq!(echo["scheme"], "https");
                assert_eq!(echo["server_name"], "localhost");
                assert_eq!(echo["client"], own.to_string());
                asked += 1;
            }
        }
        // Two at once: what is behind the first waits in the front, or came with its record.
        client.send("GET /a/ HTTP/1.1\r\nHost: x\r\n\r\nGET /b/ HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.response().pid(), a.pid());
        assert_eq!(client.response().pid(), b.pid());
        asked += 2;
    }
    eventually("every exchange is told of", || modes(&front).len() == asked);
    assert!(
        modes(&front).iter().all(|mode| mode == "delegated"),
        "{:?}",
        modes(&front)
    );
}

#[test]
fn bodies_of_any_kind_go_both_ways() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let both = BothWays::new(&sandbox);
    let Some(front) = start(&sandbox, &both.configuration("", "")) else {
        return;
    };
    let (large, pattern) = (large(), pattern(3_000_000));
    for mut client in clients(&authority, front.port) {
        // The first exchange moves the session, unless it comes with more than travels with a request.
        assert_eq!(
            client.ask("GET", "/delegated/echo").json()["arrival"],
            "delegated"
        );
        // What is forwarded afterwards goes through the kernel as well.
        for way in WAYS {
            let uploaded = client.post(&format!("{way}/upload"), &large).json();
            assert_eq!(uploaded["sha256"], sha256(&large), "{way}");
            client.send(format!(
                "POST {way}/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            ));
            for part in large.chunks(70_001) {
                client.send(format!("{:x}\r\n", part.len()));
                client.send(part);
                client.send("\r\n");
            }
            client.send("0\r\n\r\n");
            assert_eq!(client.response().json()["sha256"], sha256(&large), "{way}");
            let known = client.ask("GET", &format!("{way}/bytes/3000000"));
            assert!(known.body == pattern, "{way}");
            let chunked = client.ask("GET", &format!("{way}/stream/3000000"));
            assert_eq!(chunked.field("transfer-encoding"), Some("chunked"));
            assert!(chunked.body == pattern, "{way}");
            assert_eq!(client.ask("HEAD", &format!("{way}/bytes/7")).status, 200);
            client.send(format!(
                "POST {way}/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                 Content-Length: 5\r\n\r\n"
            ));
            assert_eq!(client.response().status, 100);
            client.send("hello");
            assert_eq!(client.response().json()["sha256"], sha256(b"hello"));
            assert_eq!(client.ask("GET", "/nowhere").status, 404);
        }
    }
}

/// The session moves in the middle of what a client sends, wherever its records are cut.
#[test]
fn an_upload_may_come_first() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    for size in [1, 1000, 16_000, 16_384, 20_000, 40_000, 3_000_000] {
        let body = &large()[..size];
        for mut client in clients(&authority, front.port) {
            let mut request =
                format!("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
                    .into_bytes();
            request.extend_from_slice(body);
            client.send(request);
            assert_eq!(client.response().json()["sha256"], sha256(body), "{size}");
            // Now at the latest.
            assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
        }
    }
    assert!(modes(&front).iter().any(|mode| mode == "delegated"));
}

#[test]
fn nothing_of_a_delegated_response_crosses_the_wire_in_clear_text() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    let marker = "a-text-that-nobody-else-says";
    for mut client in clients(&authority, front.port) {
        for _ in 0..3 {
            let echo = client.ask("GET", &format!("/echo?{marker}"));
            assert_eq!(echo.json()["arrival"], "delegated");
            assert!(echo.text().contains(marker));
        }
        assert!(client.ask("GET", "/bytes/100000").body == pattern(100_000));
        client.send(
            "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        );
        assert_eq!(client.response().status, 100);
        client.send("x");
        assert_eq!(client.response().status, 200);
        // The front's own answer, behind the target's.
        client.send("no request\r\n\r\n");
        assert_eq!(client.response().status, 400);
        assert!(ends_properly(&mut client));
        let wire = &client.stream().sock.received;
        assert!(wire.len() > 100_000);
        let bytes = pattern(64);
        for clear in [&b"HTTP/1.1"[..], marker.as_bytes(), b"100 Continue", &bytes] {
            let found = wire.windows(clear.len()).any(|window| window == clear);
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
}

#[test]
fn the_front_is_out_of_the_byte_path() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    for mut client in clients(&authority, front.port) {
        client.send("GET /bytes/20000000 HTTP/1.1\r\nHost: x\r\n\r\n");
        let (status, _) = client.try_head().unwrap();
        assert_eq!(status, 200);
        front.process.signal("STOP");
        let body = client.read(20_000_000);
        front.process.signal("CONT");
        assert!(body == pattern(20_000_000));
        assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
    }
}

#[test]
fn a_connection_that_the_target_closes_ends_whole() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    // Sizes on both sides of what sockets hold.
    for size in [10, 100_000, 1_000_000, 5_000_001] {
        for mut client in clients(&authority, front.port) {
            client.send(format!(
                "GET /bytes/{size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ));
            let response = client.response();
            assert_eq!(response.field("connection"), Some("close"));
            assert!(response.body == pattern(size), "{size}");
            assert!(ends_properly(&mut client), "{size}");
            // And with a body that nobody has read.
            let mut client = TlsSettings::new(&authority).connect(front.port);
            client.send(format!(
                "POST /bytes/{size} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
            ));
            client.send([0; 20_000]);
            assert!(client.response().body == pattern(size), "{size}");
            drop(client);
        }
    }
}

#[test]
fn a_client_may_say_that_it_sends_no_more() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    for mut client in clients(&authority, front.port) {
        assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
        // Between two requests.
        client.stream().conn.send_close_notify();
        client.stream().flush().unwrap();
        assert!(ends_properly(&mut client));
    }
    for mut client in clients(&authority, front.port) {
        assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
        // Behind a request that is still to be answered.
        client.send("GET /delay/300 HTTP/1.1\r\nHost: x\r\n\r\n");
        client.stream().conn.send_close_notify();
        client.stream().flush().unwrap();
        assert_eq!(client.response().status, 200);
        assert!(ends_properly(&mut client));
    }
    for mut client in clients(&authority, front.port) {
        assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
        // In the middle of a body, which the target reads.
        client.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
        client.stream().conn.send_close_notify();
        client.stream().flush().unwrap();
        let said = client.rest();
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{said:?}");
    }
    // All of it was a matter of those connections.
    let mut client = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
}

#[test]
fn new_keys_of_a_client_end_its_connection() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    let mut client = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
    client.stream().conn.refresh_traffic_keys().unwrap();
    let _ = client.try_send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!client.rest().starts_with(b"HTTP"));
    let mut client = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
}

#[test]
fn a_response_that_is_cut_short_does_not_end_properly() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    for mut client in clients(&authority, front.port) {
        let target = sandbox.target("q", &[]);
        client.send("GET /bytes/200000000 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.try_head().unwrap().0, 200);
        target.kill();
        let mut sink = vec![0; 65536];
        let error = loop {
            match client.stream().read(&mut sink) {
                Ok(0) => panic!("the server says that this is all"),
                Ok(_) => {}
                Err(error) => break error.kind(),
            }
        };
        assert!(
            [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error),
            "{error}"
        );
    }
}

#[test]
fn web_sockets_are_the_targets_own() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let Some(front) = start(&sandbox, &delegating_to(&["q"])) else {
        return;
    };
    let config = TlsSettings::new(&authority).config();
    let mut sockets: Vec<_> = (0..2)
        .map(|_| {
            let stream = tls(front.port, "localhost", config.clone()).into_stream();
            let (socket, response) = tungstenite::client("wss://localhost/ws", stream).unwrap();
            assert_eq!(response.status(), 101);
            socket
        })
        .collect();
    for socket in &mut sockets {
        converse(socket);
    }
    say_goodbye(sockets.remove(0));
    front.process.kill();
    // Nobody of this machine but the target and the kernel is left.
    let mut socket = sockets.remove(0);
    converse(&mut socket);
    say_goodbye(socket);
}

#[test]
fn what_is_switched_off_is_streamed() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let _target = sandbox.target("q", &[]);
    let sections = format!(
        r#"{{ "Ostler": {{ "KernelTls": "off" }}, {}"#,
        kestrel(&sandbox, json!({}))
    );
    let json = delegating_to(&["q"]).replacen('{', &sections, 1);
    let front = start_logging(&sandbox, &json, LOG);
    let mut client = TlsSettings::new(&authority).connect(front.port);
    assert_eq!(client.ask("GET", "/echo").json()["arrival"], "streamed");
    let lines = front.process.errors();
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("the kernel does TLS"))
    );
}
