//! How connections end: when the front stops, and when a client does not say what is due.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::forwarding::{OK, forwarding_at, forwarding_to};
use crate::support::http2_frames::{
    CONTINUATION, DATA, END, END_HEADERS, Frames, HEADERS, PING, PREFACE, get,
};
use crate::support::{
    BothWays, Client, Destination, Front, Sandbox, TlsSettings, WAYS, eventually,
};
use crate::tls::{authority, kestrel, start};

/// A front that would wait longer for its clients than a test does.
fn patient(sandbox: &Sandbox, json: &str) -> Front {
    sandbox.front_with(json, &["--drain-timeout", "300"])
}

/// Ends the front, and waits until each of its threads drains: then none of them listens.
fn stop(front: &Front) {
    front.process.signal("TERM");
    eventually("the front drains", || {
        TcpStream::connect(("127.0.0.1", front.port)).is_err()
    });
}

/// The most that waits in a client's socket, so that the rest waits in the front's.
fn narrow(socket: &TcpStream) {
    rustix::net::sockopt::set_socket_recv_buffer_size(socket, 64 * 1024).unwrap();
}

/// A download that the client takes slowly while it talks all the time, and during which the front is
/// told to stop.
fn download<S: Read + Write>(front: &Front, mut client: Frames<S>) {
    const LENGTH: usize = 12_000_000;
    const LARGEST: u32 = i32::MAX as u32;
    client.begin(&[(4, LARGEST)]);
    client.open_window(0, LARGEST - 65_535);
    client.request(1, &format!("/bytes/{LENGTH}"));
    let (mut received, mut stopped) = (0, false);
    loop {
        let frame = client.next_that(|frame| frame.stream == 1);
        if frame.kind == DATA {
            received += frame.payload.len();
            client.frame(PING, 0, 0, b"and more");
        }
        if frame.ends() {
            break;
        }
        if received > LENGTH / 10 && !std::mem::replace(&mut stopped, true) {
            stop(front);
        }
        // The front has said everything long before the client has heard it.
        if stopped {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    assert_eq!(received, LENGTH);
}

#[test]
fn a_stopping_front_ends_its_downloads_whole() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = patient(&sandbox, &forwarding_at(&address));
    let client = Frames::silent(front.port);
    narrow(&client.stream);
    download(&front, client);
    assert!(front.process.wait().success());
}

#[test]
fn a_stopping_front_ends_its_downloads_whole_over_tls() {
    let sandbox = Sandbox::new();
    let authority = authority(&sandbox);
    let (_target, address) = sandbox.listening_target("q");
    let kestrel = kestrel(&sandbox, json!({}));
    let json = forwarding_at(&address).replacen('{', &format!("{{ {kestrel}"), 1);
    let front = start(&sandbox, &json);
    let mut settings = TlsSettings::new(&authority);
    settings.alpn = &[b"h2"];
    let stream = settings.connect(front.port).into_stream();
    narrow(&stream.sock.socket);
    download(&front, Frames { stream });
    assert!(front.process.wait().success());
}

/// What clients say that then say no more: they answer no PING either.
fn taciturn() -> Vec<(&'static str, Vec<u8>)> {
    let whole = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let frame = crate::support::http2_frames::frame;
    let with = |frame: Vec<u8>| [&whole[..], &frame].concat();
    vec![
        ("half a preface", PREFACE[..14].to_vec()),
        ("no SETTINGS", PREFACE.to_vec()),
        ("nothing else", whole.clone()),
        (
            "a request",
            with(frame(HEADERS, END | END_HEADERS, 1, &get("/"))),
        ),
        ("unfinished fields", with(frame(HEADERS, END, 1, &get("/")))),
        (
            "half a frame",
            with(frame(HEADERS, END, 1, &get("/"))[..20].to_vec()),
        ),
    ]
}

#[test]
fn a_client_that_says_no_more_does_not_keep_a_stopping_front() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = patient(&sandbox, &forwarding_at(&address));
    let clients: Vec<_> = taciturn()
        .into_iter()
        .map(|(_, says)| {
            let mut client = Frames::silent(front.port);
            client.say(&says);
            client
        })
        .collect();
    // What they said has been heard: a client that came behind them is answered.
    assert_eq!(front.ask("GET", "/").status, 200);
    stop(&front);
    assert!(front.process.wait().success());
    drop(clients);
}

/// Waits until the front has closed the connections of taciturn clients of these kinds.
fn are_closed(front: &Front, kinds: &[&str]) {
    for &says in kinds {
        let mut client = Frames::silent(front.port);
        let (_, bytes) = taciturn()
            .into_iter()
            .find(|(what, _)| *what == says)
            .unwrap();
        client.say(&bytes);
        assert!(client.is_closed(), "{says}");
    }
}

