//! Interim responses on their way from a destination to the client (RFC 9110 section 15.2), and
//! `Expect: 100-continue` (section 10.1.1; reference B10.2).

use std::sync::Arc;

use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{Request, Response};

use crate::forwarding::OK;
use crate::support::http2_client::{Http2Client, get, run, send, url, whole};
use crate::support::http2_destination::{Asked, Http2Destination, blocking};
use crate::support::{Client, Destination, Sandbox};
use crate::uploads::{HTTP2, front};

/// Two hints and something else, with fields of the destination's connection.
const EARLY: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\
    Link: </b.css>\r\nConnection: X-Own\r\nKeep-Alive: timeout=5\r\n\r\n\
    HTTP/1.1 103 Early Hints\r\nLink: </c.css>\r\n\r\n\
    HTTP/1.1 102 Processing\r\n\r\n";

const EXPECTED: [(u16, &[&str]); 3] = [
    (103, &["</a.css>; rel=preload", "</b.css>"]),
    (103, &["</c.css>"]),
    (102, &[]),
];

/// What the destination says ahead, to an HTTP/1.1 client.
fn hints_arrive(client: &mut Client) {
    for (status, links) in EXPECTED {
        let (said, fields) = client.try_head().unwrap();
        assert_eq!(said, status);
        let named = fields.iter().filter(|(name, _)| name == "link");
        let have: Vec<_> = named.map(|(_, value)| value.as_str()).collect();
        assert_eq!(have, links);
        for (name, _) in &fields {
            assert!(["link", "date"].contains(&name.as_str()), "{name}");
        }
    }
}

/// The same on a stream, in order, before `response` is there.
async fn hints_arrive_on(response: &mut ResponseFuture) {
    for (status, links) in EXPECTED {
        let early = std::future::poll_fn(|cx| response.poll_informational(cx));
        let early = early.await.expect("an interim response").unwrap();
        assert_eq!(early.status(), status);
        let have: Vec<_> = early.headers().get_all("link").iter().collect();
        assert_eq!(have, links);
        for name in early.headers().keys() {
            assert!(["link", "date"].contains(&name.as_str()), "{name}");
        }
    }
}

fn says_early(asked: &mut Asked) {
    asked.interim(
        103,
        &[("link", "</a.css>; rel=preload"), ("link", "</b.css>")],
    );
    asked.interim(103, &[("link", "</c.css>")]);
    asked.interim(102, &[]);
}

#[test]
fn hints_of_an_http1_destination_reach_all_but_http_1_0() {
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = front(&sandbox, "", &destination.address());
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    // On their own, before there is a response.
    incoming.send(EARLY);
    hints_arrive(&mut client);
    incoming.send(OK);
    assert_eq!(client.response().text(), "ok");
    // In one segment with the response, which is none of theirs.
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    incoming.head();
    incoming.send(format!("{EARLY}{OK}"));
    hints_arrive(&mut client);
    assert_eq!(client.response().text(), "ok");
    let mut old = front.connect();
    old.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    incoming.head();
    incoming.send(format!("{EARLY}{OK}"));
    assert_eq!(old.response().status, 200);
    run(async {
        let client = Http2Client::connect(front.port).await;
        for is_one in [false, true] {
            let (mut response, _stream) = client.begin(get("/"), true).await;
            incoming = blocking(move || {
                incoming.head();
                let at_once = if is_one { OK } else { "" };
                incoming.send(format!("{EARLY}{at_once}"));
                incoming
            })
            .await;
            hints_arrive_on(&mut response).await;
            if !is_one {
                incoming.send(OK);
            }
            assert_eq!(whole(response.await.unwrap()).await.text(), "ok");
        }
    });
}

