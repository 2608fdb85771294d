//! Flow control: who takes nothing, or whose body nobody takes, holds up itself alone.

use std::io::Write;
use std::net::TcpStream;

use bytes::Bytes;
use http::{Request, Response};

use crate::forwarding::{OK, forwarding, forwarding_at, forwarding_to};
use crate::support::http2_client::{Http2Client, get, run, send, url};
use crate::support::http2_destination::{Asked, Http2Destination, blocking};
use crate::support::http2_frames::{Frames, HEADERS};
use crate::support::{Destination, Sandbox};

const HTTP2: &str = r#""HttpRequest": { "Version": "2", "VersionPolicy": "RequestVersionExact" },"#;

/// More than any window lets in.
const MUCH: usize = 50_000_000;

/// Answers each request with as many bytes as its path names.
async fn answer(mut asked: Asked) {
    let length: usize = asked.head.uri.path()[1..].parse().unwrap();
    let response = Response::builder().body(()).unwrap();
    let mut stream = asked.response.send_response(response, false).unwrap();
    let mut left = length;
    let piece = Bytes::from(vec![7; 16 * 1024]);
    while left > 0 {
        stream.reserve_capacity(piece.len().min(left));
        let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return;
        };
        let room = room.min(left).min(piece.len());
        if stream.send_data(piece.slice(..room), left == room).is_err() {
            return;
        }
        left -= room;
    }
}

fn serve(destination: Http2Destination) {
    let mut asked = destination.serve();
    tokio::spawn(async move {
        while let Some(asked) = asked.recv().await {
            tokio::spawn(answer(asked));
        }
    });
}

#[test]
fn clients_that_take_nothing_hold_up_no_other() {
    let sandbox = Sandbox::new();
    run(async {
        let destination = Http2Destination::new();
        let address = format!(r#""d": {{ "Address": "{}" }}"#, destination.address());
        let front = sandbox.front(&forwarding(HTTP2, &[&address]));
        serve(destination);
        let port = front.port;
        // Forty streams of one client without a window, and forty connections.
        let stuck = blocking(move || {
            let mut streams = Frames::silent(port);
            streams.begin(&[(4, 0)]);
            for number in 0..40 {
                streams.request(2 * number + 1, &format!("/{MUCH}"));
            }
            for _ in 0..40 {
                streams.next_that(|frame| frame.kind == HEADERS);
            }
            let connections: Vec<_> = (0..40)
                .map(|_| {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    let request = format!("GET /{MUCH} HTTP/1.1\r\nHost: x\r\n\r\n");
                    stream.write_all(request.as_bytes()).unwrap();
                    stream.peek(&mut [0]).unwrap();
                    stream
                })
                .collect();
            (streams, connections)
        });
        let _stuck = stuck.await;
        let client = Http2Client::connect(port).await;
        for _ in 0..3 {
            assert_eq!(client.get("/5000000").await.body.len(), 5_000_000);
        }
    });
}

#[test]
fn a_window_to_a_destination_grows_with_use_alone() {
    let sandbox = Sandbox::new();
    run(async {
        let destination = Http2Destination::new();
        let address = format!(r#""d": {{ "Address": "{}" }}"#, destination.address());
        let front = sandbox.front(&forwarding(HTTP2, &[&address]));
        let mut asked = destination.serve();
        let client = Http2Client::connect(front.port).await;
        // One whose client takes all, as it comes.
        let (response, _stream) = client.begin(get("/"), true).await;
        let mut first = asked.recv().await.unwrap();
        let mut stream = first.answer(200, false);
        let mut body = response.await.unwrap().into_body();
        stream.reserve_capacity(MUCH);
        let room = async |stream: &mut h2::SendStream<Bytes>| {
            while stream.capacity() == 0 {
                std::future::poll_fn(|cx| stream.poll_capacity(cx))
                    .await
                    .unwrap()
                    .unwrap();
            }
            stream.capacity()
        };
        assert!(room(&mut stream).await <= 64 * 1024, "to begin with");
        let mut largest = 0;
        // What the destination here keeps to be sent is bound as well.
        while largest < 256 * 1024 {
            let now = room(&mut stream).await;
            largest = largest.max(now);
            stream.send_data(Bytes::from(vec![0; now]), false).unwrap();
            let mut left = now;
            while left > 0 {
                let data = body.data().await.unwrap().unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                left -= data.len();
            }
        }
    });
}

#[test]
fn uploads_that_nobody_takes_hold_up_no_other() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut stuck = Vec::new();
            for _ in 0..5 {
                let mut incoming = destination.accept();
                incoming.head();
                stuck.push(incoming);
            }
            let mut incoming = destination.accept();
            incoming.head();
            assert_eq!(incoming.read(2_000_000).len(), 2_000_000);
            incoming.send(OK);
            stuck
        });
        run(async {
            let client = Http2Client::connect(front.port).await;
            let post = || {
                let request = Request::post(url("/")).header("content-length", 20_000_000);
                request.body(()).unwrap()
            };
            let mut uploads = Vec::new();
            for _ in 0..5 {
                let (response, mut stream) = client.begin(post(), false).await;
                uploads.push((
                    tokio::spawn(response),
                    tokio::spawn(
                        async move { send(&mut stream, &vec![0; 20_000_000], true).await },
                    ),
                ));
            }
            // Each fills its window, and what lies between the front and its destination.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let request = Request::post(url("/")).header("content-length", 2_000_000);
            let request = request.body(()).unwrap();
            let (response, mut stream) = client.begin(request, false).await;
            send(&mut stream, &vec![0; 2_000_000], true).await;
            assert_eq!(response.await.unwrap().status(), 200);
            for (response, upload) in uploads {
                response.abort();
                upload.abort();
            }
        });
        drop(asked.join().unwrap());
    });
}

#[test]
fn a_client_that_opens_no_window_is_too_slow() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let limits = r#"{ "Kestrel": { "Limits": { "MinResponseDataRate":
        { "BytesPerSecond": 100000, "GracePeriod": "00:00:01.5" } } }, "#;
    let front = sandbox.front(&forwarding_at(&address).replacen('{', limits, 1));
    // No window for the stream, or none for the connection.
    for (settings, window) in [(&[(4, 0)][..], 0), (&[], 65_535)] {
        let mut client = Frames::silent(front.port);
        client.begin(settings);
        client.request(1, "/bytes/1000000");
        let mut received = 0;
        while let Some(frame) = client.next() {
            if frame.stream == 1 && frame.kind == 0 {
                received += frame.payload.len();
            }
        }
        assert_eq!(received, window, "it is cut off, and not before");
    }
    // One that takes all that comes is not.
    run(async {
        let client = Http2Client::connect(front.port).await;
        assert_eq!(client.get("/delay/4000").await.status(), 200);
        assert_eq!(client.get("/bytes/1000000").await.body.len(), 1_000_000);
    });
}