#[test]
fn an_idle_connection_whose_client_answers_no_ping_is_closed() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let limits = r#"{ "Kestrel": { "Limits": { "KeepAliveTimeout": "00:00:01" } }, "#;
    let front = sandbox.front(&forwarding_at(&address).replacen('{', limits, 1));
    are_closed(&front, &["nothing else", "a request", "half a frame"]);
}

#[test]
fn what_a_client_is_due_has_the_time_of_a_head() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let limits = r#"{ "Kestrel": { "Limits": { "RequestHeadersTimeout": "00:00:01" } }, "#;
    let front = sandbox.front(&forwarding_at(&address).replacen('{', limits, 1));
    are_closed(
        &front,
        &["half a preface", "no SETTINGS", "unfinished fields"],
    );
    // With others under way, and bit by bit.
    let mut client = Frames::connect(front.port);
    client.request(1, "/delay/60000");
    client.frame(HEADERS, END, 3, &get("/"));
    client.frame(CONTINUATION, 0, 3, &[]);
    assert!(client.is_closed());
}

#[test]
fn responses_of_a_stopping_front_say_that_the_connection_closes() {
    let sandbox = Sandbox::new();
    let destination = Destination::new();
    let front = patient(&sandbox, &forwarding_to(&destination));
    let mut client = front.connect();
    client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut incoming = destination.accept();
    incoming.head();
    stop(&front);
    incoming.send(OK);
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_eq!(response.field("connection"), Some("close"));
    assert!(client.is_closed());
    assert!(front.process.wait().success());
}

#[test]
fn what_has_arrived_behind_an_exchange_is_answered_by_a_stopping_front() {
    for way in WAYS {
        let sandbox = Sandbox::new();
        let both = BothWays::new(&sandbox);
        let front = patient(&sandbox, &both.configuration("", ""));
        let mut client = front.connect();
        client.send(format!(
            "GET {way}/delay/1500 HTTP/1.1\r\nHost: x\r\n\r\n\
             GET {way}/bytes/3 HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        // One that comes behind it is answered: it is with its target.
        assert_eq!(front.ask("GET", &format!("{way}/")).status, 200);
        stop(&front);
        let first = client.response();
        assert_eq!(
            (first.status, first.field("connection")),
            (200, None),
            "{way}"
        );
        let second = client.response();
        assert_eq!((second.status, second.body.len()), (200, 3), "{way}");
        assert_eq!(second.field("connection"), Some("close"), "{way}");
        assert!(client.is_closed());
        assert!(front.process.wait().success());
    }
}

#[test]
fn connections_that_the_kernel_has_made_are_served_by_a_stopping_front() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let front = patient(&sandbox, &both.configuration("", ""));
    front.process.signal("STOP");
    let mut clients: Vec<Client> = (0..10).map(|_| front.connect()).collect();
    for (client, way) in clients.iter_mut().zip(WAYS.iter().cycle()) {
        client.send(format!("GET {way}/bytes/3 HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    let mut streams = Frames::silent(front.port);
    streams.begin(&[]);
    streams.request(1, "/forwarded/");
    front.process.signal("TERM");
    front.process.signal("CONT");
    for mut client in clients {
        let response = client.response();
        assert_eq!((response.status, response.body.len()), (200, 3));
    }
    assert_eq!(streams.status_of(1), 200);
    drop(streams);
    assert!(front.process.wait().success());
    assert!(TcpListener::bind(("127.0.0.1", front.port)).is_ok());
}

/// A target has not said yet that it is done with a client that has left: no reason to leave another.
#[test]
fn a_stopping_front_tells_those_it_serves_from_those_that_have_left() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let arguments = ["--drain-timeout", "300", "--threads", "1"];
    let front = sandbox.front_with(&both.configuration("", ""), &arguments);
    let mut stays = front.connect();
    stays.send("GET /forwarded/delay/2000 HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut leaves = front.connect();
    leaves.send("GET /delegated/delay/60000 HTTP/1.1\r\nHost: x\r\n\r\n");
    // What comes behind them is answered: they are with the target.
    for way in WAYS {
        assert_eq!(front.ask("GET", &format!("{way}/")).status, 200);
    }
    crate::timeouts::stop(&both.target);
    let at_once = Some(std::time::Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(leaves.socket(), at_once).unwrap();
    drop(leaves);
    stop(&front);
    both.target.signal("CONT");
    assert_eq!(stays.response().status, 200);
    assert!(front.process.wait().success());
}
