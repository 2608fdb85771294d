//! Request bodies that break off, which no destination may take for whole, and responses that come
//! before their request is over (reference B1, B8 and B14).

use std::sync::Arc;

use http::Request;

use crate::forwarding::forwarding;
use crate::support::http2_client::{Http2Client, get, run, send, url, whole};
use crate::support::http2_destination::{Http2Destination, blocking, next, read};
use crate::support::{Client, Destination, Front, Incoming, Sandbox};

/// A setting of a cluster whose destination speaks HTTP/2 in clear text.
pub(crate) const HTTP2: &str =
    r#""HttpRequest": { "Version": "2", "VersionPolicy": "RequestVersionExact" },"#;

pub(crate) fn front(sandbox: &Sandbox, more: &str, address: &str) -> Front {
    let destination = format!(r#""d": {{ "Address": "{address}" }}"#);
    sandbox.front(&forwarding(more, &[&destination]))
}

const CHUNKED: &str =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

/// What a destination that has been sent `hello` of a chunked body is sent until the connection
/// ends.
fn is_cut_off(mut incoming: Incoming) {
    let rest = String::from_utf8(incoming.rest()).unwrap();
    assert_eq!(rest, "", "a body that broke off has no end");
}

fn begun(destination: &Destination) -> Incoming {
    let mut incoming = destination.accept();
    assert_eq!(incoming.head().all("transfer-encoding"), ["chunked"]);
    assert_eq!(incoming.chunked(5), b"hello");
    incoming
}

#[test]
fn an_http1_destination_sees_that_a_body_breaks_off() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let more = r#""HttpRequest": { "ActivityTimeout": "00:00:01" },"#;
    let front = front(&sandbox, more, &destination.address());
    // The client goes away.
    let mut client = front.connect();
    client.send(CHUNKED);
    let incoming = begun(&destination);
    drop(client);
    is_cut_off(incoming);
    // It says something that is no chunk.
    let mut client = front.connect();
    client.send(CHUNKED);
    let incoming = begun(&destination);
    client.send("no chunk\r\n");
    assert_eq!(client.response().status, 400);
    is_cut_off(incoming);
    // It falls silent.
    let mut client = front.connect();
    client.send(CHUNKED);
    let incoming = begun(&destination);
    assert_eq!(client.response().status, 408);
    is_cut_off(incoming);
    // The response comes first, and is whole.
    let mut client = front.connect();
    client.send(CHUNKED);
    let mut incoming = begun(&destination);
    incoming.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "early"));
    client.send("no chunk\r\n");
    is_cut_off(incoming);
    assert!(client.is_closed());
}

#[test]
fn an_http1_destination_sees_that_a_stream_breaks_off() {
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = front(&sandbox, "", &destination.address());
    run(async {
        let client = Http2Client::connect(front.port).await;
        for early in [false, true] {
            let request = Request::post(url("/")).body(()).unwrap();
            let (response, mut stream) = client.begin(request, false).await;
            send(&mut stream, b"hello", false).await;
            let destination = Arc::clone(&destination);
            let mut incoming = blocking(move || begun(&destination)).await;
            if early {
                incoming.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
                let response = whole(response.await.unwrap()).await;
                assert_eq!(response.text(), "early");
            }
            stream.send_reset(h2::Reason::CANCEL);
            blocking(|| is_cut_off(incoming)).await;
        }
    });
}

