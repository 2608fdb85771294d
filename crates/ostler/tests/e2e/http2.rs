//! HTTP/2 from clients, by prior knowledge (RFC 9113 section 3.3): what a request becomes, what a
//! response becomes, how streams get along, and what a connection may not do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use http::Request;

use crate::forwarding::{OK, forwarding_at, forwarding_to};
use crate::support::http2_client::{Http2Client, get, run, send, url, whole};
use crate::support::http2_frames::{ENHANCE_YOUR_CALM, Frames};
use crate::support::{Destination, PATIENCE, Sandbox, delegating_by_path};

#[test]
fn a_request_is_sent_on_as_http1_would_have_it() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let asked = std::thread::scope(|scope| {
        let destination = scope.spawn(|| {
            let mut incoming = destination.accept();
            let head = incoming.head();
            incoming.send("HTTP/1.1 201 Made\r\nConnection: X-Own\r\nKeep-Alive: 5\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok");
            head
        });
        let response = run(async {
            let client = Http2Client::connect(front.port).await;
            let request = Request::get("http://example.org:8443/a%2Fb/%63?q=%41")
                .header("x-one", "1")
                .header("x-one", "2")
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .header("te", "trailers")
                .body(())
                .unwrap();
            client.ask(request).await
        });
        assert_eq!((response.status(), response.text()), (201, "ok"));
        let fields = &response.head.headers;
        assert_eq!(fields["x-kept"], "1");
        assert_eq!(fields["content-length"], "2");
        assert!(fields.contains_key("date"));
        assert!(!fields.contains_key("connection") && !fields.contains_key("keep-alive"));
        destination.join().unwrap()
    });
    assert_eq!(asked.line, "GET /a%2Fb/c?q=%41 HTTP/1.1");
    assert_eq!(asked.all("x-one"), ["1, 2"]);
    assert_eq!(asked.all("cookie"), ["a=1; b=2"]);
    assert_eq!(asked.all("te"), ["trailers"]);
    assert_eq!(asked.all("x-forwarded-host"), ["example.org:8443"]);
    assert_eq!(asked.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(asked.all("transfer-encoding"), [""; 0], "there is no body");
}

#[test]
fn bodies_go_both_ways() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let body: Vec<u8> = (0..5_000_000u32).map(|at| (at % 251) as u8).collect();
        let echo = client.post("/echo", &body).await.json();
        assert_eq!(echo["length"], body.len());
        assert_eq!(echo["method"], "POST");
        for path in ["/bytes/5000000", "/stream/5000000"] {
            let response = client.get(path).await;
            let pattern = (0..5_000_000u32).map(|at| at as u8);
            assert!(response.body.into_iter().eq(pattern), "{path}");
        }
        let head = Request::head(url("/bytes/1234")).body(()).unwrap();
        let response = client.ask(head).await;
        assert_eq!(response.head.headers["content-length"], "1234");
        assert!(response.body.is_empty());
        for status in [204, 304, 404] {
            let response = client.get(&format!("/status/{status}")).await;
            assert_eq!(response.status(), status);
            assert!(response.body.is_empty());
        }
        assert_eq!(
            client.get("/none").await.status(),
            200,
            "all on one connection"
        );
    });
}

#[test]
fn a_stream_that_nobody_reads_holds_up_no_other() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    run(async {
        let mut settings = h2::client::Builder::new();
        settings.initial_connection_window_size(8 * 1024 * 1024);
        let client = Http2Client::with(front.port, &settings).await;
        let (stalled, _stream) = client.begin(get("/bytes/50000000"), true).await;
        let stalled = stalled.await.unwrap();
        let slow = client.get("/delay/200");
        let others = async {
            for number in 0..20 {
                let path = format!("/bytes/{}", 1000 + number);
                assert_eq!(client.get(&path).await.body.len(), 1000 + number);
            }
        };
        let (slow, ()) = tokio::join!(slow, others);
        assert_eq!(slow.status(), 200);
        assert_eq!(whole(stalled).await.body.len(), 50_000_000);
    });
}

#[test]
fn trailers_reach_the_client() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut incoming = destination.accept();
            let head = incoming.head();
            assert_eq!(head.all("transfer-encoding"), ["chunked"]);
            assert_eq!(incoming.chunked(5), b"hello");
            incoming.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                 2\r\nok\r\n0\r\nX-Sum: 7\r\nConnection: x\r\n\r\n",
            );
        });
        let response = run(async {
            let client = Http2Client::connect(front.port).await;
            client.post("/", b"hello").await
        });
        assert_eq!(response.text(), "ok");
        let trailers = response.trailers.unwrap();
        assert_eq!(trailers["x-sum"], "7");
        assert_eq!(trailers.len(), 1);
    });
}

