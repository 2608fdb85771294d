//! Answers that come before the request is over: they are answers. Who takes a request and reads on
//! is given all of it; who refuses it, or ends the connection, is heard out and sent no more
//! (reference B8).

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rustix::net::sockopt::set_socket_linger;

use crate::forwarding::{forwarding_at, forwarding_to};
use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::http2_client::{Http2Client, run, send, url, whole};
use crate::support::http2_destination::{Http2Destination, blocking};
use crate::support::{Client, Destination, Front, Incoming, Sandbox, delegating_to};
use crate::uploads::{HTTP2, front};

const PIECES: usize = 10;
const PIECE: [u8; 1000] = [b'x'; 1000];
const LENGTH: usize = PIECES * PIECE.len();

/// How a client says how long its body is.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length,
    Chunks,
}

const FRAMINGS: [Framing; 2] = [Framing::Length, Framing::Chunks];

impl Framing {
    fn head(self) -> String {
        let framing = match self {
            Self::Length => format!("Content-Length: {LENGTH}"),
            Self::Chunks => "Transfer-Encoding: chunked".to_owned(),
        };
        format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")
    }

    fn piece(self) -> Vec<u8> {
        match self {
            Self::Length => PIECE.to_vec(),
            Self::Chunks => [b"3e8\r\n", &PIECE[..], b"\r\n"].concat(),
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Length => "",
            Self::Chunks => "0\r\n\r\n",
        }
    }

    /// Reads the whole body at a destination, whatever the client's framing.
    fn arrives(self, incoming: &mut Incoming) {
        match self {
            Self::Length => assert_eq!(incoming.read(LENGTH).len(), LENGTH),
            Self::Chunks => {
                assert_eq!(incoming.chunked(LENGTH).len(), LENGTH);
                assert_eq!((incoming.line(), incoming.line()), ("0".into(), "".into()));
            }
        }
    }
}

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\ntaken";

#[test]
fn an_http1_destination_that_has_accepted_takes_the_rest_from_an_http1_client() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = front.connect();
    let mut incoming = None;
    for framing in FRAMINGS {
        client.send(framing.head());
        // A body of which nothing has come, and one of which something has.
        if let Framing::Chunks = framing {
            client.send(framing.piece());
        }
        let incoming = incoming.get_or_insert_with(|| destination.accept());
        incoming.head();
        incoming.send(ACCEPTED);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (202, "taken"));
        assert_eq!(response.field("connection"), None);
        for _ in usize::from(matches!(framing, Framing::Chunks))..PIECES {
            client.send(framing.piece());
        }
        client.send(framing.end());
        framing.arrives(incoming);
    }
    // Both connections carry the next request.
    client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = incoming.unwrap();
    assert_eq!(incoming.head().line, "GET /next HTTP/1.1");
    incoming.send(ACCEPTED);
    assert_eq!(client.response().status, 202);
    assert!(destination.is_left_alone());
}

#[test]
fn an_http1_destination_that_has_accepted_takes_the_rest_from_an_http2_client() {
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = sandbox.front(&forwarding_to(&destination));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let request = Request::post(url("/")).body(()).unwrap();
        let (response, mut stream) = client.begin(request, false).await;
        let accepting = Arc::clone(&destination);
        let mut incoming = blocking(move || {
            let mut incoming = accepting.accept();
            incoming.head();
            incoming.send(ACCEPTED);
            incoming
        })
        .await;
        let response = whole(response.await.unwrap()).await;
        assert_eq!((response.status(), response.text()), (202, "taken"));
        for _ in 0..PIECES {
            send(&mut stream, &PIECE, false).await;
        }
        send(&mut stream, b"", true).await;
        let arrived = blocking(move || {
            Framing::Chunks.arrives(&mut incoming);
            incoming
        });
        let mut incoming = arrived.await;
        let (response, _stream) = client
            .begin(crate::support::http2_client::get("/"), true)
            .await;
        let next = blocking(move || {
            incoming.head();
            incoming.send(ACCEPTED);
        });
        next.await;
        assert_eq!(response.await.unwrap().status(), 202);
        assert!(destination.is_left_alone());
    });
}

/// An upload that neither ends nor is read to its end.
fn endless(client: &Client) {
    let mut stream = client.socket().try_clone().unwrap();
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    std::thread::spawn(move || while stream.write_all(&chunk).is_ok() {});
}

const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";

#[test]
fn an_http1_destination_that_refuses_is_sent_no_more() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    for answer in [
        REFUSED,
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nno",
    ] {
        let mut client = front.connect();
        client.send(Framing::Chunks.head());
        client.send(Framing::Chunks.piece());
        let mut incoming = destination.accept();
        incoming.head();
        incoming.chunked(PIECE.len());
        incoming.send(answer);
        let response = client.response();
        assert_eq!(response.text(), "no", "{answer:?}");
        assert_eq!(response.field("connection"), Some("close"), "{answer:?}");
        // Its connection ends, without the end of a body.
        assert_eq!(incoming.rest(), b"", "{answer:?}");
    }
}

