use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::forwarder::clients::interim::Interim;
use crate::forwarder::clients::testing::{Pieces, on_a_thread};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

async fn connected() -> (Http1<Pieces>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    (Http1::handshake(ours).await.unwrap(), theirs)
}

fn request(body: Pieces) -> Request<Pieces> {
    let request = Request::builder().method(Method::POST).uri("/x");
    request.header("host", "d").body(body).unwrap()
}

/// What the destination has received up to and with these bytes.
async fn received(theirs: &mut DuplexStream, end: &[u8]) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        bytes.push(theirs.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn trailers_are_sent_where_the_head_has_announced_them() {
    // RFC 9110 section 6.6.2; hyper sends no others.
    for (announced, end) in [
        (true, "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
        (false, "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        on_a_thread(async {
            let (mut client, mut theirs) = connected().await;
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("1"));
            let mut request = request(Pieces::of([
                Frame::data(Bytes::from_static(b"hello")),
                Frame::trailers(trailers),
            ]));
            if announced {
                let names = HeaderValue::from_static("x-sum");
                request.headers_mut().insert("trailer", names);
            }
            let destination = async {
                let head = received(&mut theirs, b"\r\n\r\n").await;
                assert!(head.contains("transfer-encoding: chunked"), "{head}");
                assert_eq!(received(&mut theirs, b"\r\n\r\n").await, end);
                theirs.write_all(OK).await.unwrap();
            };
            let (sent, ()) = tokio::join!(client.send(request), destination);
            assert!(sent.is_ok());
            assert!(client.is_ready());
        });
    }
}

#[test]
fn interim_responses_are_handed_on() {
    on_a_thread(async {
        let (mut client, mut theirs) = connected().await;
        let interim = Interim::default();
        let mut request = request(Pieces::of([]));
        interim.watch(&mut request);
        let destination = async {
            received(&mut theirs, b"0\r\n\r\n").await;
            let early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
            theirs.write_all(early).await.unwrap();
            theirs.write_all(OK).await.unwrap();
        };
        let (sent, ()) = tokio::join!(client.send(request), destination);
        assert_eq!(sent.ok().unwrap().status(), StatusCode::OK);
        let early = interim.take().unwrap();
        assert_eq!(early.status(), StatusCode::EARLY_HINTS);
        assert_eq!(early.headers()["link"], "a");
        assert!(interim.take().is_none());
    });
}

#[test]
fn it_is_known_whether_the_destination_has_said_anything() {
    for (says, heard) in [(&b""[..], false), (b"HTTP/1.1 2", true)] {
        on_a_thread(async {
            let (mut client, mut theirs) = connected().await;
            let destination = async {
                received(&mut theirs, b"0\r\n\r\n").await;
                theirs.write_all(says).await.unwrap();
                drop(theirs);
            };
            let (sent, ()) = tokio::join!(client.send(request(Pieces::of([]))), destination);
            let unanswered = sent.err().unwrap();
            assert!(unanswered.unsent.is_none());
            assert_eq!(unanswered.heard, heard);
        });
    }
}

#[test]
fn a_connection_that_has_ended_while_idle_gives_the_request_back() {
    on_a_thread(async {
        let (mut client, theirs) = connected().await;
        assert!(client.is_still_open() || client.running.is_some());
        drop(theirs);
        let sent = client.send(request(Pieces::of([]))).await;
        assert!(sent.err().unwrap().unsent.is_some());
        assert!(!client.is_still_open());
    });
}
