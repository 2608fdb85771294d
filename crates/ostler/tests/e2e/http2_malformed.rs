//! What is malformed ends its stream, and nothing beside it (RFC 9113 section 8.1.1): requests of
//! clients, and responses of destinations. What breaks the connection's own rules ends it, with the
//! code that says why (section 7).

use bytes::Bytes;

use crate::forwarding::{forwarding, forwarding_at};
use crate::support::http2_client::{Http2Client, get as ask, run};
use crate::support::http2_destination::{blocking, next};
use crate::support::http2_frames::{
    COMPRESSION_ERROR, CONTINUATION, DATA, END, END_HEADERS, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR, Frames, GOAWAY, HEADERS, PING, PROTOCOL_ERROR, RST_STREAM, SETTINGS,
    STREAM_CLOSED, WINDOW_UPDATE, fields, frame, get, remembered,
};
use crate::support::{Destination, Front, Process, Sandbox};

type Fields<'a> = Vec<(&'a str, &'a [u8])>;

/// The fields of a request, with some in place of others and some behind them.
fn request<'a>(instead: &[(&'a str, &'a [u8])], more: &[(&'a str, &'a [u8])]) -> Fields<'a> {
    let mut all: Fields<'a> = vec![
        (":method", b"GET"),
        (":scheme", b"http"),
        (":authority", b"example.org"),
        (":path", b"/"),
    ];
    for (name, value) in instead {
        match all.iter_mut().find(|(have, _)| have == name) {
            Some(field) => field.1 = value,
            None => all.insert(0, (name, value)),
        }
    }
    all.extend(more);
    all
}

fn front(sandbox: &Sandbox) -> (Process, Front) {
    let (target, address) = sandbox.listening_target("q");
    let front = sandbox.front(&forwarding_at(&address));
    (target, front)
}

#[test]
fn a_malformed_request_ends_its_stream_alone() {
    let sandbox = Sandbox::new();
    let (_target, front) = front(&sandbox);
    let mut client = Frames::connect(front.port);
    client.request(1, "/delay/1000");
    let malformed = [
        request(&[(":method", b"")], &[]),
        request(&[(":method", b"G T")], &[]),
        request(&[(":status", b"200")], &[]),
        request(&[(":unknown", b"1")], &[]),
        request(&[(":path", b"")], &[]),
        request(&[(":path", b"/a#b")], &[]),
        request(&[(":path", b"/a b")], &[]),
        request(&[(":path", b"/\x01")], &[]),
        request(&[(":path", b"/\xff")], &[]),
        request(&[(":authority", b"user@example.org")], &[]),
        request(&[(":authority", b"exa mple.org")], &[]),
        request(&[(":protocol", b"websocket")], &[]),
        request(&[], &[("x a", b"1")]),
        request(&[], &[("x:a", b"1")]),
        request(&[], &[("", b"1")]),
        request(&[], &[("X-Upper", b"1")]),
        request(&[], &[("x", b"\x01")]),
        request(&[], &[("x", b"\x7f")]),
        request(&[], &[("x", b"a\r\nb")]),
        request(&[], &[("x", b"\0")]),
        request(&[], &[("connection", b"close")]),
        request(&[], &[("te", b"gzip")]),
        request(&[], &[(":path", b"/again")]),
        request(&[], &[("content-length", b"1x")]),
        request(&[], &[("content-length", b"5")]),
    ];
    let mut stream = 1;
    for fields_of in &malformed {
        // As they come, and with a place in the connection's table, which must not lose its state.
        for block in [fields(fields_of), remembered(fields_of)] {
            stream += 2;
            client.headers(stream, END, &block);
            assert_eq!(client.reset_of(stream), PROTOCOL_ERROR, "{fields_of:?}");
        }
    }
    // The last field that was remembered is the first of the dynamic table: this is the one that is
    // malformed, and here it is in a block of its own.
    let mut block = get("/");
    block.push(0x80 | 62);
    client.headers(stream + 2, END, &block);
    assert_eq!(client.reset_of(stream + 2), PROTOCOL_ERROR);
    // Over several frames it is the same.
    stream += 4;
    let block = fields(&request(&[], &[("x", b"\x01"), ("y", b"1")]));
    client.frame(HEADERS, END, stream, &block[..block.len() - 4]);
    client.frame(CONTINUATION, END_HEADERS, stream, &block[block.len() - 4..]);
    assert_eq!(client.reset_of(stream), PROTOCOL_ERROR);
    client.request(stream + 2, "/");
    assert_eq!(client.status_of(stream + 2), 200);
    assert_eq!(client.status_of(1), 200, "and the one that was under way");
}