#[test]
fn an_http2_destination_sees_that_a_body_breaks_off() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let more = HTTP2.replace('}', r#", "ActivityTimeout": "00:00:01" }"#);
    let front = front(&sandbox, &more, &destination.address());
    run(async {
        let mut asked = destination.serve();
        for why in ["gone", "malformed", "silent"] {
            for is_answered in [false, true] {
                let mut client = front.connect();
                client.send(CHUNKED);
                let mut request = asked.recv().await.unwrap();
                assert_eq!(request.read(5).await, b"hello");
                if is_answered {
                    let mut stream = request.answer(200, false);
                    send(&mut stream, b"early", true).await;
                    client = blocking(move || {
                        assert_eq!(client.response().text(), "early");
                        client
                    })
                    .await;
                }
                match why {
                    "gone" => drop(client),
                    "malformed" => client.send("no chunk\r\n"),
                    _ => {}
                }
                let ended = request.data().await;
                assert!(ended.is_err(), "{why}, answered: {is_answered}");
            }
        }
        // A client whose stream is reset.
        let client = Http2Client::connect(front.port).await;
        for is_answered in [false, true] {
            let post = Request::post(url("/")).body(()).unwrap();
            let (response, mut stream) = client.begin(post, false).await;
            send(&mut stream, b"hello", false).await;
            let mut request = asked.recv().await.unwrap();
            assert_eq!(request.read(5).await, b"hello");
            if is_answered {
                let mut answer = request.answer(200, false);
                send(&mut answer, b"early", true).await;
                assert_eq!(whole(response.await.unwrap()).await.text(), "early");
            }
            stream.send_reset(h2::Reason::CANCEL);
            assert!(request.data().await.is_err(), "answered: {is_answered}");
        }
    });
}

#[test]
fn an_http2_destination_that_has_answered_takes_the_rest_of_the_body() {
    // Reference B1, step 16. More than any window.
    const LENGTH: usize = 3_000_000;
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut asked = destination.serve();
        for is_whole in [false, true] {
            let mut client = front.connect();
            client.send(format!(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\nhello",
                LENGTH + 5
            ));
            let mut request = asked.recv().await.unwrap();
            assert_eq!(request.read(5).await, b"hello");
            let mut answer = request.answer(200, false);
            send(&mut answer, b"early", is_whole).await;
            let mut client = blocking(move || {
                let (status, _) = client.try_head().unwrap();
                assert_eq!(status, 200);
                client
            })
            .await;
            let sent = tokio::task::spawn_blocking(move || {
                client.send(vec![b'x'; LENGTH]);
                client
            });
            let (rest, _) = request.whole().await;
            assert_eq!(rest.len(), LENGTH);
            let mut client = sent.await.unwrap();
            if !is_whole {
                send(&mut answer, b" and late", true).await;
            }
            let body = blocking(move || {
                let mut body = Vec::new();
                while !body.ends_with(b"0\r\n\r\n") {
                    body.extend(client.read(1));
                }
                String::from_utf8(body).unwrap()
            })
            .await;
            assert!(body.contains("early") && body.contains("late") != is_whole);
        }
        let client = Http2Client::connect(front.port).await;
        for is_whole in [false, true] {
            let post = Request::post(url("/")).body(()).unwrap();
            let (response, mut stream) = client.begin(post, false).await;
            let mut request = asked.recv().await.unwrap();
            let mut answer = request.answer(200, false);
            send(&mut answer, b"early", is_whole).await;
            let mut response = response.await.unwrap().into_body();
            assert_eq!(read(&mut response, 5).await, b"early");
            let all = vec![b'x'; LENGTH];
            let ((), (body, _)) = tokio::join!(send(&mut stream, &all, true), request.whole());
            assert_eq!(body.len(), LENGTH);
            if !is_whole {
                send(&mut answer, b" and late", true).await;
                assert_eq!(read(&mut response, 9).await, b" and late");
            }
            assert!(next(&mut response).await.unwrap().is_none());
        }
    });
}

