//! Destinations that write responses as servers of old do, and others whose responses nobody should
//! believe: what clients of both versions get.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::forwarding::forwarding;
use crate::support::http2_client::{Http2Client, get, run, whole};
use crate::support::http2_destination::{Http2Destination, blocking, send_trailers};
use crate::support::{Client, Destination, Sandbox, delegating_by_path};
use crate::uploads::{HTTP2, front};

/// A response as a client of either version has it: status, fields in order, body and trailers.
#[derive(Debug, PartialEq)]
struct Got {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
    trailers: Vec<String>,
}

impl Got {
    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(have, _)| have == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// Asks once over HTTP/1.1, and once over HTTP/2.
fn ask_both_ways(port: u16) -> [Got; 2] {
    let mut client = Client::connect(port);
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let (status, fields) = client.try_head().unwrap();
    let is_chunked = fields.iter().any(|(name, _)| name == "transfer-encoding");
    let rest = String::from_utf8(client.rest()).unwrap();
    let (body, trailers) = match is_chunked {
        false => (rest, Vec::new()),
        true => {
            let (chunks, trailers) = rest.split_once("0\r\n").unwrap();
            let body = chunks.split("\r\n").skip(1).step_by(2).collect();
            let trailers = trailers.split("\r\n").filter(|line| !line.is_empty());
            (body, trailers.map(str::to_owned).collect())
        }
    };
    let over_http1 = Got {
        status,
        fields,
        body,
        trailers,
    };
    let over_http2 = run(async {
        let client = Http2Client::connect(port).await;
        let response = client.get("/").await;
        let line = |(name, value): (&http::HeaderName, &HeaderValue)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        };
        let trailers = response.trailers.iter().flatten().map(line);
        Got {
            status: response.status(),
            fields: response.head.headers.iter().map(line).collect(),
            body: response.text().to_owned(),
            trailers: trailers
                .map(|(name, value)| format!("{name}: {value}"))
                .collect(),
        }
    });
    [over_http1, over_http2]
}

/// What clients get of a destination that says this to each request on a connection of its own.
fn through(says: &str) -> [Got; 2] {
    let sandbox = Sandbox::new();
    // One for each version. With one for both, the second request might come over the connection that
    // is about to be closed, and be lost with it.
    let destinations = [Destination::new(), Destination::new()];
    let [first, second] = destinations.each_ref().map(Destination::address);
    let front = sandbox.front(&forwarding(
        r#""LoadBalancingPolicy": "RoundRobin","#,
        &[
            &format!(r#""first": {{ "Address": "{first}" }}"#),
            &format!(r#""second": {{ "Address": "{second}" }}"#),
        ],
    ));
    let port = front.port;
    std::thread::scope(|scope| {
        let asking = scope.spawn(move || ask_both_ways(port));
        for destination in &destinations {
            let mut incoming = destination.accept();
            incoming.head();
            incoming.send(says);
        }
        asking.join().unwrap()
    })
}

#[test]
fn servers_of_old_are_understood() {
    // What is said, and what becomes of the field `x` and the body. Folds and blanks are .NET's way;
    // an HTTP/1.1 message of a later minor version is one.
    for (says, x, body) in [
        (
            "HTTP/1.1 200 OK\r\nX: a;\r\n\tb\r\n  c\r\nContent-Length:\r\n 2\r\n\r\nok",
            "a;  \tb    c",
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length : 2\r\n\r\nok",
            "1",
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: 1\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "1",
            "ok",
        ),
        (
            "HTTP/1.2 200 OK\r\nX: 1\r\nContent-Length: 2\r\n\r\nok",
            "1",
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\nX: 1\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n",
            "1",
            "ok",
        ),
        (
            "HTTP/1.1 200\r\nX: 1\r\nContent-Length: 2\r\n\r\nok",
            "1",
            "ok",
        ),
        (
            "\r\nHTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\n\r\nok",
            "1",
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "1",
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2, 2\r\n\r\nok",
            "1",
            "ok",
        ),
        (
            "HTTP/1.1 205 Reset Content\r\nX: 1\r\nContent-Length: 0\r\n\r\n",
            "1",
            "",
        ),
        (
            "HTTP/1.1 205 Reset Content\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "1",
            "",
        ),
    ] {
        for got in through(says) {
            assert!(got.status < 300, "{says:?}: {got:?}");
            assert_eq!(got.all("x"), [x], "{says:?}");
            assert_eq!(got.body, body, "{says:?}");
            let is_stated_twice = got.all("content-length").len() > 1;
            assert!(!is_stated_twice, "{says:?}: {got:?}");
        }
    }
}

#[test]
fn what_nobody_should_believe_is_a_bad_gateway() {
    for says in [
        // The client would not be told what the body is coded with.
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
        // RFC 9110 section 15.3.6.
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n X: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: 1\u{1}\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "SSH-2.0-OpenSSH_9.6\r\n",
    ] {
        for got in through(says) {
            assert_eq!((got.status, got.body.as_str()), (502, ""), "{says:?}");
        }
    }
}

#[test]
fn fields_that_a_destination_names_in_connection_stay_with_it() {
    let says = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Hop: 1\r\nConnection: X-Hop\r\n\r\n\
                HTTP/1.1 200 OK\r\nX-Hop: 1\r\nX-End: 1\r\nConnection: x-hop, keep-alive\r\n\
                Content-Length: 2\r\n\r\nok";
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = front(&sandbox, "", &destination.address());
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    incoming.send(says);
    let early = client.response();
    assert_eq!((early.status, early.field("link")), (103, Some("</a>")));
    let response = client.response();
    assert_eq!((response.status, response.field("x-end")), (200, Some("1")));
    for response in [early, response] {
        assert_eq!(response.field("x-hop"), None);
        assert_eq!(response.field("connection"), None);
    }
}

/// Names that mean something behind a body, and some that mean nothing there (RFC 9110 section
/// 6.5.1).
const TRAILERS: [&str; 13] = [
    "x-sum",
    "content-length",
    "host",
    "authorization",
    "set-cookie",
    "content-type",
    "content-encoding",
    "cache-control",
    "date",
    "location",
    "trailer",
    "transfer-encoding",
    "etag",
];

#[test]
fn trailers_that_mean_nothing_behind_a_body_end_here() {
    let lines: String = TRAILERS.map(|name| format!("{name}: 1\r\n")).concat();
    let folded = "X-T: a\r\n b\r\n";
    let got = through(&format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{lines}{folded}\r\n"
    ));
    for got in got {
        assert_eq!(got.body, "ok");
        assert_eq!(got.trailers, ["x-sum: 1", "etag: 1", "x-t: a   b"]);
    }
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut asked = destination.serve();
        let port = front.port;
        let asking = blocking(move || ask_both_ways(port));
        let answering = async {
            for _ in 0..2 {
                let mut request = asked.recv().await.unwrap();
                let mut answer = request.answer(200, false);
                let mut trailers = HeaderMap::new();
                for name in TRAILERS
                    .into_iter()
                    .filter(|name| *name != "transfer-encoding")
                {
                    trailers.insert(name, HeaderValue::from_static("1"));
                }
                send_trailers(&mut answer, b"ok", trailers);
            }
        };
        let (got, ()) = tokio::join!(asking, answering);
        for mut got in got {
            got.trailers.sort();
            assert_eq!(got.trailers, ["etag: 1", "x-sum: 1"]);
        }
    });
}