#[test]
fn hints_of_an_http2_destination_reach_all_but_http_1_0() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let client = Http2Client::connect(front.port).await;
        for is_one in [false, true] {
            let mut old = front.connect();
            old.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            let mut asked = requests.recv().await.unwrap();
            says_early(&mut asked);
            if is_one {
                asked.answer(204, true);
            }
            let mut old = blocking(move || {
                hints_arrive(&mut old);
                old
            })
            .await;
            if !is_one {
                asked.answer(204, true);
            }
            assert_eq!(blocking(move || old.response().status).await, 204);

            let (mut response, _stream) = client.begin(get("/"), true).await;
            let mut asked = requests.recv().await.unwrap();
            says_early(&mut asked);
            if is_one {
                asked.answer(204, true);
            }
            hints_arrive_on(&mut response).await;
            if !is_one {
                asked.answer(204, true);
            }
            assert_eq!(response.await.unwrap().status(), 204);
        }
        let mut old = front.connect();
        old.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
        let mut asked = requests.recv().await.unwrap();
        says_early(&mut asked);
        asked.answer(204, true);
        assert_eq!(blocking(move || old.response().status).await, 204);
    });
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[test]
fn a_client_is_asked_for_its_body_when_the_destination_asks() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = front(&sandbox, "", &destination.address());
    let mut client = front.connect();
    let mut incoming = None;
    // Asked for by the destination; and without, after a second.
    for asks in [true, false, true] {
        client.send(EXPECTING);
        let incoming = incoming.get_or_insert_with(|| destination.accept());
        assert_eq!(incoming.head().all("expect"), ["100-continue"]);
        if asks {
            incoming.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        assert_eq!(client.response().status, 100);
        client.send("hello");
        assert_eq!(incoming.read(5), b"hello");
        incoming.send(OK);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
        assert_eq!(response.field("connection"), None);
    }
    assert!(destination.is_left_alone());
    // One that does not wait is not asked.
    client.send(format!("{EXPECTING}hello"));
    let mut incoming = incoming.unwrap();
    incoming.head();
    assert_eq!(incoming.read(5), b"hello");
    incoming.send(OK);
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_destination_that_refuses_is_passed_on_and_the_body_not_asked_for() {
    // The response is larger than what is read at a time.
    let text = "n".repeat(300_000);
    for status in [401, 413, 417] {
        let sandbox = Sandbox::new();
        let destination = Destination::new();
        let front = front(&sandbox, "", &destination.address());
        let mut client = front.connect();
        client.send(EXPECTING);
        let mut incoming = destination.accept();
        incoming.head();
        incoming.send(format!(
            "HTTP/1.1 {status} No\r\nContent-Length: 300000\r\n\r\n{text}"
        ));
        let response = client.response();
        assert_eq!(response.status, status);
        assert_eq!(response.text(), text);
        assert_eq!(response.field("connection"), Some("close"));
        assert!(client.is_closed());
        assert_eq!(incoming.rest(), b"", "no body");
        // Nobody uses that connection again.
        let mut client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut incoming = destination.accept();
        incoming.head();
        incoming.send(OK);
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn an_http2_destination_says_whether_it_wants_the_body() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let mut client = front.connect();
        client.send(EXPECTING);
        let mut asked = requests.recv().await.unwrap();
        assert_eq!(asked.field("expect"), Some("100-continue"));
        asked.interim(100, &[]);
        let client = blocking(move || {
            assert_eq!(client.response().status, 100);
            client.send("hello");
            client
        });
        let mut client = client.await;
        assert_eq!(asked.whole().await.0, b"hello");
        asked.answer(204, true);
        let client = blocking(move || {
            assert_eq!(client.response().status, 204);
            client.send(EXPECTING);
            client
        });
        let mut client = client.await;
        let mut asked = requests.recv().await.unwrap();
        let mut answer = asked.answer(413, false);
        send(&mut answer, b"no", true).await;
        blocking(move || {
            assert_eq!(client.response().text(), "no");
            assert!(client.is_closed());
        })
        .await;
        assert!(asked.data().await.is_err(), "no end of a body");
    });
}

fn expecting() -> Request<()> {
    Request::post(url("/"))
        .header("expect", "100-continue")
        .body(())
        .unwrap()
}

async fn is_asked(response: &mut ResponseFuture) {
    let early = std::future::poll_fn(|cx| response.poll_informational(cx));
    assert_eq!(early.await.unwrap().unwrap().status(), 100);
}

async fn answer_is(response: Response<RecvStream>, status: u16, text: &str) {
    let response = whole(response).await;
    assert_eq!((response.status(), response.text()), (status, text));
}

#[test]
fn an_http2_client_is_asked_likewise() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let client = Http2Client::connect(front.port).await;
        for asks in [true, false] {
            let (mut response, mut stream) = client.begin(expecting(), false).await;
            let mut asked = requests.recv().await.unwrap();
            assert_eq!(asked.field("expect"), Some("100-continue"));
            if asks {
                asked.interim(100, &[]);
            }
            is_asked(&mut response).await;
            send(&mut stream, b"hello", true).await;
            assert_eq!(asked.whole().await.0, b"hello");
            let mut answer = asked.answer(200, false);
            send(&mut answer, b"ok", true).await;
            answer_is(response.await.unwrap(), 200, "ok").await;
        }
        let (mut response, _stream) = client.begin(expecting(), false).await;
        let mut asked = requests.recv().await.unwrap();
        let mut answer = asked.answer(401, false);
        send(&mut answer, b"no", true).await;
        let early = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
        assert!(early.is_none(), "it is not asked");
        answer_is(response.await.unwrap(), 401, "no").await;
        assert!(asked.data().await.is_err(), "no end of a body");
    });
}

#[test]
fn an_http2_client_is_asked_for_an_http1_destination() {
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = front(&sandbox, "", &destination.address());
    run(async {
        let client = Http2Client::connect(front.port).await;
        let (mut response, mut stream) = client.begin(expecting(), false).await;
        let accepting = Arc::clone(&destination);
        let mut incoming = blocking(move || {
            let mut incoming = accepting.accept();
            assert_eq!(incoming.head().all("expect"), ["100-continue"]);
            incoming.send("HTTP/1.1 100 Continue\r\n\r\n");
            incoming
        })
        .await;
        is_asked(&mut response).await;
        send(&mut stream, b"hello", true).await;
        let incoming = blocking(move || {
            assert_eq!(incoming.chunked(5), b"hello");
            assert_eq!(incoming.line(), "0");
            assert_eq!(incoming.line(), "");
            incoming.send(OK);
            incoming
        });
        let mut incoming = incoming.await;
        answer_is(response.await.unwrap(), 200, "ok").await;
        let (response, _stream) = client.begin(expecting(), false).await;
        let rest = blocking(move || {
            incoming.head();
            incoming.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
            incoming.rest()
        });
        answer_is(response.await.unwrap(), 417, "no").await;
        assert_eq!(rest.await, b"", "no body");
    });
}
