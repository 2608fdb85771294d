//! Malformed and ambiguous requests: answered as RFC 9110 and 9112 say, and never seen by a target.

use crate::support::{Sandbox, delegating_to};

/// Behind each: a request that must not be answered, since where it begins is unknown.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

const REFUSED: &[(u16, &str)] = &[
    // Framing.
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 5\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4,\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -4\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4 4\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: four\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nabcd",
    ),
    (
        400,
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n",
    ),
    (
        501,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        501,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST / HTTP/1.1\r\nHost: x\r\nContent\0-Length: 4\r\n\r\nabcd",
    ),
    // Line ends.
    (400, "GET / HTTP/1.1\nHost: x\n\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\n\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"),
    (400, "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    // Request line.
    (400, " GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET /  HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
    (400, "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET /\r\n\r\n"),
    (400, "GET / HTTP/1\r\nHost: x\r\n\r\n"),
    (400, "GET / HTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET / http/1.1\r\nHost: x\r\n\r\n"),
    (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    // What HTTP/2 begins with, almost.
    (505, "PRI * HTTP/2.0\r\n\r\nMS\r\n\r\n"),
    (400, "G\"T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    // Fields.
    (400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nA: \u{1b}\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nA\u{e9}: b\r\n\r\n"),
    // Host.
    (400, "GET / HTTP/1.1\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: me@x\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: x:http\r\n\r\n"),
    (400, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
    // Request-target.
    (400, "GET x HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET * HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n"),
    (400, "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n"),
];

fn completed(sandbox: &Sandbox) -> u64 {
    let queues: serde_json::Value =
        serde_json::from_str(&sandbox.output(&["queues", "--json"])).unwrap();
    queues[0]["instances"][0]["completed"].as_u64().unwrap()
}

#[test]
fn malformed_and_ambiguous_heads_are_refused_by_the_front() {
    assert!(REFUSED.len() >= 60);
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    assert_eq!(front.ask("GET", "/").status, 200);
    let before = completed(&sandbox);
    for (status, request) in REFUSED {
        let shown = request.escape_debug();
        let mut client = front.connect();
        client.send(request);
        let _ = client.try_send(SMUGGLED);
        let response = client.response();
        assert_eq!(response.status, *status, "{shown}");
        assert_eq!(response.field("connection"), Some("close"), "{shown}");
        assert_eq!(client.rest(), b"", "{shown}");
    }
    assert_eq!(completed(&sandbox), before, "a target saw one of them");
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn heads_beyond_their_limits_are_refused() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let long = "a".repeat(10_000);
    let fields = "A: b\r\n".repeat(101);
    let wide = format!("A: {}\r\n", "b".repeat(8_000)).repeat(5);
    for (status, request) in [
        (414, format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        (414, format!("GET /{long}")),
        (431, format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: x\r\n{wide}\r\n")),
    ] {
        let mut client = front.connect();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, status);
        assert!(client.is_closed());
    }
    // Field lines count, with their ends; the request line does not (Kestrel).
    let mut client = front.connect();
    let fields = format!("Host: x\r\nA: {}\r\n", "b".repeat(32_768 - 14));
    assert_eq!(fields.len(), 32_768);
    client.send(format!("GET /{} HTTP/1.1\r\n{fields}\r\n", &long[..8000]));
    assert_eq!(client.response().status, 200);
    client.send(format!("GET / HTTP/1.1\r\nB:\r\n{fields}\r\n"));
    assert_eq!(client.response().status, 431);
    let nearly = format!(
        "GET /{} HTTP/1.1\r\nHost: x\r\n{}\r\n",
        &long[..8000],
        "A: b\r\n".repeat(99)
    );
    let mut client = front.connect();
    client.send(nearly);
    assert_eq!(client.response().status, 200);
}

/// The head is right, so a target has the request; the body is not, so nothing may follow it.
#[test]
fn malformed_chunks_end_the_connection() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    for body in [
        "x\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "5\r\nhello\r\n0\r\n folded: x\r\n\r\n",
    ] {
        // In one piece with the head, and behind it.
        for split in [false, true] {
            let mut client = front.connect();
            client.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            if split {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            client.send(body);
            let _ = client.try_send(SMUGGLED);
            let response = client.response();
            assert_eq!(response.status, 400, "{}", body.escape_debug());
            assert_eq!(client.rest(), b"", "{}", body.escape_debug());
        }
    }
    assert_eq!(front.ask("GET", "/").status, 200);
}

/// An unread body is brought to its end where that is worth while; what follows it is the next
/// request and nothing else.
#[test]
fn an_unread_body_does_not_become_a_request() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    let length = SMUGGLED.len();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    ));
    std::thread::sleep(std::time::Duration::from_millis(50));
    client.send(SMUGGLED);
    client.send("GET /echo?second HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().json()["target"], "/echo?second");
}
