//! Calls as gRPC makes them, between a client and a destination that both speak HTTP/2 (reference
//! B13): how they stream, how they end, and how they are given up.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};

use crate::forwarding::forwarding;
use crate::support::http2_client::{Http2Client, run, send, url, whole};
use crate::support::http2_destination::{Asked, Http2Destination, blocking, next, read};
use crate::support::{PATIENCE, Sandbox};
use crate::uploads::{HTTP2, front};

fn call() -> Request<()> {
    Request::post(url("/package.Service/Method"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

fn fields(all: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in all {
        fields.append(*name, HeaderValue::from_static(value));
    }
    fields
}

fn begins(asked: &mut Asked) -> SendStream<Bytes> {
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    asked.response.send_response(response, false).unwrap()
}

const OK: [(&str, &str); 2] = [("grpc-status", "0"), ("grpc-message", "fine")];

#[test]
fn a_unary_call_has_trailers() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let client = Http2Client::connect(front.port).await;
        let (response, mut stream) = client.begin(call(), false).await;
        send(&mut stream, b"\0\0\0\0\x05hello", true).await;
        let mut asked = requests.recv().await.unwrap();
        assert_eq!(asked.field("te"), Some("trailers"));
        assert_eq!(asked.field("content-type"), Some("application/grpc"));
        assert_eq!(asked.head.uri.path(), "/package.Service/Method");
        assert_eq!(asked.whole().await, (b"\0\0\0\0\x05hello".to_vec(), None));
        let mut answer = begins(&mut asked);
        send(&mut answer, b"\0\0\0\0\x03two", false).await;
        answer.send_trailers(fields(&OK)).unwrap();
        let response = whole(response.await.unwrap()).await;
        assert_eq!(response.head.headers["content-type"], "application/grpc");
        assert_eq!(response.body, b"\0\0\0\0\x03two");
        assert_eq!(response.trailers.unwrap(), fields(&OK));
    });
}

#[test]
fn an_error_without_a_message_is_one_frame() {
    // "Trailers-Only": clients of gRPC want HEADERS that end the stream.
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let port = front.port;
        let client = blocking(move || frames_of_a_call(port));
        let mut asked = requests.recv().await.unwrap();
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "5")
            .body(())
            .unwrap();
        asked.response.send_response(response, true).unwrap();
        const HEADERS: u8 = 1;
        const END_STREAM_AND_HEADERS: u8 = 5;
        assert_eq!(client.await[0], (HEADERS, END_STREAM_AND_HEADERS));
        let client = Http2Client::connect(front.port).await;
        let (response, mut stream) = client.begin(call(), false).await;
        send(&mut stream, b"\0\0\0\0\0", true).await;
        let mut asked = requests.recv().await.unwrap();
        let response_head = Response::builder()
            .header("grpc-status", "5")
            .body(())
            .unwrap();
        asked.response.send_response(response_head, true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "5");
        assert!(response.body().is_end_stream());
    });
}

/// Kinds and flags of the frames on the first stream of a connection, up to one that ends it.
fn frames_of_a_call(port: u16) -> Vec<(u8, u8)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    // :method POST, :scheme http, :authority x, :path / (RFC 7541, appendix A).
    let head = [0x83, 0x86, 0x01, 1, b'x', 0x84];
    stream.write_all(&[0, 0, 6, 1, 5, 0, 0, 0, 1]).unwrap();
    stream.write_all(&head).unwrap();
    let mut frames = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).unwrap();
        if head[8] == 1 {
            frames.push((head[3], head[4]));
            if head[4] & 1 != 0 {
                return frames;
            }
        }
    }
}

#[test]
fn both_sides_talk_in_turns() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let client = Http2Client::connect(front.port).await;
        let (response, mut stream) = client.begin(call(), false).await;
        // The call is there before its first message, and its head is answered before one.
        let mut asked = requests.recv().await.unwrap();
        let mut answer = begins(&mut asked);
        let mut response = response.await.unwrap().into_body();
        for round in 0..100u32 {
            let message = format!("message {round:03}");
            send(&mut stream, message.as_bytes(), false).await;
            assert_eq!(asked.read(11).await, message.as_bytes());
            let message = format!("answer {round:03}");
            send(&mut answer, message.as_bytes(), false).await;
            assert_eq!(read(&mut response, 10).await, message.as_bytes());
        }
        send(&mut stream, b"last", true).await;
        assert_eq!(asked.whole().await, (b"last".to_vec(), None));
        // The client's end is not the call's.
        send(&mut answer, b"and more", false).await;
        assert_eq!(read(&mut response, 8).await, b"and more");
        answer.send_trailers(fields(&OK)).unwrap();
        assert!(next(&mut response).await.unwrap().is_none());
        assert_eq!(response.trailers().await.unwrap().unwrap(), fields(&OK));
    });
}

