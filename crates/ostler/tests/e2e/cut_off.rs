//! Responses that are not whole, which no client may take for whole; and requests' bodies that
//! nobody may lose.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use http::Request;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SendFlags, SocketType};

use crate::forwarding::{forwarding_at, forwarding_to};
use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::http2_client::{Http2Client, get, run, send, url, whole};
use crate::support::http2_destination::blocking;
use crate::support::http2_frames::{
    DATA, ENABLE_CONNECT_PROTOCOL, END, END_HEADERS, Frames, HEADERS, STATUS_200, frame, reset,
};
use crate::support::{Client, Destination, Front, PATIENCE, Sandbox, delegating_to};
use crate::uploads::{HTTP2, front};

const CHUNKED: &str =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

/// A client whose socket has room for little, so that a response stays half taken.
fn narrow_client(front: &Front) -> Client {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    set_socket_recv_buffer_size(&socket, 4096).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], front.port));
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream)
}

/// Bytes that fill every buffer between here and a client that does not read.
fn fill(stream: &TcpStream) {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || while stream.write(&[b'x'; 64 * 1024]).is_ok() {});
}

#[test]
fn nothing_is_said_behind_a_response_that_is_half_taken() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = sandbox.front(&forwarding_to(&destination));
    // The first piece of the response, or one of those behind it, is what the client holds up.
    for _ in 0..8 {
        let mut client = narrow_client(&front);
        client.send(CHUNKED);
        let mut incoming = destination.accept();
        incoming.head();
        incoming.send("HTTP/1.1 201 Created\r\nContent-Length: 100000000\r\n\r\n");
        fill(incoming.stream.get_ref());
        assert_eq!(client.try_head().unwrap().0, 201);
        client.send("no chunk\r\n");
        let rest = client.rest();
        assert!(rest.len() < 100_000_000, "it is cut off");
        let other = rest.iter().position(|byte| *byte != b'x');
        let other = other.map(|at| String::from_utf8_lossy(&rest[at..]).into_owned());
        assert_eq!(other, None);
    }
}

#[test]
fn an_http2_response_that_is_reset_before_its_end_is_not_whole() {
    const REASONS: [u32; 2] = [0, 8];
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut connection = Frames::accept(&destination, &[]);
    let begin = |connection: &mut Frames| {
        let stream = connection.asked();
        connection.say(frame(HEADERS, END_HEADERS, stream, STATUS_200));
        connection.say(frame(DATA, 0, stream, b"begun"));
        stream
    };
    for reason in REASONS {
        let stream = begin(&mut connection);
        let (status, fields) = client.try_head().unwrap();
        assert_eq!(status, 200);
        let chunked = ("transfer-encoding".to_owned(), "chunked".to_owned());
        assert!(fields.contains(&chunked), "{fields:?}");
        assert_eq!(client.read(10), b"5\r\nbegun\r\n");
        connection.say(reset(stream, reason));
        assert_eq!(client.rest(), b"", "no last chunk, reason {reason}");
        client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    begin(&mut connection);
    run(async {
        let client = Http2Client::connect(front.port).await;
        for reason in REASONS {
            let (response, _stream) = client.begin(get("/"), true).await;
            let (mut connection_, stream) = blocking(move || {
                let stream = begin(&mut connection);
                (connection, stream)
            })
            .await;
            let mut body = response.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "begun");
            connection_.say(reset(stream, reason));
            let ended = body.data().await;
            assert!(matches!(ended, Some(Err(_))), "reason {reason}: {ended:?}");
            connection = connection_;
        }
    });
}

#[test]
fn a_tunnel_that_is_reset_is_not_ended() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = front(&sandbox, HTTP2, &destination.address());
    run(async {
        let client = Http2Client::connect(front.port).await;
        let request = Request::connect(url("/"))
            .extension(h2::ext::Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13");
        // The connection has said that it knows extended CONNECT once something has been answered.
        let first = client.get("/none");
        let serve = blocking(move || {
            let mut connection = Frames::accept(&destination, &[ENABLE_CONNECT_PROTOCOL]);
            let stream = connection.asked();
            connection.say(frame(HEADERS, END_HEADERS | END, stream, STATUS_200));
            connection
        });
        let (_, mut connection) = tokio::join!(first, serve);
        let (response, _stream) = client.begin(request.body(()).unwrap(), false).await;
        let (mut connection, stream) = blocking(move || {
            let stream = connection.asked();
            connection.say(frame(HEADERS, END_HEADERS, stream, STATUS_200));
            (connection, stream)
        })
        .await;
        let mut body = response.await.unwrap().into_body();
        connection.say(reset(stream, 0));
        let ended = body.data().await;
        assert!(matches!(ended, Some(Err(_))), "{ended:?}");
    });
}