#[test]
fn a_205_of_an_http2_destination_has_no_body_either() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut asked = destination.serve();
        let port = front.port;
        let asking = blocking(move || ask_both_ways(port));
        let answering = async {
            for _ in 0..2 {
                let mut request = asked.recv().await.unwrap();
                let mut answer = request.answer(205, false);
                answer.send_data("ok".into(), true).unwrap();
            }
        };
        let (got, ()) = tokio::join!(asking, answering);
        for got in got {
            assert_eq!((got.status, got.body.as_str()), (502, ""));
        }
    });
}

#[test]
fn responses_may_have_any_number_of_fields() {
    let cookies: String = (0..3000)
        .map(|at| format!("Set-Cookie: {at}\r\n"))
        .collect();
    let got = through(&format!(
        "HTTP/1.1 200 OK\r\n{cookies}Content-Length: 2\r\n\r\nok"
    ));
    for got in got {
        assert_eq!((got.status, got.body.as_str()), (200, "ok"));
        let all = got.all("set-cookie");
        let expected: Vec<_> = (0..3000).map(|at| at.to_string()).collect();
        assert_eq!(all, expected);
    }
    // Delegated, and relayed.
    let sandbox = Sandbox::new();
    let _target = sandbox.target("a", &[]);
    let front = sandbox.front(&delegating_by_path(&["a"]));
    let fields: Vec<_> = (0..300).map(|at| format!("x-{at}={at}")).collect();
    let path = format!("/a/fields/200?{}", fields.join("&"));
    let response = front.connect().ask("GET", &path);
    let last = response.field("x-299").map(str::to_owned);
    assert_eq!((response.status, last.as_deref()), (200, Some("299")));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let (response, _stream) = client.begin(get(&path), true).await;
        let response = whole(response.await.unwrap()).await;
        assert_eq!((response.status(), response.text()), (200, "fields\n"));
        assert_eq!(response.head.headers["x-299"], "299");
    });
}

#[test]
fn a_head_is_as_long_as_it_is_however_it_arrives() {
    for (length, status) in [(65_536, 200), (65_537, 502)] {
        for pieces in [1, 100] {
            let sandbox = Sandbox::new();
            let destination = Destination::new();
            let front = front(&sandbox, "", &destination.address());
            let mut client = front.connect();
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let mut incoming = destination.accept();
            incoming.head();
            let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
            let filling = "x".repeat(length - start.len() - 4);
            let head = format!("{start}{filling}\r\n\r\n");
            for piece in head.as_bytes().chunks(length / pieces) {
                incoming.send(piece);
                std::thread::yield_now();
            }
            assert_eq!(client.response().status, status, "{length} in {pieces}");
        }
    }
}

#[test]
fn a_connection_is_not_used_where_the_destination_is_about_to_close_it() {
    // `timeout=1` leaves nothing of the second that the destination waits, and `max=0` no request.
    for (keep_alive, is_used_again) in [
        ("timeout=1", false),
        ("timeout=0", false),
        ("max=0", false),
        ("timeout=5, max=0", false),
        ("timeout=60, max=1", true),
    ] {
        let sandbox = Sandbox::new();
        let destination = Arc::new(Destination::new());
        let front = front(&sandbox, "", &destination.address());
        let mut client = front.connect();
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
        let answer =
            format!("HTTP/1.1 200 OK\r\nKeep-Alive: {keep_alive}\r\nContent-Length: 2\r\n\r\nok");
        client.send(post);
        let mut first = destination.accept();
        first.head();
        first.read(2);
        first.send(&answer);
        assert_eq!(client.response().text(), "ok");
        client.send(post);
        if !is_used_again {
            first = destination.accept();
        }
        first.head();
        first.read(2);
        first.send(&answer);
        assert_eq!(client.response().text(), "ok", "{keep_alive}");
    }
}