#[test]
fn an_http1_destination_that_has_answered_takes_the_rest_of_the_body() {
    // Reference B1, step 16.
    const LENGTH: usize = 3_000_000;
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = front(&sandbox, "", &destination.address());
    let begun = |destination: &Destination| {
        let mut incoming = destination.accept();
        assert_eq!(incoming.head().all("transfer-encoding"), ["chunked"]);
        assert_eq!(incoming.chunked(5), b"hello");
        incoming.send("HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly");
        incoming
    };
    run(async {
        let client = Http2Client::connect(front.port).await;
        let post = Request::post(url("/")).body(()).unwrap();
        let (response, mut stream) = client.begin(post, false).await;
        send(&mut stream, b"hello", false).await;
        let of_task = Arc::clone(&destination);
        let mut incoming = blocking(move || begun(&of_task)).await;
        let response = whole(response.await.unwrap()).await;
        assert_eq!((response.status(), response.text()), (202, "early"));
        let all = vec![b'x'; LENGTH];
        let reading = blocking(move || {
            assert_eq!(incoming.chunked(LENGTH).len(), LENGTH);
            assert_eq!(incoming.line(), "0");
        });
        tokio::join!(send(&mut stream, &all, true), reading);
    });
    let mut client = front.connect();
    client.send(CHUNKED);
    let mut incoming = begun(&destination);
    assert_eq!(client.try_head().unwrap().0, 202);
    for _ in 0..10 {
        client.send("3e8\r\n");
        client.send(vec![b'x'; 1000]);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(incoming.chunked(10_000).len(), 10_000);
    assert_eq!(incoming.line(), "0");
}

#[test]
fn a_destination_that_wants_no_more_of_a_body_is_heard_out() {
    // RFC 9113 section 8.1: RST_STREAM with NO_ERROR behind a whole response.
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut asked = destination.serve();
        let mut client = front.connect();
        client.send(CHUNKED);
        let mut request = asked.recv().await.unwrap();
        let mut answer = request.answer(413, false);
        send(&mut answer, b"enough", true).await;
        drop((request, answer));
        let response = blocking(move || {
            let response = client.response();
            assert!(client.is_closed());
            response
        });
        let response = response.await;
        assert_eq!((response.status, response.text().as_str()), (413, "enough"));
        let client = Http2Client::connect(front.port).await;
        let post = Request::post(url("/")).body(()).unwrap();
        let (response, _stream) = client.begin(post, false).await;
        let mut request = asked.recv().await.unwrap();
        let mut answer = request.answer(413, false);
        send(&mut answer, b"enough", true).await;
        drop((request, answer));
        let response = whole(response.await.unwrap()).await;
        assert_eq!((response.status(), response.text()), (413, "enough"));
        let (response, _stream) = client.begin(get("/"), true).await;
        asked.recv().await.unwrap().answer(204, true);
        assert_eq!(response.await.unwrap().status(), 204, "the rest goes on");
    });
}

#[test]
fn a_client_that_ends_its_direction_within_a_body_is_not_answered() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = front(&sandbox, "", &destination.address());
    let mut client = front.connect();
    client.send(CHUNKED);
    let incoming = begun(&destination);
    client.shutdown_write();
    is_cut_off(incoming);
    assert_eq!(client.rest(), b"");
}

#[test]
fn what_is_pipelined_behind_bodies_keeps_its_order() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let json = forwarding("", &[&format!(r#""d": {{ "Address": "{address}" }}"#)]).replacen(
        '{',
        r#"{ "Kestrel": { "Limits": { "MaxRequestBodySize": 100000 } }, "#,
        1,
    );
    let front = sandbox.front(&json);
    let large = "l".repeat(60_000);
    let mut all = String::new();
    for round in 0..20 {
        all += &format!(
            "POST /echo?a{round} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{large}\
             GET /echo?b{round} HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /echo?c{round} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
        );
    }
    all += "POST /echo?over HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\nx";
    let mut client = front.connect();
    let socket = client.socket().try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        use std::io::Write;
        (&socket).write_all(all.as_bytes()).unwrap();
    });
    for round in 0..20 {
        for (name, length) in [("a", 60_000), ("b", 0), ("c", 3)] {
            let echo = client.response().json();
            assert_eq!(echo["target"], format!("/echo?{name}{round}"));
            assert_eq!(echo["length"], length);
        }
    }
    sending.join().unwrap();
    assert_eq!(client.response().status, 413);
    assert!(client.is_closed());
    let mut client = Client::connect(front.port);
    assert_eq!(client.ask("GET", "/").status, 200);
}
