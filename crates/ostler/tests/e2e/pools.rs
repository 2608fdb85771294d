//! Connections to destinations: when they are used again, how many there are, and what is done when
//! one ends at the wrong moment (reference B10 and B16).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::{Client, Front, Sandbox, eventually};

/// What a destination has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Connections that are open.
    open: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

impl Seen {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn opened(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    fn closed(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What an HTTP/1.1 destination does with a request.
enum Does {
    /// It answers with `ok`.
    Answers,
    Says(&'static str),
    SaysAndCloses(&'static str),
    /// It closes the connection without a word.
    Closes,
    Resets,
}

/// A destination that does what its script says, whichever connection a request comes on, and
/// answers beyond it.
struct Scripted {
    address: SocketAddr,
    seen: Arc<Seen>,
}

impl Scripted {
    fn start(script: impl IntoIterator<Item = Does>) -> Self {
        let script: VecDeque<_> = script.into_iter().collect();
        let script = Arc::new(Mutex::new(script));
        let seen = Arc::new(Seen::default());
        let counting = Arc::clone(&seen);
        let address = listening(move |stream| {
            let (seen, script) = (Arc::clone(&counting), Arc::clone(&script));
            async move {
                seen.opened();
                play(stream, &script, &seen).await;
                seen.closed();
            }
        });
        Self { address, seen }
    }
}

/// Listens on a thread of its own, and serves each connection in a task.
fn listening<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
    });
    receiver.recv().unwrap()
}

async fn play(mut stream: TcpStream, script: &Mutex<VecDeque<Does>>, seen: &Seen) {
    loop {
        let Some(head) = read_message(&mut stream).await else {
            return;
        };
        seen.heads.lock().unwrap().push(head);
        seen.requests.fetch_add(1, Ordering::SeqCst);
        let does = script.lock().unwrap().pop_front();
        let says = match does.unwrap_or(Does::Answers) {
            Does::Answers => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Does::Says(says) => says,
            Does::SaysAndCloses(says) => {
                let _ = stream.write_all(says.as_bytes()).await;
                return;
            }
            Does::Closes => return,
            Does::Resets => return reset_at_close(&stream),
        };
        if stream.write_all(says.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Closing is a reset from now on.
fn reset_at_close(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO)).unwrap();
}

/// A request's head, once its body is here too.
async fn read_message(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

/// A front of `threads` threads before a destination.
fn front(sandbox: &Sandbox, address: SocketAddr, cluster: Value, threads: usize) -> Front {
    let mut all = json!({ "Destinations": { "d": { "Address": format!("http://{address}/") } } });
    let Value::Object(cluster) = cluster else {
        panic!("a cluster is an object");
    };
    all.as_object_mut().unwrap().extend(cluster);
    let json = json!({ "ReverseProxy": {
        "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
        "Clusters": { "c": all },
    } });
    sandbox.front_with(&json.to_string(), &["--threads", &threads.to_string()])
}

fn http2() -> Value {
    json!({ "HttpRequest": { "Version": "2", "VersionPolicy": "RequestVersionExact" } })
}

#[test]
fn one_connection_serves_one_client_after_another() {
    let sandbox = Sandbox::new();
    let destination = Scripted::start([]);
    let front = front(&sandbox, destination.address, json!({}), 1);
    for _ in 0..5 {
        assert_eq!(front.ask("GET", "/").text(), "ok");
        assert_eq!(front.connect().post("/", b"body").text(), "ok");
    }
    assert_eq!(destination.seen.connections(), 1);
    assert_eq!(destination.seen.requests(), 10);
}

#[test]
fn requests_that_do_no_harm_twice_survive_a_pooled_connection_that_closes() {
    // RFC 9110 section 9.2.2.
    for method in ["GET", "OPTIONS", "DELETE"] {
        let sandbox = Sandbox::new();
        let script = [Does::Answers, Does::Closes, Does::Answers, Does::Closes];
        let destination = Scripted::start(script);
        let front = front(&sandbox, destination.address, json!({}), 1);
        let mut client = front.connect();
        for path in ["/first", "/second", "/third"] {
            assert_eq!(client.ask(method, path).text(), "ok", "{method} {path}");
        }
        assert_eq!(destination.seen.connections(), 3);
        let heads = destination.seen.heads.lock().unwrap();
        let seconds = heads.iter().filter(|head| head.contains("/second"));
        let seconds: Vec<_> = seconds.collect();
        // The same request, whole.
        assert_eq!(seconds.len(), 2);
        assert_eq!(seconds[0], seconds[1]);
    }
}

#[test]
fn a_request_that_may_have_been_carried_out_is_not_sent_again() {
    let once = |request: String, does: Does| {
        let sandbox = Sandbox::new();
        let destination = Scripted::start([Does::Answers, does]);
        let front = front(&sandbox, destination.address, json!({}), 1);
        let mut client = front.connect();
        assert_eq!(client.ask("GET", "/").text(), "ok");
        client.send(&request);
        assert_eq!(client.response().status, 502, "{request:?}");
        assert_eq!(destination.seen.requests(), 2, "{request:?}");
        assert_eq!(client.ask("GET", "/").text(), "ok", "{request:?}");
    };
    for method in ["POST", "PUT", "PATCH"] {
        for length in ["Content-Length: 0\r\n", ""] {
            let request = format!("{method} / HTTP/1.1\r\nHost: x\r\n{length}\r\n");
            once(request, Does::Closes);
        }
    }
    // Who resets a connection has read what came on it.
    for method in ["GET", "POST", "DELETE"] {
        once(
            format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"),
            Does::Resets,
        );
    }
}

#[test]
fn any_request_goes_on_by_another_connection_where_one_had_ended_before() {
    let sandbox = Sandbox::new();
    let ends = || Does::SaysAndCloses("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let destination = Scripted::start([ends(), ends(), ends(), ends()]);
    let front = front(&sandbox, destination.address, json!({}), 1);
    let mut client = front.connect();
    for (asked, body) in [&b""[..], b"body", b"", b"body"].into_iter().enumerate() {
        assert_eq!(client.post("/", body).text(), "ok");
        assert_eq!(destination.seen.requests(), asked + 1);
        eventually("the connection has ended", || destination.seen.open() == 0);
    }
    assert_eq!(destination.seen.connections(), 4);
}

#[test]
fn a_connection_that_has_lived_long_enough_is_replaced() {
    let brief = json!({ "PooledConnectionLifetime": "00:00:01" });
    let sandbox = Sandbox::new();
    let destination = Scripted::start([]);
    let cluster = json!({ "Ostler": brief });
    let front = front(&sandbox, destination.address, cluster, 1);
    let mut client = front.connect();
    eventually("another connection is opened", || {
        assert_eq!(client.ask("GET", "/").text(), "ok");
        destination.seen.connections() >= 3
    });
    eventually("those before are closed", || destination.seen.open() <= 1);

    let other = Sandbox::new();
    let destination = Http2::start(100, [Stream::Waits]);
    let mut cluster = http2();
    cluster["Ostler"] = brief;
    let front = self::front(&other, destination.address, cluster, 1);
    // A stream that is under way is brought to its end.
    let mut waiting = front.connect();
    waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("it is asked", || destination.seen.requests() == 1);
    let mut client = front.connect();
    eventually("another connection is opened", || {
        assert_eq!(client.ask("GET", "/").text(), "ok");
        destination.seen.connections() >= 3
    });
    destination.go_on.notify_one();
    assert_eq!(waiting.response().text(), "ok");
    eventually("those before are closed", || destination.seen.open() <= 1);
}

#[test]
fn a_request_with_a_body_is_not_sent_twice_nor_is_one_that_was_begun_to_be_answered() {
    let sandbox = Sandbox::new();
    let script = [Does::Answers, Does::Closes, Does::Answers];
    let destination = Scripted::start(script);
    let front = front(&sandbox, destination.address, json!({}), 1);
    assert_eq!(front.ask("GET", "/").text(), "ok");
    assert_eq!(front.connect().post("/", b"body").status, 502);
    assert_eq!(destination.seen.requests(), 2);
    // The first connection of a request is not tried twice either.
    let other = Sandbox::new();
    let destination = Scripted::start([Does::Closes]);
    let front = self::front(&other, destination.address, json!({}), 1);
    assert_eq!(front.ask("GET", "/").status, 502);
    assert_eq!(destination.seen.requests(), 1);
}

#[test]
fn interim_responses_do_not_disturb() {
    let sandbox = Sandbox::new();
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal";
    let destination = Scripted::start([Does::Says(early), Does::Says(early)]);
    let front = front(&sandbox, destination.address, json!({}), 1);
    let mut client = front.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let mut response = client.response();
        while response.status == 103 {
            response = client.response();
        }
        assert_eq!(
            (response.status, response.text()),
            (200, "final".to_owned())
        );
    }
    assert_eq!(destination.seen.connections(), 1);
}

#[test]
fn max_connections_per_server_holds_for_all_threads_and_serves_all() {
    let sandbox = Sandbox::new();
    let destination = Scripted::start([]);
    let cluster = json!({ "HttpClient": { "MaxConnectionsPerServer": 2 } });
    let front = front(&sandbox, destination.address, cluster, 2);
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let port = front.port;
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                for _ in 0..20 {
                    assert_eq!(client.ask("GET", "/").text(), "ok");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(destination.seen.requests(), 16 * 20);
    // One that the front has closed may be open here for a moment still, while its successor is
    // there already; how many the front counts is its pools' own test.
    eventually("the connections beyond the limit are closed", || {
        destination.seen.open() <= 2
    });
}

#[test]
fn who_waits_for_a_connection_waits_in_line_or_leaves_it_or_times_out() {
    const LENGTH: usize = 1_000_000;
    let sandbox = Sandbox::new();
    let destination = Scripted::start([]);
    let cluster = json!({
        "HttpClient": { "MaxConnectionsPerServer": 1 },
        "HttpRequest": { "ActivityTimeout": "00:00:02" },
    });
    let front = front(&sandbox, destination.address, cluster, 1);
    let mut first = front.connect();
    first.send(format!(
        "POST /first HTTP/1.1\r\nHost: test\r\nContent-Length: {LENGTH}\r\n\r\n"
    ));
    eventually("the first request has the connection", || {
        destination.seen.connections() == 1
    });
    let mut gone = front.connect();
    gone.send("GET /gone HTTP/1.1\r\nHost: test\r\n\r\n");
    drop(gone);
    // The first is busy all the time; for the second nothing moves (reference B10.1).
    let port = front.port;
    let second = std::thread::spawn(move || Client::connect(port).ask("GET", "/second"));
    let mut sent = 0;
    eventually("the second is answered", || {
        first.send(b"x");
        sent += 1;
        second.is_finished()
    });
    assert_eq!(second.join().unwrap().status, 504);
    let mut third = front.connect();
    third.send("GET /third HTTP/1.1\r\nHost: test\r\n\r\n");
    first.send(vec![b'x'; LENGTH - sent]);
    assert_eq!(first.response().text(), "ok");
    assert_eq!(third.response().text(), "ok");
    assert_eq!(destination.seen.connections(), 1);
    assert_eq!(destination.seen.requests(), 2);
}

#[test]
fn an_upgraded_connection_counts_among_them() {
    let sandbox = Sandbox::new();
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let destination = Scripted::start([Does::Says(switch), Does::Answers]);
    let cluster = json!({
        "HttpClient": { "MaxConnectionsPerServer": 1 },
        "HttpRequest": { "ActivityTimeout": "00:00:02" },
    });
    let front = front(&sandbox, destination.address, cluster, 1);
    let mut socket = front.connect();
    socket.send(
        "GET /socket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(socket.response().status, 101);
    let mut other = front.connect();
    other.send("GET /other HTTP/1.1\r\nHost: test\r\n\r\n");
    drop(socket);
    assert_eq!(other.response().text(), "ok");
    assert_eq!(destination.seen.connections(), 2);
}

/// What an HTTP/2 destination does with a stream.
#[derive(Clone, Copy)]
enum Stream {
    Answers,
    Refuses,
    /// It refuses once the body is here.
    RefusesWhole,
    /// It sends the body back, and then a trailer.
    Returns,
    /// It answers when told.
    Waits,
}

/// An HTTP/2 destination in clear text, with so many streams a connection.
struct Http2 {
    address: SocketAddr,
    seen: Arc<Seen>,
    go_on: Arc<Notify>,
}

impl Http2 {
    fn start(most: u32, script: impl IntoIterator<Item = Stream>) -> Self {
        let script: VecDeque<_> = script.into_iter().collect();
        let script = Arc::new(Mutex::new(script));
        let seen = Arc::new(Seen::default());
        let go_on = Arc::new(Notify::new());
        let (counting, waiting) = (Arc::clone(&seen), Arc::clone(&go_on));
        let address = listening(move |stream| {
            let (seen, script) = (Arc::clone(&counting), Arc::clone(&script));
            let go_on = Arc::clone(&waiting);
            async move {
                seen.opened();
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(most);
                let mut connection = builder.handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    seen.requests.fetch_add(1, Ordering::SeqCst);
                    let does = script.lock().unwrap().pop_front();
                    let does = does.unwrap_or(Stream::Answers);
                    let go_on = Arc::clone(&go_on);
                    tokio::spawn(async move { serve(request, respond, does, &go_on).await });
                }
                seen.closed();
            }
        });
        Self {
            address,
            seen,
            go_on,
        }
    }
}

async fn serve(
    mut request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    does: Stream,
    go_on: &Notify,
) {
    match does {
        Stream::Refuses => return respond.send_reset(h2::Reason::REFUSED_STREAM),
        Stream::RefusesWhole => {
            while let Some(Ok(piece)) = request.body_mut().data().await {
                let flow = request.body_mut().flow_control();
                flow.release_capacity(piece.len()).unwrap();
            }
            return respond.send_reset(h2::Reason::REFUSED_STREAM);
        }
        Stream::Waits => go_on.notified().await,
        Stream::Answers | Stream::Returns => {}
    }
    let mut pieces = Vec::new();
    while let Stream::Returns = does
        && let Some(Ok(piece)) = request.body_mut().data().await
    {
        let flow = request.body_mut().flow_control();
        flow.release_capacity(piece.len()).unwrap();
        pieces.push(piece);
    }
    let Ok(mut stream) = respond.send_response(http::Response::new(()), false) else {
        return;
    };
    if let Stream::Returns = does {
        for piece in pieces {
            stream.send_data(piece, false).unwrap();
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("7"));
        return stream.send_trailers(trailers).unwrap();
    }
    stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
}

#[test]
fn refused_streams_are_asked_again() {
    // Reference B10.3 and RFC 9113 section 8.7.
    let sandbox = Sandbox::new();
    let refusals = [Stream::Refuses; 3];
    let destination = Http2::start(100, refusals);
    let front = front(&sandbox, destination.address, http2(), 1);
    assert_eq!(front.ask("POST", "/").text(), "ok");
    assert_eq!(destination.seen.requests(), 4);
    // So are those with a body, as long as it is there to be sent again.
    let other = Sandbox::new();
    let script = [Stream::RefusesWhole, Stream::RefusesWhole, Stream::Returns];
    let destination = Http2::start(100, script);
    let front = self::front(&other, destination.address, http2(), 1);
    assert_eq!(front.connect().post("/", b"small").text(), "small");
    assert_eq!(destination.seen.requests(), 3);
    let other = Sandbox::new();
    let destination = Http2::start(100, [Stream::RefusesWhole]);
    let front = self::front(&other, destination.address, http2(), 1);
    assert_eq!(front.connect().post("/", &[b'x'; 100_000]).status, 502);
    assert_eq!(destination.seen.requests(), 1);
    // Not for ever.
    let other = Sandbox::new();
    let destination = Http2::start(100, [Stream::Refuses; 100]);
    let front = self::front(&other, destination.address, http2(), 1);
    assert_eq!(front.ask("GET", "/").status, 502);
    assert_eq!(destination.seen.requests(), 4);
}

#[test]
fn an_http_2_connection_that_has_ended_is_replaced() {
    let sandbox = Sandbox::new();
    let connections = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&connections);
    let address = listening(move |stream| {
        counting.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
            let mut stream = respond
                .send_response(http::Response::new(()), false)
                .unwrap();
            stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
            // GOAWAY, once this is answered.
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        }
    });
    let front = front(&sandbox, address, http2(), 1);
    for asked in 1..=5 {
        assert_eq!(front.ask("GET", "/").text(), "ok");
        assert!(connections.load(Ordering::SeqCst) <= asked);
    }
    assert!(connections.load(Ordering::SeqCst) > 1);
}

#[test]
fn another_http_2_connection_is_opened_where_streams_run_out() {
    // Reference B16.2: EnableMultipleHttp2Connections.
    for (several, connections) in [(true, 3), (false, 1)] {
        let sandbox = Sandbox::new();
        let destination = Http2::start(2, [Stream::Waits; 6]);
        let mut cluster = http2();
        if !several {
            cluster["HttpClient"] = json!({ "EnableMultipleHttp2Connections": false });
        }
        let front = front(&sandbox, destination.address, cluster, 1);
        let mut clients: Vec<_> = (0..6).map(|_| front.connect()).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        }
        let at_once = if several { 6 } else { 2 };
        eventually("the destination is asked", || {
            destination.seen.requests() == at_once
        });
        for number in 0..6 {
            eventually("the next is asked", || destination.seen.requests() > number);
            destination.go_on.notify_one();
        }
        for client in &mut clients {
            assert_eq!(client.response().text(), "ok");
        }
        assert_eq!(destination.seen.connections(), connections);
        assert_eq!(destination.seen.requests(), 6);
    }
}

#[test]
fn bodies_of_http_2_destinations_pass_whole() {
    let sandbox = Sandbox::new();
    let destination = Http2::start(100, [Stream::Returns, Stream::Returns]);
    let front = front(&sandbox, destination.address, http2(), 1);
    let mut client = front.connect();
    // More than the windows, so that neither end may send all at once.
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    for _ in 0..2 {
        let response = client.post("/", &body);
        assert_eq!(response.status, 200);
        assert!(response.body == body);
    }
    assert_eq!(destination.seen.connections(), 1);
}