#[test]
fn a_request_that_is_taken_back_leaves_its_destination() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let asked = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut incoming = destination.accept();
            incoming.head();
            asked.store(true, Ordering::Relaxed);
            assert!(incoming.is_closed(), "before the response");
            let mut incoming = destination.accept();
            incoming.head();
            incoming.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            assert!(incoming.is_closed(), "while it is passed on");
            let mut incoming = destination.accept();
            incoming.head();
            incoming.send(OK);
        });
        run(async {
            let client = Http2Client::connect(front.port).await;
            let (_response, mut stream) = client.begin(get("/1"), true).await;
            let is_asked = || asked.load(Ordering::Relaxed);
            eventually_async("the destination is asked", is_asked).await;
            stream.send_reset(h2::Reason::CANCEL);
            let (response, mut stream) = client.begin(get("/2"), true).await;
            let mut body = response.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "hello");
            stream.send_reset(h2::Reason::CANCEL);
            assert_eq!(client.get("/3").await.text(), "ok");
        });
    });
}

async fn eventually_async(what: &str, mut holds: impl FnMut() -> bool) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < until, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[test]
fn a_response_that_breaks_off_resets_its_stream_alone() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let begun = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut incoming = destination.accept();
            incoming.head();
            incoming.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            begun.wait();
            drop(incoming);
            let mut incoming = destination.accept();
            incoming.head();
            incoming.send(OK);
        });
        run(async {
            let client = Http2Client::connect(front.port).await;
            let (response, _stream) = client.begin(get("/"), true).await;
            let broken_off = async {
                let mut body = response.await?.into_body();
                begun.wait();
                // What has been sent may be lost with the rest.
                while let Some(data) = body.data().await {
                    data?;
                }
                Ok::<_, h2::Error>(())
            };
            let error = broken_off.await.unwrap_err();
            assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
            assert_eq!(client.get("/").await.text(), "ok");
        });
    });
}

#[test]
fn a_body_beyond_its_limit_is_refused() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let json = forwarding_at(&address).replacen(
        '{',
        r#"{ "Kestrel": { "Limits": { "MaxRequestBodySize": 1000 } }, "#,
        1,
    );
    let front = sandbox.front(&json);
    run(async {
        let client = Http2Client::connect(front.port).await;
        assert_eq!(client.post("/upload", &[0; 1000]).await.status(), 200);
        assert_eq!(client.post("/upload", &[0; 1001]).await.status(), 413);
        assert_eq!(
            client.get("/").await.status(),
            200,
            "the connection goes on"
        );
    });
}

#[test]
fn an_end_that_comes_behind_the_response_is_waited_for() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let request = Request::post(url("/upload")).header("content-length", "5");
        let (response, mut stream) = client.begin(request.body(()).unwrap(), false).await;
        send(&mut stream, b"hello", false).await;
        let response = whole(response.await.unwrap()).await;
        assert_eq!(response.json()["length"], 5);
        // What the front has to say of the stream comes before its next response.
        assert_eq!(client.get("/").await.status(), 200);
        let reset = std::future::poll_fn(|cx| Poll::Ready(stream.poll_reset(cx))).await;
        assert!(reset.is_pending(), "{reset:?}");
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(client.get("/").await.status(), 200);
    });
}

#[test]
fn a_web_socket_over_a_stream() {
    // RFC 8441.
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    run(async {
        let client = Http2Client::connect(front.port).await;
        assert_eq!(client.get("/").await.status(), 200);
        let request = Request::builder()
            .method("CONNECT")
            .uri(url("/ws"))
            .header("sec-websocket-version", "13")
            .extension(h2::ext::Protocol::from_static("websocket"))
            .body(())
            .unwrap();
        assert!(client.sender.is_extended_connect_protocol_enabled());
        let (response, mut stream) = client.begin(request, false).await;
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let mut body = response.into_body();
        let frame = |opcode: u8, text: &[u8]| {
            let mut frame = vec![0x80 | opcode, 0x80 | text.len() as u8, 0, 0, 0, 0];
            frame.extend_from_slice(text);
            frame
        };
        for text in ["hello", "again"] {
            send(&mut stream, &frame(1, text.as_bytes()), false).await;
            let mut answer = Vec::new();
            while answer.len() < 2 + text.len() {
                let data = body.data().await.unwrap().unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                answer.extend_from_slice(&data);
            }
            assert_eq!(
                answer,
                [&[0x81, text.len() as u8], text.as_bytes()].concat()
            );
        }
        send(&mut stream, &frame(8, &[]), false).await;
        while let Some(data) = body.data().await {
            data.unwrap();
        }
        assert_eq!(client.get("/").await.status(), 200, "other streams go on");
    });
}

#[test]
fn a_stopping_front_finishes_its_streams() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let (response, _stream) = client.begin(get("/delay/500"), true).await;
        let (other, _stream) = client.begin(get("/"), true).await;
        other.await.unwrap();
        front.process.signal("TERM");
        assert_eq!(response.await.unwrap().status(), 200);
        assert!(
            client.ended.await.unwrap().is_ok(),
            "GOAWAY without an error"
        );
    });
    assert!(front.process.wait().success());
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let json = forwarding_at(&address).replacen(
        '{',
        r#"{ "Kestrel": { "Limits": { "Http2": { "MaxStreamsPerConnection": 2 } } }, "#,
        1,
    );
    let front = sandbox.front(&json);
    let mut raw = Frames::connect(front.port);
    for stream in [1, 3, 5] {
        raw.request(stream, "/delay/60000");
    }
    let reset = raw.frame_of(3, 5);
    assert_eq!(reset, 7u32.to_be_bytes(), "REFUSED_STREAM");
}

