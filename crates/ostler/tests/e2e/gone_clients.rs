//! Clients that go away in every phase of a forwarded exchange (reference B14): nothing of
//! them is left in the front or at the destination.

use std::io::{Read, Write};

use http::Request;

use crate::forwarding::forwarding;
use crate::support::http2_client::{Http2Client, get, run, send, url};
use crate::support::http2_destination::next;
use crate::support::{Client, Process, Sandbox, TlsSettings, eventually};
use crate::tls::{authority, kestrel, start_logging};
use crate::upgrades::HANDSHAKE;

/// What is said before a client goes, and whether it waits until the response has begun.
const PHASES: [(&str, bool); 7] = [
    ("GET /delay/10000 HTTP/1.1\r\nHost: x\r\n\r\n", false),
    ("GET /bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n", true),
    ("GET /sse HTTP/1.1\r\nHost: x\r\n\r\n", true),
    (
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome",
        false,
    ),
    (
        "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
        false,
    ),
    (
        "POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        true,
    ),
    (HANDSHAKE, true),
];

fn go_away<S: Read + Write>(mut connect: impl FnMut() -> Client<S>) {
    for (says, waits) in PHASES {
        let mut client = connect();
        client.send(says);
        if waits {
            client.try_head().unwrap();
        }
    }
}

fn is_given_back(front: &Process, target: &Process, before: (usize, usize)) {
    for (process, before) in [(front, before.0), (target, before.1)] {
        eventually("all descriptors are closed", || {
            process.descriptors() <= before
        });
    }
}

fn descriptors(front: &Process, target: &Process) -> (usize, usize) {
    (front.descriptors(), target.descriptors())
}

#[test]
fn of_http1() {
    let sandbox = Sandbox::new();
    let (target, address) = sandbox.listening_target("q");
    let destination = format!(r#""d": {{ "Address": "{address}" }}"#);
    let front = sandbox.front_with(&forwarding("", &[&destination]), &["--threads", "1"]);
    assert_eq!(front.ask("GET", "/").status, 200);
    let before = descriptors(&front.process, &target);
    for _ in 0..5 {
        go_away(|| front.connect());
        // One that only says that it says no more is answered.
        let mut client = front.connect();
        client.send("GET /delay/100 HTTP/1.1\r\nHost: x\r\n\r\n");
        client.shutdown_write();
        assert_eq!(client.response().status, 200);
    }
    is_given_back(&front.process, &target, before);
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn of_tls() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let (target, address) = sandbox.listening_target("q");
    let destination = format!(r#""d": {{ "Address": "{address}" }}"#);
    let kestrel = kestrel(&sandbox, serde_json::json!({}));
    let json = forwarding("", &[&destination]).replacen('{', &format!("{{ {kestrel}"), 1);
    let front = start_logging(&sandbox, &json, "warn");
    let settings = TlsSettings::new(&authority);
    assert_eq!(settings.connect(front.port).ask("GET", "/").status, 200);
    let before = descriptors(&front.process, &target);
    for _ in 0..5 {
        go_away(|| settings.connect(front.port));
    }
    // The first client may have been counted.
    is_given_back(&front.process, &target, before);
    assert_eq!(settings.connect(front.port).ask("GET", "/").status, 200);
}

#[test]
fn of_http2() {
    let sandbox = Sandbox::new();
    let (target, address) = sandbox.listening_target("q");
    let destination = format!(r#""d": {{ "Address": "{address}" }}"#);
    let front = sandbox.front_with(&forwarding("", &[&destination]), &["--threads", "1"]);
    assert_eq!(front.ask("GET", "/").status, 200);
    let before = descriptors(&front.process, &target);
    run(async {
        let client = Http2Client::connect(front.port).await;
        for takes_back in [true, true, true, false] {
            let (_waits, mut first) = client.begin(get("/delay/10000"), true).await;
            let (response, mut second) = client.begin(get("/bytes/50000000"), true).await;
            let mut body = response.await.unwrap().into_body();
            next(&mut body).await.unwrap().unwrap();
            let upload = Request::post(url("/upload")).body(()).unwrap();
            let (_response, mut third) = client.begin(upload, false).await;
            send(&mut third, b"some", false).await;
            let socket = Request::builder()
                .method("CONNECT")
                .uri(url("/ws"))
                .header("sec-websocket-version", "13")
                .extension(h2::ext::Protocol::from_static("websocket"))
                .body(())
                .unwrap();
            let (response, mut fourth) = client.begin(socket, false).await;
            assert_eq!(response.await.unwrap().status(), 200);
            if takes_back {
                for stream in [&mut first, &mut second, &mut third, &mut fourth] {
                    stream.send_reset(h2::Reason::CANCEL);
                }
                // What it holds unread is of the connection's window.
                drop(body);
                assert_eq!(client.get("/").await.status(), 200);
            } else {
                client.ended.abort();
                break;
            }
        }
    });
    is_given_back(&front.process, &target, before);
    assert_eq!(front.ask("GET", "/").status, 200);
}