#[test]
fn an_http2_destination_that_refuses_is_sent_no_more() {
    let sandbox = Sandbox::new();
    let destination = Http2Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let mut asked = destination.serve();
        let mut client = front.connect();
        client.send(Framing::Chunks.head());
        client.send(Framing::Chunks.piece());
        let mut request = asked.recv().await.unwrap();
        assert_eq!(request.read(PIECE.len()).await.len(), PIECE.len());
        let mut answer = request.answer(403, false);
        send(&mut answer, b"no", true).await;
        let client = blocking(move || {
            assert_eq!(client.response().text(), "no");
            client
        })
        .await;
        let ended = request.data().await;
        assert!(ended.is_err(), "the stream is reset: {ended:?}");
        drop(client);
        let client = Http2Client::connect(front.port).await;
        let post = Request::post(url("/")).body(()).unwrap();
        let (response, mut stream) = client.begin(post, false).await;
        send(&mut stream, &PIECE, false).await;
        let mut request = asked.recv().await.unwrap();
        assert_eq!(request.read(PIECE.len()).await.len(), PIECE.len());
        request.answer(403, true);
        assert_eq!(response.await.unwrap().status(), 403);
        let ended = request.data().await;
        assert!(ended.is_err(), "the stream is reset: {ended:?}");
    });
}

/// The answer is in the socket already when the connection breaks below the upload.
#[test]
fn an_answer_in_front_of_a_reset_is_read() {
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = sandbox.front(&forwarding_to(&destination));
    let refuse_and_reset = |destination: &Destination| {
        let mut incoming = destination.accept();
        incoming.head();
        incoming.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\n\r\nenough");
        set_socket_linger(incoming.stream.get_ref(), Some(Duration::ZERO)).unwrap();
    };
    for _ in 0..10 {
        let mut client = front.connect();
        client.send(Framing::Chunks.head());
        endless(&client);
        refuse_and_reset(&destination);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (413, "enough"));
    }
    run(async {
        let client = Http2Client::connect(front.port).await;
        for _ in 0..10 {
            let post = Request::post(url("/")).body(()).unwrap();
            let (response, mut stream) = client.begin(post, false).await;
            let destination = Arc::clone(&destination);
            let refused = blocking(move || refuse_and_reset(&destination));
            // As far as the window lets it.
            send(&mut stream, &[b'x'; 60_000], false).await;
            refused.await;
            let response = whole(response.await.unwrap()).await;
            assert_eq!((response.status(), response.text()), (413, "enough"));
        }
    });
}

/// A client that sends everything before it reads anything, and an answer that fills what lies
/// between.
#[test]
fn a_large_answer_and_a_large_upload_do_not_wait_for_each_other() {
    const LARGE: usize = 20_000_000;
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let json = forwarding_to(&destination).replacen(
        r#""ClusterId""#,
        r#""MaxRequestBodySize": -1, "ClusterId""#,
        1,
    );
    let front = sandbox.front(&json);
    let mut client = front.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n"
    ));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut incoming = destination.accept();
            incoming.head();
            let head = format!("HTTP/1.1 409 Conflict\r\nContent-Length: {LARGE}\r\n\r\n");
            incoming.send(head);
            incoming.send(vec![b'y'; LARGE]);
            incoming
        });
        client.send(vec![b'x'; LARGE]);
        let response = client.response();
        assert_eq!((response.status, response.body.len()), (409, LARGE));
    });
}

/// Asks for a refusal with a body of 200 KB, over and over, by HTTP/1.1 and HTTP/2.
fn refusals_arrive(front: &Front, way: &str) {
    let body = vec![b'x'; 200_000];
    for _ in 0..30 {
        let response = front.connect().post("/status/403", &body);
        assert_eq!(response.status, 403, "{way}");
    }
    run(async {
        for _ in 0..3 {
            let client = Http2Client::connect(front.port).await;
            for _ in 0..10 {
                let post = Request::post(url("/status/403")).body(()).unwrap();
                let (response, mut stream) = client.begin(post, false).await;
                // As far as the front wants it.
                let sending = async {
                    let mut left = &body[..];
                    while !left.is_empty() {
                        stream.reserve_capacity(left.len());
                        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                        let Some(Ok(room)) = room else { return };
                        let (piece, rest) = left.split_at(room.min(left.len()));
                        if stream
                            .send_data(piece.to_vec().into(), rest.is_empty())
                            .is_err()
                        {
                            return;
                        }
                        left = rest;
                    }
                };
                let (response, ()) = tokio::join!(response, sending);
                assert_eq!(response.unwrap().status(), 403, "{way}");
            }
        }
    });
}

#[test]
fn a_handler_that_does_not_read_the_body_is_heard() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    refusals_arrive(&sandbox.front(&forwarding_at(&address)), "forwarded");
    refusals_arrive(&sandbox.front(&delegating_to(&["q"])), "delegated");
    if let Some(sandbox) = shared_sandbox() {
        let _target = target_of_a_stranger(&sandbox, "q", "create");
        refusals_arrive(&sandbox.front(&delegating_to(&["q"])), "relayed");
    }
}