#[test]
fn malformed_trailers_end_their_stream_alone() {
    let sandbox = Sandbox::new();
    let (_target, front) = front(&sandbox);
    let mut client = Frames::connect(front.port);
    let post = fields(&request(
        &[(":method", b"POST"), (":path", b"/upload")],
        &[],
    ));
    let malformed: [Fields<'_>; 4] = [
        vec![(":path", b"/")],
        vec![("x", b"\x01")],
        vec![("X", b"1")],
        vec![("connection", b"close")],
    ];
    let mut stream = 1;
    for trailers in malformed {
        client.headers(stream, 0, &post);
        client.frame(DATA, 0, stream, b"some");
        client.headers(stream, END, &fields(&trailers));
        assert_eq!(client.reset_of(stream), PROTOCOL_ERROR, "{trailers:?}");
        stream += 2;
    }
    // Trailers that do not end it are none.
    client.headers(stream, 0, &post);
    client.headers(stream, 0, &fields(&[("x", b"1")]));
    assert_eq!(client.reset_of(stream), PROTOCOL_ERROR);
    client.request(stream + 2, "/");
    assert_eq!(client.status_of(stream + 2), 200);
}

#[test]
fn frames_on_a_stream_that_has_ended_end_it_alone() {
    let sandbox = Sandbox::new();
    let (_target, front) = front(&sandbox);
    let mut client = Frames::connect(front.port);
    client.request(1, "/delay/1000");
    client.request(3, "/delay/60000");
    client.frame(DATA, 0, 3, b"more");
    assert_eq!(client.reset_of(3), STREAM_CLOSED);
    client.request(5, "/delay/60000");
    client.headers(5, END, &fields(&[("x", b"1")]));
    assert_eq!(client.reset_of(5), STREAM_CLOSED);
    client.request(7, "/delay/60000");
    client.open_window(7, i32::MAX as u32);
    assert_eq!(client.reset_of(7), FLOW_CONTROL_ERROR);
    client.request(9, "/delay/60000");
    client.open_window(9, 0);
    assert_eq!(client.reset_of(9), PROTOCOL_ERROR);
    client.headers(11, 0, &fields(&request(&[], &[("content-length", b"3")])));
    client.frame(DATA, END, 11, b"more");
    assert_eq!(client.reset_of(11), PROTOCOL_ERROR);
    assert_eq!(client.status_of(1), 200);
}

