//! Connections that become something else, and responses that do not end: WebSocket, SSE.

use std::io::{Read, Write};
use std::net::TcpStream;

use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::support::{Client, PATIENCE, Sandbox, delegating_by_path, delegating_to};

/// The handshake of RFC 6455 section 1.2, whose answer is known.
pub(crate) const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A masked text frame (RFC 6455 section 5.7, with a mask of its own).
fn text_frame(text: &str) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
    assert!(text.len() < 126, "longer frames have another head");
    frame.extend(MASK);
    frame.extend(
        text.bytes()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// A WebSocket to `/ws` under a path prefix.
pub(crate) fn web_socket(port: u16, prefix: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let (socket, response) = tungstenite::client(format!("ws://x{prefix}/ws"), stream).unwrap();
    assert_eq!(response.status(), 101);
    socket
}

/// Says messages of every kind and hears them again.
pub(crate) fn converse<S: Read + Write>(socket: &mut WebSocket<S>) {
    let large = vec![b'w'; 500_000];
    for message in [
        Message::text("hello"),
        Message::text(""),
        Message::binary(&b"\0\x01\x02\xff"[..]),
        Message::binary(large),
    ] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.send(Message::Ping("are you there".into())).unwrap();
    assert_eq!(
        socket.read().unwrap(),
        Message::Pong("are you there".into())
    );
}

/// Ends a WebSocket as RFC 6455 section 7 wants it.
pub(crate) fn say_goodbye<S: Read + Write>(mut socket: WebSocket<S>) {
    socket.close(None).unwrap();
    loop {
        match socket.read() {
            Ok(Message::Close(_)) => {}
            Err(tungstenite::Error::ConnectionClosed) => return,
            other => panic!("{other:?} instead of the end"),
        }
    }
}

/// Sends the handshake with `behind` in the same segment, and takes the 101.
pub(crate) fn upgrade_with_bytes_behind(client: &mut Client, behind: &[u8]) {
    client.send([HANDSHAKE.as_bytes(), behind].concat());
    let response = client.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.field("sec-websocket-accept"), Some(ACCEPT));
    assert!(
        response
            .field("upgrade")
            .unwrap()
            .eq_ignore_ascii_case("websocket")
    );
    assert!(
        response
            .field("connection")
            .unwrap()
            .eq_ignore_ascii_case("upgrade")
    );
    assert_eq!(response.field("content-length"), None);
    assert_eq!(response.field("transfer-encoding"), None);
}

/// A frame that came in one segment with the handshake is answered, and so is the next one.
pub(crate) fn frames_behind_the_handshake_arrive(client: &mut Client) {
    let behind = [text_frame("first"), text_frame("second")].concat();
    upgrade_with_bytes_behind(client, &behind);
    assert_eq!(client.read(14), b"\x81\x05first\x81\x06second"[..14]);
    assert_eq!(client.read(1), b"d");
    client.send(text_frame("third"));
    assert_eq!(client.read(7), b"\x81\x05third");
}

#[test]
fn a_web_socket_is_delegated() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut socket = web_socket(front.port, "");
    // Nothing of it goes through the front: it talks while the front cannot run.
    front.process.signal("STOP");
    for _ in 0..10 {
        converse(&mut socket);
    }
    front.process.signal("CONT");
    say_goodbye(socket);
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn a_web_socket_behind_other_requests_of_its_connection() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_by_path(&["a", "b"]));
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/a/").pid(), targets[0].pid());
    assert_eq!(client.ask("GET", "/b/").pid(), targets[1].pid());
    client.send(HANDSHAKE.replacen("/ws", "/a/ws", 1));
    assert_eq!(client.response().status, 101);
    let stream = client.socket().try_clone().unwrap();
    let mut socket = WebSocket::from_raw_socket(stream, Role::Client, None);
    converse(&mut socket);
    // The other target and the front hold this socket no more: ending it ends it.
    say_goodbye(socket);
    assert!(client.is_closed());
}

#[test]
fn frames_in_one_segment_with_the_handshake_reach_the_target() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut first = front.connect();
    frames_behind_the_handshake_arrive(&mut first);
    // On a connection that the target knows already.
    let mut second = front.connect();
    assert_eq!(second.ask("GET", "/").status, 200);
    frames_behind_the_handshake_arrive(&mut second);
}

#[test]
fn many_web_sockets_at_once_hear_only_themselves() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front_with(&delegating_to(&["q"]), &["--threads", "2"]);
    let mut sockets: Vec<_> = (0..20).map(|_| web_socket(front.port, "")).collect();
    for round in 0..5 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket
                .send(Message::text(format!("{round} of {number}")))
                .unwrap();
        }
        for (number, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(
                socket.read().unwrap(),
                Message::text(format!("{round} of {number}"))
            );
        }
    }
}

#[test]
fn a_refused_upgrade_leaves_the_connection_usable() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    for _ in 0..3 {
        client.send(HANDSHAKE.replacen("/ws", "/echo", 1));
        let response = client.response();
        assert_eq!(response.status, 200);
        let echo = response.json();
        assert_eq!(echo["arrival"], "delegated");
        assert_eq!(echo["length"], 0);
        assert_eq!(client.ask("GET", "/").pid(), target.pid());
    }
    // What is pipelined behind it is an ordinary request.
    client.send(HANDSHAKE.replacen("/ws", "/echo", 1));
    client.send("GET /echo?behind HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().json()["target"], "/echo?behind");
}

#[test]
fn a_request_behind_a_refused_upgrade_in_one_segment_is_answered() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    let both =
        HANDSHAKE.replacen("/ws", "/echo", 1) + "GET /echo?behind HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send(both);
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().json()["target"], "/echo?behind");
}

#[test]
fn a_handshake_that_lacks_something_is_refused_by_the_application() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send(HANDSHAKE.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"));
    assert_eq!(client.response().status, 400);
    assert_eq!(client.ask("GET", "/").status, 200);
    // HTTP/1.0 knows no upgrade (RFC 9110 section 7.8), so this is an ordinary request.
    client.send(HANDSHAKE.replace("HTTP/1.1", "HTTP/1.0"));
    assert_ne!(client.response().status, 101);
}

#[test]
fn server_sent_events_are_delegated() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send("GET /sse HTTP/1.1\r\nHost: x\r\n\r\n");
    let (status, fields) = client.try_head().unwrap();
    assert_eq!(status, 200);
    let field = |name: &str| {
        fields
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(field("content-type"), Some("text/event-stream"));
    assert_eq!(field("transfer-encoding"), Some("chunked"));
    // The second is made a second after the first: it is not held back for a fuller buffer.
    for number in 0..2 {
        let event = format!("id: {number}\ndata: event {number}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        let read = client.read(chunk.len());
        assert_eq!(String::from_utf8_lossy(&read).to_ascii_lowercase(), chunk);
    }
    drop(client);
    assert_eq!(front.ask("GET", "/").status, 200);
}