#[test]
fn either_side_streams_alone() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let client = Http2Client::connect(front.port).await;
        let (response, mut stream) = client.begin(call(), false).await;
        send(&mut stream, b"one", true).await;
        let mut asked = requests.recv().await.unwrap();
        assert_eq!(asked.whole().await.0, b"one");
        let mut answer = begins(&mut asked);
        let mut response = response.await.unwrap().into_body();
        for _ in 0..50 {
            send(&mut answer, b"event", false).await;
            assert_eq!(read(&mut response, 5).await, b"event");
        }
        answer.send_trailers(fields(&OK)).unwrap();
        assert!(next(&mut response).await.unwrap().is_none());

        let (response, mut stream) = client.begin(call(), false).await;
        let mut asked = requests.recv().await.unwrap();
        for _ in 0..50 {
            send(&mut stream, b"piece", false).await;
            assert_eq!(asked.read(5).await, b"piece");
        }
        // Fields behind the messages reach it too.
        stream.send_trailers(fields(&[("x-sum", "7")])).unwrap();
        let (rest, trailers) = asked.whole().await;
        assert_eq!(rest, b"");
        assert_eq!(trailers.unwrap(), fields(&[("x-sum", "7")]));
        begins(&mut asked).send_trailers(fields(&OK)).unwrap();
        let response = whole(response.await.unwrap()).await;
        assert_eq!(response.trailers.unwrap(), fields(&OK));
    });
}

#[test]
fn a_call_that_is_given_up_is_given_up_at_the_destination() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut requests = destination.serve();
        let client = Http2Client::connect(front.port).await;
        for is_answered in [false, true] {
            for is_whole in [false, true] {
                let (response, mut stream) = client.begin(call(), false).await;
                send(&mut stream, b"one", is_whole).await;
                let mut asked = requests.recv().await.unwrap();
                assert_eq!(asked.read(3).await, b"one");
                if is_answered {
                    let mut answer = begins(&mut asked);
                    let mut response = response.await.unwrap().into_body();
                    send(&mut answer, b"one", false).await;
                    assert_eq!(read(&mut response, 3).await, b"one");
                    stream.send_reset(Reason::CANCEL);
                    let reset = std::future::poll_fn(|cx| answer.poll_reset(cx));
                    assert_eq!(reset.await.unwrap(), Reason::CANCEL);
                } else {
                    stream.send_reset(Reason::CANCEL);
                    assert_eq!(asked.reset().await, Reason::CANCEL);
                }
            }
        }
        // So is one whose client's connection is gone.
        let (response, stream) = client.begin(call(), true).await;
        let mut asked = requests.recv().await.unwrap();
        client.ended.abort();
        drop((client, response, stream));
        assert_eq!(asked.reset().await, Reason::CANCEL);
    });
}

#[test]
fn timeouts_end_calls_at_both_ends() {
    for (name, value) in [("activity", "cluster"), ("timeout", "route")] {
        let sandbox = Sandbox::new();
        let destination = Http2Destination::new();
        let address = format!(r#""d": {{ "Address": "{}" }}"#, destination.address());
        let json = match value {
            "cluster" => {
                let more = HTTP2.replace('}', r#", "ActivityTimeout": "00:00:01" }"#);
                forwarding(&more, &[&address])
            }
            _ => forwarding(HTTP2, &[&address])
                .replace(r#""ClusterId""#, r#""Timeout": "00:00:01", "ClusterId""#),
        };
        let front = sandbox.front(&json);
        run(async {
            let mut requests = destination.serve();
            let client = Http2Client::connect(front.port).await;
            // Nothing is answered.
            let (response, mut stream) = client.begin(call(), false).await;
            send(&mut stream, b"one", true).await;
            let mut asked = requests.recv().await.unwrap();
            assert_eq!(response.await.unwrap().status(), 504, "{name}");
            assert_eq!(asked.reset().await, Reason::CANCEL, "{name}");
            // The answer has begun.
            let (response, mut stream) = client.begin(call(), false).await;
            send(&mut stream, b"one", true).await;
            let mut asked = requests.recv().await.unwrap();
            let mut answer = begins(&mut asked);
            let mut response = response.await.unwrap().into_body();
            send(&mut answer, b"one", false).await;
            assert_eq!(read(&mut response, 3).await, b"one");
            let cut_off = next(&mut response).await.unwrap_err();
            assert_eq!(cut_off.reason(), Some(Reason::INTERNAL_ERROR), "{name}");
            let reset = std::future::poll_fn(|cx| answer.poll_reset(cx));
            assert_eq!(reset.await.unwrap(), Reason::CANCEL, "{name}");
            assert!(!client.ended.is_finished(), "other streams may go on");
        });
    }
}

#[test]
fn a_call_may_be_larger_than_other_bodies() {
    const LENGTH: usize = 300_000;
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let address = format!(r#""d": {{ "Address": "{}" }}"#, destination.address());
    let json = forwarding(HTTP2, &[&address]).replacen(
        '{',
        r#"{ "Kestrel": { "Limits": { "MaxRequestBodySize": 1000 } }, "#,
        1,
    );
    let front = sandbox.front(&json);
    run(async {
        let mut requests = destination.serve();
        let client = Http2Client::connect(front.port).await;
        let (response, mut stream) = client.begin(call(), false).await;
        let mut asked = requests.recv().await.unwrap();
        let message = vec![b'm'; LENGTH];
        let ((), (body, _)) = tokio::join!(send(&mut stream, &message, true), asked.whole());
        assert_eq!(body.len(), LENGTH);
        asked.answer(204, true);
        assert_eq!(response.await.unwrap().status(), 204);
        // Anything else may not.
        let other = Request::post(url("/"))
            .header("content-type", "application/grpc-web")
            .body(())
            .unwrap();
        let (response, mut stream) = client.begin(other, false).await;
        send(&mut stream, &[b'm'; 1001], true).await;
        assert_eq!(response.await.unwrap().status(), 413);
    });
}
