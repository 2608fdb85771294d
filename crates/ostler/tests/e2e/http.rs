//! HTTP/1.1 through delegation: framings, versions, bodies of every size, real clients.

use std::time::Duration;

use crate::support::{Sandbox, delegating_to};

/// Bodies flow while the front cannot run at all. Its byte counts alone would not show that: the
/// kernel leaves `recv` and `send` out of `/proc/PID/io`.
#[test]
fn bodies_pass_the_front_by() {
    const DOWNLOAD: usize = 1_000_000_000;
    const UPLOAD: usize = 200_000_000;
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front_with(
        &delegating_to(&["q"]),
        &["--threads", "1", "Kestrel:Limits:MaxRequestBodySize=-1"],
    );
    let mut client = front.connect();
    client.ask("GET", "/");
    let before = front.process.bytes_moved();
    client.send(format!("GET /bytes/{DOWNLOAD} HTTP/1.1\r\nHost: x\r\n\r\n"));
    client.try_head().unwrap();
    front.process.signal("STOP");
    let mut left = DOWNLOAD;
    while left > 0 {
        let count = client.read(left.min(8_000_000)).len();
        assert!(count > 0, "{left} bytes are missing");
        left -= count;
    }
    front.process.signal("CONT");
    client.send(format!(
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {UPLOAD}\r\n\
         Expect: 100-continue\r\n\r\n"
    ));
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(client.read(go_on.len()), go_on);
    front.process.signal("STOP");
    let piece = vec![b'u'; 1_000_000];
    for _ in 0..UPLOAD / piece.len() {
        client.send(&piece);
    }
    assert_eq!(client.response().json()["length"], UPLOAD);
    front.process.signal("CONT");
    assert_eq!(client.ask("GET", "/").status, 200);
    let moved = front.process.bytes_moved() - before;
    assert!(moved < 1_000_000, "{moved} bytes went through the front");
}

#[test]
fn head_and_bodiless_statuses() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    let head = client.ask("HEAD", "/bytes/12345");
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("12345"))
    );
    for status in [204, 304, 404, 500] {
        let response = client.ask("GET", &format!("/status/{status}"));
        assert_eq!(response.status, status);
        assert!(response.field("date").is_some());
        // RFC 9110 section 8.6: it would be what GET gives.
        let stated = response.field("content-length");
        assert_eq!(stated.is_some(), status >= 400, "{status}: {stated:?}");
    }
    // A client would wait for the response itself behind these, or speak something else.
    for status in [100, 101, 103] {
        let response = client.ask("GET", &format!("/fields/{status}"));
        assert_eq!((response.status, response.body.len()), (500, 0));
    }
    // RFC 9110 section 15.3.6: what the application gives all the same is not sent.
    let reset = client.ask("GET", "/fields/205");
    assert_eq!((reset.status, reset.body.len()), (205, 0));
    assert_eq!(client.ask("GET", "/").status, 200);
}

