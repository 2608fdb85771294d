//! What HTTP/2 says otherwise than HTTP/1.1: tunnels (RFC 8441), expectations, request-targets.

use http::Request;

use crate::forwarding::{OK, forwarding_to};
use crate::support::http2_client::{Http2Client, run, send, url};
use crate::support::http2_destination::blocking;
use crate::support::http2_frames::{Frames, HEADERS, fields};
use crate::support::{BothWays, Destination, Sandbox, WAYS, delegating_to};

#[test]
fn settings_are_those_that_kestrel_says() {
    let (sandbox, destination) = (Sandbox::new(), Destination::new());
    let front = sandbox.front(&forwarding_to(&destination));
    let mut client = Frames::connect(front.port);
    let settings = client.frame_of(4, 0);
    let mut said: Vec<_> = settings
        .chunks(6)
        .map(|setting| {
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            (u16::from_be_bytes([setting[0], setting[1]]), value)
        })
        .collect();
    said.sort_unstable();
    // All but MAX_HEADER_LIST_SIZE, which is 32,768 there.
    assert_eq!(said, [(3, 100), (4, 768 * 1024), (6, 35_968), (8, 1)]);
}

/// A request to speak another protocol on its stream.
fn connect(protocol: &str, path: &str) -> Request<()> {
    let request = Request::connect(url(path))
        .extension(h2::ext::Protocol::from(protocol))
        .header("sec-websocket-version", "13");
    request.body(()).unwrap()
}

#[test]
fn a_web_socket_that_is_answered_as_a_request_is_not_accepted() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("wwwroot")).unwrap();
    std::fs::write(sandbox.path().join("wwwroot/file.txt"), "file").unwrap();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", r#""StaticFiles": { "Enabled": true },"#));
    run(async {
        let client = Http2Client::connect(front.port).await;
        assert_eq!(client.get("/file.txt").await.text(), "file");
        for way in WAYS {
            for (path, status) in [
                ("/bytes/3", 502),
                ("/status/204", 502),
                // What refuses is passed on.
                ("/status/403", 403),
                ("/status/302", 302),
            ] {
                let request = connect("websocket", &format!("{way}{path}"));
                let (response, _stream) = client.begin(request, false).await;
                assert_eq!(response.await.unwrap().status(), status, "{way}{path}");
            }
        }
        let request = connect("websocket", "/file.txt");
        let (response, _stream) = client.begin(request, false).await;
        assert_eq!(response.await.unwrap().status(), 502, "a file");
    });
}

#[test]
fn protocols_that_are_not_known_are_not_implemented() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    run(async {
        let client = Http2Client::connect(front.port).await;
        for protocol in ["connect-udp", "connect-ip", "webtransport", "spdy/3.1", ""] {
            let (response, _stream) = client.begin(connect(protocol, "/"), false).await;
            assert_eq!(response.await.unwrap().status(), 501, "{protocol}");
        }
    });
    assert!(destination.is_left_alone(), "nothing is sent");
}

#[test]
fn a_tunnel_whose_other_side_is_reset_is_cancelled() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let (response, _stream) = client.begin(connect("websocket", "/"), false).await;
        let accept = blocking(move || {
            let mut incoming = destination.accept();
            let head = incoming.head();
            let key = head.all("sec-websocket-key")[0].to_owned();
            let accepted = tungstenite::handshake::derive_accept_key(key.as_bytes());
            incoming.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accepted}\r\n\r\n"
            ));
            incoming
        });
        let (response, incoming) = tokio::join!(response, accept);
        let response = response.unwrap();
        assert_eq!(response.status(), 200);
        // Closing resets it.
        let socket = incoming.stream.get_ref();
        rustix::net::sockopt::set_socket_linger(socket, Some(std::time::Duration::ZERO)).unwrap();
        drop(incoming);
        let ended = response.into_body().data().await.unwrap().unwrap_err();
        assert_eq!(ended.reason(), Some(h2::Reason::CANCEL));
    });
}