#[test]
fn what_breaks_the_connection_ends_it_with_the_code_that_says_why() {
    let sandbox = Sandbox::new();
    let (_target, front) = front(&sandbox);
    let largest = 20 * 1024 * 1024;
    let setting = |number: u16, value: u32| {
        let payload = [&number.to_be_bytes()[..], &value.to_be_bytes()].concat();
        frame(SETTINGS, 0, 0, &payload)
    };
    let mut padded = vec![200];
    padded.extend(get("/"));
    let breaks = [
        (
            "PING too long",
            FRAME_SIZE_ERROR,
            frame(PING, 0, 0, &[0; 9]),
        ),
        (
            "SETTINGS cut",
            FRAME_SIZE_ERROR,
            frame(SETTINGS, 0, 0, &[0; 5]),
        ),
        (
            "ACK with payload",
            FRAME_SIZE_ERROR,
            frame(SETTINGS, END, 0, &[0; 6]),
        ),
        (
            "WINDOW_UPDATE cut",
            FRAME_SIZE_ERROR,
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
        ),
        (
            "RST_STREAM cut",
            FRAME_SIZE_ERROR,
            frame(RST_STREAM, 0, 1, &[0; 3]),
        ),
        ("GOAWAY cut", FRAME_SIZE_ERROR, frame(GOAWAY, 0, 0, &[0; 7])),
        (
            "no room for padding",
            FRAME_SIZE_ERROR,
            frame(HEADERS, 0x8 | 0x4, 1, &[]),
        ),
        (
            "a frame too long",
            FRAME_SIZE_ERROR,
            frame(DATA, 0, 1, &vec![0; largest]),
        ),
        ("window setting", FLOW_CONTROL_ERROR, setting(4, u32::MAX)),
        (
            "window of all",
            FLOW_CONTROL_ERROR,
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        (
            "no such index",
            COMPRESSION_ERROR,
            frame(HEADERS, 0x5, 1, &[0xff, 0x7f]),
        ),
        (
            "a literal cut",
            COMPRESSION_ERROR,
            frame(HEADERS, 0x5, 1, &[0x82, 0x00, 9]),
        ),
        (
            "padding",
            PROTOCOL_ERROR,
            frame(HEADERS, 0x8 | 0x5, 1, &padded),
        ),
        ("push", PROTOCOL_ERROR, setting(2, 2)),
        ("frame size setting", PROTOCOL_ERROR, setting(5, 1)),
        (
            "stream 0",
            PROTOCOL_ERROR,
            frame(HEADERS, 0x5, 0, &get("/")),
        ),
        (
            "even stream",
            PROTOCOL_ERROR,
            frame(HEADERS, 0x5, 2, &get("/")),
        ),
        ("idle stream", PROTOCOL_ERROR, frame(DATA, 0, 1, b"x")),
        (
            "no fields before",
            PROTOCOL_ERROR,
            frame(CONTINUATION, 0x4, 1, &[]),
        ),
        (
            "no increment",
            PROTOCOL_ERROR,
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        ),
    ];
    for (what, code, says) in breaks {
        let mut client = Frames::connect(front.port);
        client.say(&says);
        assert_eq!(client.goaway(), code, "{what}");
        assert!(client.is_closed(), "{what}");
    }
    // Before its SETTINGS a client says nothing (RFC 9113 section 3.4).
    let mut client = Frames::silent(front.port);
    client.say(crate::support::http2_frames::PREFACE);
    client.request(1, "/");
    assert_eq!(client.goaway(), PROTOCOL_ERROR);
}

#[test]
fn a_block_of_fields_is_bound_by_its_size_in_however_many_frames() {
    let sandbox = Sandbox::new();
    let (_target, front) = front(&sandbox);
    let mut client = Frames::connect(front.port);
    // Thirty kilobytes, byte by byte.
    let long = vec![b'v'; 30_000];
    let block = fields(&request(&[(":path", b"/echo")], &[("x-long", &long)]));
    client.frame(HEADERS, END, 1, &[]);
    let mut says = Vec::new();
    for byte in &block {
        says.extend(frame(CONTINUATION, 0, 1, &[*byte]));
    }
    says.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
    // Ten bytes for each is more than the block may take in all.
    client.say(&says);
    assert_eq!(client.goaway(), ENHANCE_YOUR_CALM);
    let mut client = Frames::connect(front.port);
    client.frame(HEADERS, END, 1, &[]);
    for piece in block.chunks(100) {
        client.frame(CONTINUATION, 0, 1, piece);
    }
    client.frame(CONTINUATION, END_HEADERS, 1, &[]);
    assert_eq!(client.status_of(1), 200);
    // Too long a list is refused, and costs nobody else anything.
    let long = vec![b'v'; 60_000];
    let block = fields(&request(&[], &[("x-long", &long)]));
    client.frame(HEADERS, END, 3, &[]);
    for piece in block.chunks(10_000) {
        client.frame(CONTINUATION, 0, 3, piece);
    }
    client.frame(CONTINUATION, END_HEADERS, 3, &[]);
    assert_eq!(client.status_of(3), 431);
    client.request(5, "/");
    assert_eq!(client.status_of(5), 200);
}

#[test]
fn requests_taken_back_at_once_do_not_end_the_connection() {
    let sandbox = Sandbox::new();
    let (_target, front) = front(&sandbox);
    let mut client = Frames::connect(front.port);
    client.request(1, "/delay/500");
    // As a page does that is left with its fetches begun: in one packet.
    let mut says = Vec::new();
    for number in 1..100 {
        let stream = 2 * number + 1;
        says.extend(frame(
            HEADERS,
            END | END_HEADERS,
            stream,
            &get("/delay/60000"),
        ));
        says.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    client.say(&says);
    assert_eq!(client.status_of(1), 200);
    client.request(201, "/");
    assert_eq!(client.status_of(201), 200);
}

const HTTP2: &str = r#""HttpRequest": { "Version": "2", "VersionPolicy": "RequestVersionExact" },"#;

/// A front before a destination that the test plays frame by frame.
fn before_a_destination(sandbox: &Sandbox) -> (Front, Destination) {
    let listener = Destination::new();
    let destination = format!(r#""d": {{ "Address": "{}" }}"#, listener.address());
    (sandbox.front(&forwarding(HTTP2, &[&destination])), listener)
}

/// Says `bad` as the answer to a request while another one is under way: 502 is what becomes of it, and
/// the other one ends whole.
async fn bad_answer(client: &Http2Client, mut destination: Frames, bad: Vec<Vec<u8>>) -> Frames {
    let (first, _stream) = client.begin(ask("/first"), true).await;
    let mut destination = blocking(move || {
        let stream = destination.asked();
        destination.headers(stream, 0, &fields(&[(":status", b"200")]));
        destination.frame(DATA, 0, stream, b"hello");
        (destination, stream)
    })
    .await;
    let mut body = first.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "hello");
    for bad in bad {
        let (second, _stream) = client.begin(ask("/second"), true).await;
        let (mut frames, first) = destination;
        let said = bad.clone();
        destination = blocking(move || {
            let stream = frames.asked();
            // The stream's number is the request's.
            let mut said = said;
            said[5..9].copy_from_slice(&stream.to_be_bytes());
            frames.say(&said);
            (frames, first)
        })
        .await;
        let status = second.await.map(|response| response.status().as_u16());
        assert_eq!(status.ok(), Some(502), "{bad:?}");
    }
    let (mut frames, stream) = destination;
    frames.frame(DATA, END, stream, b" world");
    assert_eq!(next(&mut body).await.unwrap().unwrap(), " world");
    assert!(next(&mut body).await.unwrap().is_none());
    frames
}

#[test]
fn a_malformed_answer_ends_its_stream_alone() {
    let sandbox = Sandbox::new();
    let (front, listener) = before_a_destination(&sandbox);
    let ok: (&str, &[u8]) = (":status", b"200");
    let heads: Vec<Fields<'_>> = vec![
        vec![ok, ("x", b"\x01")],
        vec![ok, ("x", b"\x7f")],
        vec![ok, ("x", b"a\rb")],
        vec![ok, ("x", b"a\nb")],
        vec![ok, ("x", b"\0")],
        vec![ok, ("X", b"1")],
        vec![ok, ("x a", b"1")],
        vec![ok, ("", b"1")],
        vec![ok, ("connection", b"close")],
        vec![ok, (":status", b"200")],
        vec![(":status", b"2000")],
        vec![(":status", b"")],
        vec![(":status", b"abc")],
        vec![("x", b"1")],
        vec![ok, (":path", b"/")],
        vec![ok, ("content-length", b"1x")],
    ];
    let mut bad: Vec<_> = heads
        .iter()
        .flat_map(|head| [fields(head), remembered(head)])
        .map(|block| frame(HEADERS, END | END_HEADERS, 0, &block))
        .collect();
    // A body without a head, and a head that is too long.
    bad.push(frame(DATA, 0, 0, b"body"));
    let mut block = fields(&[ok]);
    block.extend(remembered(&[("x", &[b'v'; 3000])]));
    block.extend([0x80 | 62; 100]);
    bad.push(frame(HEADERS, END | END_HEADERS, 0, &block));
    run(async {
        let client = Http2Client::connect(front.port).await;
        let accepted = blocking(move || Frames::accept(&listener, &[]));
        let warmed = client.begin(ask("/warm"), true);
        let (mut destination, (warm, _stream)) = tokio::join!(accepted, warmed);
        let mut destination = blocking(move || {
            let stream = destination.asked();
            destination.headers(stream, END, &fields(&[(":status", b"204")]));
            destination
        })
        .await;
        assert_eq!(warm.await.unwrap().status(), 204);
        destination = bad_answer(&client, destination, bad).await;
        drop(destination);
    });
}

#[test]
fn an_answer_of_many_frames_is_passed_on() {
    let sandbox = Sandbox::new();
    let (front, listener) = before_a_destination(&sandbox);
    run(async {
        let client = Http2Client::connect(front.port).await;
        let answer = blocking(move || {
            let mut destination = Frames::accept(&listener, &[]);
            let stream = destination.asked();
            let long = vec![b'v'; 54_000];
            let block = fields(&[(":status", b"200"), ("x-long", &long)]);
            destination.frame(HEADERS, 0, stream, &[]);
            for piece in block.chunks(1024) {
                destination.frame(CONTINUATION, 0, stream, piece);
            }
            destination.frame(CONTINUATION, END_HEADERS, stream, &[]);
            destination.frame(DATA, END, stream, b"ok");
            destination
        });
        let asked = async {
            let mut settings = h2::client::Builder::new();
            settings.max_header_list_size(1 << 20);
            client.get("/").await
        };
        let (_destination, response) = tokio::join!(answer, asked);
        assert_eq!(response.status(), 200);
        assert_eq!(response.head.headers["x-long"].len(), 54_000);
        assert_eq!(Bytes::from(response.body), "ok");
    });
}