#[test]
fn http_10_with_and_without_keep_alive() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    for _ in 0..2 {
        client.send("GET /bytes/10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!(response.body.len(), 10);
        assert_eq!(response.field("connection"), Some("keep-alive"));
    }
    // A body of unknown length ends with the connection.
    client.send("GET /stream/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!(response.body.len(), 100_000);
    assert_eq!(response.field("connection"), Some("close"));
    let mut client = front.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(client.is_closed());
}

#[test]
fn connection_close_is_obeyed() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response().field("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn chunked_uploads_and_what_follows_them() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    let parts: [&[&str]; 3] = [
        &["5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: x\r\n\r\n"],
        &["5\r\nhel", "lo\r\n", "6\r\n world\r\n0\r", "\n\r\n"],
        &["b\r\nhello world\r\n0\r\n\r\nGET /?next HTTP/1.1\r\nHost: x\r\n\r\n"],
    ];
    for pieces in parts {
        client.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in pieces {
            std::thread::sleep(Duration::from_millis(20));
            client.send(piece);
        }
        assert_eq!(client.response().json()["length"], 11);
    }
    assert_eq!(client.response().status, 200);
    assert_eq!(client.ask("GET", "/stream/70000").body.len(), 70_000);
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    for _ in 0..2 {
        client.send(
            "PUT /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        );
        assert_eq!(client.response().status, 100);
        client.send("hello");
        assert_eq!(client.response().json()["length"], 5);
    }
    // A handler that does not want the body says so, and nothing may follow on the connection.
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let response = client.response();
    assert_eq!(
        (response.status, response.field("connection")),
        (200, Some("close"))
    );
}

#[test]
fn fields_arrive_as_they_were_sent() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send(b"GET /echo HTTP/1.1\r\nHost: x\r\nB: 1\r\nA: caf\xe9\r\nb: 2\r\nC:\r\n\r\n");
    let echo = client.response().json();
    let field = |name: &str| -> Vec<String> {
        let fields = echo["fields"].as_array().unwrap().iter();
        let named = fields.filter(|field| field[0] == name);
        named
            .map(|field| field[1].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(field("b"), ["1", "2"]);
    assert_eq!(field("a"), ["caf\u{e9}"]);
    assert_eq!(field("c"), [""]);
    assert_eq!(field("host"), ["x"]);
    assert_eq!(
        echo["fields"].as_array().unwrap().len(),
        5,
        "nothing is added"
    );
}

#[test]
fn a_panic_is_a_500_and_the_target_lives() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/panic").status, 500);
    assert_eq!(client.ask("GET", "/").pid(), target.pid());
}

#[test]
fn a_large_unread_body_closes_without_losing_the_response() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send("POST /status/413 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
    let piece = vec![b'x'; 100_000];
    for _ in 0..5 {
        if client.try_send(&piece).is_err() {
            break;
        }
    }
    assert_eq!(client.response().status, 413);
}

#[test]
fn routing_answers_keep_the_connection() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(
        r#"{ "ReverseProxy": { "Routes": {
            "get": { "ClusterId": "c", "Match": { "Path": "/get", "Methods": [ "GET", "HEAD" ] } },
            "lost": { "ClusterId": "missing", "Match": { "Path": "/lost" } } },
            "Clusters": { "c": { "Destinations": {} } } } }"#,
    );
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/nowhere").status, 404);
    let response = client.ask("DELETE", "/get");
    assert_eq!(
        (response.status, response.field("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(client.ask("GET", "/lost").status, 503);
    assert_eq!(client.ask("GET", "/get").status, 503);
    // A body that is here with its head is in nobody's way.
    client.send("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(client.response().status, 404);
    assert_eq!(client.ask("GET", "/nowhere").status, 404);
}

#[test]
fn curl_is_content() {
    if std::process::Command::new("curl")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("curl is not there; nothing is tested");
        return;
    }
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let file = sandbox.path().join("upload");
    std::fs::write(&file, vec![b'c'; 3_000_000]).unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", front.port);
    let curl = |arguments: &[&str]| {
        let output = std::process::Command::new("curl")
            .arg("-sS")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    assert_eq!(curl(&[&url("/bytes/5000000")]).len(), 5_000_000);
    // curl asks for 100 Continue before bodies of this size.
    let data = format!("@{}", file.display());
    let answer = curl(&["--data-binary", &data, &url("/upload")]);
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["length"], 3_000_000);
    let chunked = curl(&[
        "-H",
        "Transfer-Encoding: chunked",
        "--data-binary",
        &data,
        &url("/upload"),
    ]);
    let chunked: serde_json::Value = serde_json::from_slice(&chunked).unwrap();
    assert_eq!(chunked, answer);
    assert!(
        String::from_utf8(curl(&["--http1.0", &url("/")]))
            .unwrap()
            .starts_with("sample ")
    );
}

#[test]
fn a_half_closing_client_gets_its_answer() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    // With a body whose end comes with the end of the stream, without one, and on a connection
    // that the target has already.
    for warm in [false, true] {
        for request in [
            "GET /bytes/300000 HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /bytes/300000 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        ] {
            let mut client = front.connect();
            if warm {
                assert_eq!(client.ask("GET", "/").status, 200);
            }
            client.send(request);
            client.shutdown_write();
            let response = client.response();
            assert_eq!((response.status, response.body.len()), (200, 300_000));
            assert!(client.is_closed());
        }
    }
}