#[test]
fn a_response_that_is_known_to_be_broken_before_its_first_byte_left_is_a_502() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front_of_http2 = front(&sandbox, HTTP2, &destination.address());
    let mut client = front_of_http2.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut connection = Frames::accept(&destination, &[]);
    // All of it in one segment.
    let stream = connection.asked();
    let head = frame(HEADERS, END_HEADERS, stream, STATUS_200);
    let data = frame(DATA, 0, stream, b"begun");
    connection.say([head, data, reset(stream, 2)].concat());
    assert_eq!(client.response().status, 502);
    // Not without a body, either.
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let stream = connection.asked();
    let head = frame(HEADERS, END_HEADERS, stream, STATUS_200);
    connection.say([head, reset(stream, 2)].concat());
    assert_eq!(client.response().status, 502);

    let sandbox = Sandbox::new();
    let front = sandbox.front(&forwarding_to(&destination));
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\nnone\r\n",
    ] {
        let mut client = front.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut incoming = destination.accept();
        incoming.head();
        // The end of the connection travels with the last bytes.
        let stream = incoming.stream.get_ref();
        rustix::net::send(stream, response.as_bytes(), SendFlags::MORE).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let status = client.response().status;
        assert_eq!(status, 502, "{response:?}");
    }
}

/// Methods whose requests usually have no body.
const BODILESS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "DELETE"];

#[test]
fn the_body_of_any_method_reaches_an_http1_destination() {
    let sandbox = Sandbox::new();
    let destination = Arc::new(Destination::new());
    let front = sandbox.front(&forwarding_to(&destination));
    let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    for method in BODILESS {
        let mut client = front.connect();
        client.send(CHUNKED.replacen("POST", method, 1));
        client.send("0\r\n\r\n");
        let mut incoming = destination.accept();
        assert_eq!(incoming.head().all("transfer-encoding"), ["chunked"]);
        assert_eq!(incoming.chunked(5), b"hello", "{method}");
        assert_eq!(incoming.line(), "0");
        incoming.send(answer);
        assert_eq!(client.response().status, 204);
        run(async {
            let client = Http2Client::connect(front.port).await;
            let request = Request::builder().method(method).uri(url("/"));
            let (response, mut stream) = client.begin(request.body(()).unwrap(), false).await;
            send(&mut stream, b"hello", true).await;
            let destination = Arc::clone(&destination);
            let answered = blocking(move || {
                let mut incoming = destination.accept();
                assert_eq!(incoming.head().all("transfer-encoding"), ["chunked"]);
                assert_eq!(incoming.chunked(5), b"hello", "{method}");
                assert_eq!(incoming.line(), "0");
                incoming.send(answer);
            });
            answered.await;
            assert_eq!(response.await.unwrap().status(), 204);
        });
        // What is no chunk is no body.
        let mut client = front.connect();
        client.send(CHUNKED.replacen("POST", method, 1));
        let mut incoming = destination.accept();
        incoming.head();
        client.send("no chunk\r\n");
        assert_eq!(client.try_head().unwrap().0, 400, "{method}");
        let rest = String::from_utf8(incoming.rest()).unwrap();
        assert!(!rest.ends_with("0\r\n\r\n"), "{method}: {rest:?}");
    }
}

/// Asks by `method` with a body of five bytes, in HTTP/1.1 and HTTP/2, and reads how long a body
/// the application has seen.
fn bodies_arrive(front: &Front, way: &str) {
    for method in ["GET", "OPTIONS", "DELETE"] {
        let mut client = front.connect();
        client.send(CHUNKED.replacen("POST /", &format!("{method} /echo"), 1));
        client.send("0\r\n\r\n");
        let length = client.response().json()["length"].clone();
        assert_eq!(length, 5, "{way} {method}");
        client.send(CHUNKED.replacen("POST /", &format!("{method} /echo"), 1));
        client.send("no chunk\r\n");
        assert_eq!(client.response().status, 400, "{way} {method}");
        run(async {
            let client = Http2Client::connect(front.port).await;
            let request = Request::builder().method(method).uri(url("/echo"));
            let (response, mut stream) = client.begin(request.body(()).unwrap(), false).await;
            send(&mut stream, b"hello", true).await;
            let response = whole(response.await.unwrap()).await;
            assert_eq!(response.json()["length"], 5, "{way} {method}");
        });
    }
}

#[test]
fn the_body_of_any_method_reaches_the_application() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    bodies_arrive(&sandbox.front(&forwarding_at(&address)), "forwarded");
    bodies_arrive(&sandbox.front(&delegating_to(&["q"])), "delegated");
    if let Some(sandbox) = shared_sandbox() {
        let _target = target_of_a_stranger(&sandbox, "q", "create");
        bodies_arrive(&sandbox.front(&delegating_to(&["q"])), "relayed");
    }
}