#[test]
fn a_body_that_comes_unasked_is_passed_on_unasked() {
    let (sandbox, destination) = (Sandbox::new(), Destination::new());
    let front = sandbox.front(&forwarding_to(&destination));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    // Behind the head, when the destination has it.
    let mut client = front.connect();
    client.send(head);
    let mut incoming = destination.accept();
    assert_eq!(incoming.head().all("expect"), ["100-continue"]);
    client.send("hello");
    assert_eq!(incoming.read(5), b"hello");
    incoming.send(OK);
    assert_eq!(client.response().status, 200, "and not 100");
    // On a stream, before that and behind it.
    let (sandbox, destination) = (Sandbox::new(), Destination::new());
    let front = sandbox.front(&forwarding_to(&destination));
    run(async {
        let mut incoming = None;
        let client = Http2Client::connect(front.port).await;
        for at_once in [true, false] {
            let request = Request::post(url("/"))
                .header("expect", "100-continue")
                .header("content-length", "5")
                .body(())
                .unwrap();
            let (mut response, mut stream) = client.begin(request, false).await;
            if at_once {
                send(&mut stream, b"hello", true).await;
            }
            let mut asked = match incoming {
                Some(incoming) => incoming,
                None => destination.accept(),
            };
            let mut asked = blocking(move || {
                assert_eq!(asked.head().all("expect"), ["100-continue"]);
                asked
            })
            .await;
            if !at_once {
                send(&mut stream, b"hello", true).await;
            }
            let answered = blocking(move || {
                assert_eq!(asked.read(5), b"hello");
                asked.send(OK);
                asked
            });
            incoming = Some(answered.await);
            let interim = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
            assert!(interim.is_none(), "{interim:?}");
            assert_eq!(response.await.unwrap().status(), 200);
        }
    });
}

#[test]
fn connect_is_no_request_to_anybody_behind_the_front() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
    assert_eq!(client.response().status, 502);
    // Over HTTP/2 too.
    let mut client = Frames::connect(front.port);
    let block = fields(&[(":method", b"CONNECT"), (":authority", b"example.org:443")]);
    client.headers(1, 0, &block);
    assert_eq!(
        client.next_that(|frame| frame.kind == HEADERS).status(),
        502
    );
}

#[test]
fn a_path_is_escaped_where_it_has_to_be() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = sandbox.front(&both.configuration("", ""));
    for way in WAYS {
        let mut client = Frames::connect(front.port);
        client.request(1, &format!("{way}/\u{e9}\"<>^`\\{{|}}/echo?q=\u{e9}\"<>^"));
        assert_eq!(client.status_of(1), 200);
        let echo = client.frame_of(0, 1);
        let echo: serde_json::Value = serde_json::from_slice(&echo).unwrap();
        let target = echo["target"].as_str().unwrap();
        let path = target.strip_prefix(way).unwrap_or(target);
        assert!(path.starts_with("/%C3%A9%22%3C%3E%5E%60%5C"), "{target}");
        assert!(path.ends_with("/echo?q=%C3%A9%22%3C%3E%5E"), "{target}");
    }
}

#[test]
fn trailers_are_bound_as_heads_are() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    let long = "v".repeat(20_000);
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    incoming.send(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Long\r\n\r\n\
         2\r\nok\r\n0\r\nX-Long: {long}\r\n\r\n"
    ));
    assert_eq!(client.response().text(), "ok");
    // Over HTTP/2 they arrive.
    let (sandbox, destination) = (Sandbox::new(), Destination::new());
    let front = sandbox.front(&forwarding_to(&destination));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let asked = client.get("/");
        let answer = blocking(move || {
            let mut incoming = destination.accept();
            incoming.head();
            incoming.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Long\r\n\r\n\
                 2\r\nok\r\n0\r\nX-Long: {long}\r\n\r\n"
            ));
            incoming
        });
        let (response, _incoming) = tokio::join!(asked, answer);
        assert_eq!(response.text(), "ok");
        assert_eq!(response.trailers.unwrap()["x-long"].len(), 20_000);
    });
}