#[test]
fn rapid_resets_end_the_connection() {
    // CVE-2023-44487.
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    let mut raw = Frames::connect(front.port);
    for number in 0..100_000u32 {
        let stream = number * 2 + 1;
        if !raw.request(stream, "/delay/60000") || !raw.frame(3, 0, stream, &8u32.to_be_bytes()) {
            break;
        }
    }
    assert_eq!(raw.goaway(), ENHANCE_YOUR_CALM);
    assert_eq!(front.ask("GET", "/").status, 200, "others are served");
}

#[test]
fn endless_fields_end_the_connection() {
    // CONTINUATION without an end (CVE-2024-27316).
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    let mut raw = Frames::connect(front.port);
    raw.frame(1, 0x1, 1, &[0x82, 0x86, 0x01, 1, b'x', 0x84]);
    let mut field = vec![0x00, 1, b'a', 0x7f, 0x80 + 1, 0x07];
    field.extend(std::iter::repeat_n(b'v', 127 + 1 + 7 * 128));
    let before = front.process.memory();
    let mut said = 0;
    while said < 200_000_000 && raw.frame(9, 0, 1, &field) {
        said += field.len();
    }
    assert!(said < 200_000_000, "the front takes no end of fields");
    let grown = front.process.memory().saturating_sub(before);
    assert!(grown < 20_000_000, "{grown} bytes");
    assert_eq!(front.ask("GET", "/").status, 200, "others are served");
}

#[test]
fn settings_and_pings_without_end_hold_no_memory() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    for (kind, payload) in [(4, &[][..]), (6, &[0; 8])] {
        let mut raw = Frames::connect(front.port);
        let timeout = std::time::Duration::from_millis(500);
        raw.stream.set_write_timeout(Some(timeout)).unwrap();
        let before = front.process.memory();
        // Nobody reads what the front acknowledges: it stops reading, or ends the connection.
        let mut said = 0u32;
        while said < 3_000_000 && raw.frame(kind, 0, 0, payload) {
            said += 1;
        }
        assert!(said < 3_000_000, "{kind}");
        let grown = front.process.memory().saturating_sub(before);
        assert!(grown < 20_000_000, "{kind}: {grown} bytes");
        assert_eq!(front.ask("GET", "/").status, 200, "others are served");
    }
}

#[test]
fn fields_beyond_their_limit_are_refused() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let long = "v".repeat(40_000);
        let request = Request::get(url("/")).header("x", long).body(()).unwrap();
        assert_eq!(client.ask(request).await.status(), 431);
        let target = url(&format!("/{}", "p".repeat(9000)));
        let request = Request::get(target).body(()).unwrap();
        assert_eq!(client.ask(request).await.status(), 414);
        assert_eq!(
            client.get("/").await.status(),
            200,
            "the connection goes on"
        );
    });
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let json = forwarding_at(&address).replacen(
        '{',
        r#"{ "Kestrel": { "Limits": { "KeepAliveTimeout": "00:00:01", "RequestHeadersTimeout": "00:00:01" } }, "#,
        1,
    );
    let front = sandbox.front(&json);
    run(async {
        let client = Http2Client::connect(front.port).await;
        assert_eq!(client.get("/delay/2500").await.status(), 200);
        assert!(client.ended.await.unwrap().is_ok());
    });
    let silent = TcpStream::connect(("127.0.0.1", front.port)).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut silent = silent;
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    silent.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408"),
        "a preface without end: {answer}"
    );
}

#[test]
fn a_queue_s_targets_answer_streams() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_by_path(&["a", "b"]));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let body: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
        for _ in 0..3 {
            for (queue, target) in ["a", "b"].iter().zip(&targets) {
                let echo = client.post(&format!("/{queue}/echo?q=1"), &body).await;
                let echo = echo.json();
                assert_eq!(echo["arrival"], "streamed");
                assert_eq!(echo["pid"], target.pid());
                assert_eq!(echo["target"], format!("/{queue}/echo?q=1"));
                assert_eq!(echo["length"], body.len());
                assert!(echo["client"].as_str().unwrap().starts_with("127.0.0.1:"));
                let bytes = client.get(&format!("/{queue}/stream/1000000")).await;
                assert_eq!(bytes.body.len(), 1_000_000);
            }
        }
        // Streams of one connection are with their targets at the same time.
        let (slow, _stream) = client.begin(get("/a/delay/300"), true).await;
        assert_eq!(client.get("/b/").await.status(), 200);
        assert_eq!(client.get("/a/").await.status(), 200);
        assert_eq!(slow.await.unwrap().status(), 200);
    });
    // The same targets are delegated to by others.
    let echo = front.ask("GET", "/a/echo").json();
    assert_eq!(echo["arrival"], "delegated");
}
