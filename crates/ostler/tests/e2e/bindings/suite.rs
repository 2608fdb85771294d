//! What must hold, whatever language answers.

use std::io::Write;

use http::Request;

use super::{FILE, Program, pattern};
use crate::failures::{at_rest, stopped, until_queued, until_received, warm};
use crate::support::http2_client::{Http2Client, run, url};
use crate::support::{Client, Front, Process, Sandbox, delegating_to, eventually};

/// Makes tests of all that must hold, for a program.
macro_rules! holds_for {
    ($program:expr) => {
        $crate::bindings::suite::holds_for!($program;
            answers_request_after_request, answers_over_http2, takes_uploads,
            tells_a_client_to_go_on, says_back_what_it_hears_meanwhile, sends_large_responses,
            is_held_back_by_a_slow_client, sends_files_and_parts_of_them, breaks_off,
            learns_that_a_client_is_gone, speaks_another_protocol_without_the_front,
            loses_no_request_when_it_is_killed, is_cut_off_when_it_is_killed_in_the_middle,
            finishes_what_it_has_begun_when_it_is_stopped);
    };
    ($program:expr; $($name:ident),*) => {
        $(#[test]
        fn $name() {
            // None where the language is not there.
            if let Some(program) = &$program {
                $crate::bindings::suite::$name(program);
            }
        })*
    };
}
pub(crate) use holds_for;

fn start(program: &Program) -> (Sandbox, Process, Front) {
    let sandbox = Sandbox::new();
    let target = program.start(&sandbox, "one");
    let front = sandbox.front(&delegating_to(&["q"]));
    (sandbox, target, front)
}

pub(crate) fn answers_request_after_request(program: &Program) {
    let (_sandbox, target, front) = start(program);
    let mut client = front.connect();
    for _ in 0..3 {
        let greeting = client.ask("GET", "/");
        assert_eq!(greeting.status, 200);
        assert_eq!(greeting.text(), format!("one {}", target.pid()));
    }
    let head = client.ask("HEAD", "/");
    let length = format!("one {}\n", target.pid()).len().to_string();
    // Node's server does not say it.
    let said = head.field("content-length").unwrap_or(&length);
    assert_eq!((head.status, said), (200, length.as_str()));
    client.send("GET /about?a=%20b HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n");
    let about = client.response().text();
    let lines: Vec<_> = about.lines().collect();
    assert_eq!(lines[0], "GET /about?a=%20b 11 way 1 length 0");
    assert_eq!(lines[1], format!("client {}", client.local_address()));
    assert_eq!(lines[2..], ["host: x", "x-twice: 1", "x-twice: 2"]);
    // Requests that come together are answered in their order.
    client.send("GET /bytes/3 HTTP/1.1\r\nHost: x\r\n\r\nGET /bytes/4 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().body, pattern(3));
    assert_eq!(client.response().body, pattern(4));
}

pub(crate) fn answers_over_http2(program: &Program) {
    let (_sandbox, target, front) = start(program);
    run(async {
        let client = Http2Client::connect(front.port).await;
        let greeting = client.get("/").await;
        assert_eq!(greeting.text(), format!("one {}\n", target.pid()));
        let echo = client.post("/echo", &pattern(500_000)).await;
        assert!(echo.body == pattern(500_000));
        let stream = client.get("/stream/100000").await;
        assert!(stream.body == pattern(100_000));
        assert_eq!(stream.trailers.unwrap()["x-sum"], "none");
        let part = Request::get(url("/file")).header("range", "bytes=5-9");
        let part = client.ask(part.body(()).unwrap()).await;
        assert_eq!((part.status(), part.body), (206, vec![5, 6, 7, 8, 9]));
    });
}

fn sum(bytes: &[u8]) -> String {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{fnv:016x}")
}

pub(crate) fn takes_uploads(program: &Program) {
    let (_sandbox, _target, front) = start(program);
    let mut client = front.connect();
    for length in [0, 1, 100, 3_000_000] {
        let body = pattern(length);
        let counted = client.post("/upload", &body).json();
        assert_eq!(counted["length"], length);
        assert_eq!(counted["sum"], sum(&body));
    }
    client.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("5\r\nhello\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n");
    let counted = client.response().json();
    assert_eq!(
        (&counted["length"], &counted["trailers"]),
        (&5.into(), &2.into())
    );
    assert_eq!(counted["sum"], sum(b"hello"));
}

pub(crate) fn tells_a_client_to_go_on(program: &Program) {
    let (_sandbox, _target, front) = start(program);
    let mut client = front.connect();
    client.send(
        "POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(client.try_head().unwrap().0, 100);
    client.send("hello");
    assert_eq!(client.response().json()["length"], 5);
}

pub(crate) fn says_back_what_it_hears_meanwhile(program: &Program) {
    let (_sandbox, _target, front) = start(program);
    let mut client = front.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    assert_eq!(client.try_head().unwrap().0, 200);
    assert_eq!(client.read(8), b"3\r\none\r\n");
    client.send("3\r\ntwo\r\n");
    assert_eq!(client.read(8), b"3\r\ntwo\r\n");
    client.send("0\r\n\r\n");
    assert_eq!(client.read(5), b"0\r\n\r\n");
    assert_eq!(client.ask("GET", "/").status, 200);
}

pub(crate) fn sends_large_responses(program: &Program) {
    let (_sandbox, _target, front) = start(program);
    let mut client = front.connect();
    let whole = client.ask("GET", "/bytes/5000000");
    assert_eq!(whole.field("content-length"), Some("5000000"));
    assert!(whole.body == pattern(5_000_000));
    let chunks = client.ask("GET", "/stream/5000000");
    assert_eq!(chunks.field("content-length"), None);
    assert!(chunks.body == pattern(5_000_000));
}

pub(crate) fn is_held_back_by_a_slow_client(program: &Program) {
    const HUGE: usize = 200_000_000;
    let (_sandbox, target, front) = start(program);
    let mut quick = warm(&front);
    let before = target.memory();
    let mut slow = front.connect();
    slow.send(format!("GET /bytes/{HUGE} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(slow.try_head().unwrap().0, 200);
    assert!(slow.read(1_000_000) == pattern(1_000_000));
    // Others are served meanwhile, and what the client does not take is not made.
    for _ in 0..20 {
        assert_eq!(quick.ask("GET", "/").status, 200);
    }
    let grown = target.memory().saturating_sub(before);
    assert!(grown < 50_000, "{grown} KiB wait for a client that is slow");
    assert!(slow.read(1_000_000) == pattern(2_000_000)[1_000_000..]);
}

pub(crate) fn sends_files_and_parts_of_them(program: &Program) {
    let (_sandbox, target, front) = start(program);
    let mut client = warm(&front);
    let before = target.bytes_moved();
    assert!(client.ask("GET", "/file").body == pattern(FILE));
    let moved = target.bytes_moved() - before;
    // sendfile(2) is counted where sendmsg(2) is not.
    assert!(moved >= FILE as u64, "{moved} bytes went by the kernel");
    client.send("GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=1000-1999\r\n\r\n");
    let part = client.response();
    assert_eq!(part.status, 206);
    assert_eq!(part.body, pattern(2000)[1000..]);
}

pub(crate) fn breaks_off(program: &Program) {
    let (_sandbox, _target, front) = start(program);
    let mut client = front.connect();
    client.send("GET /break/300000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.try_response().is_err(), "it is not whole");
    assert!(client.is_closed());
    assert_eq!(front.ask("GET", "/").status, 200);
}

pub(crate) fn learns_that_a_client_is_gone(program: &Program) {
    let (_sandbox, target, front) = start(program);
    for says in [
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome",
        "GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut client = front.connect();
        client.send(says);
        if says.starts_with("GET") {
            client.try_head().unwrap();
        } else {
            until_received(&_sandbox);
        }
        drop(client);
        target.wait_for_line("gone");
    }
    assert_eq!(front.ask("GET", "/").status, 200);
}

const SWITCH: &str =
    "GET /line HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: line\r\n\r\n";

fn switched(front: &Front) -> Client {
    let mut client = front.connect();
    client.send(SWITCH);
    let (status, fields) = client.try_head().unwrap();
    assert_eq!(status, 101);
    assert!(fields.contains(&("upgrade".to_owned(), "line".to_owned())));
    client
}

pub(crate) fn speaks_another_protocol_without_the_front(program: &Program) {
    let (_sandbox, target, front) = start(program);
    let plain = front.ask("GET", "/line");
    assert_eq!(plain.status, 426);
    let mut client = switched(&front);
    client.send("one");
    assert_eq!(client.read(3), b"one");
    front.process.kill();
    client.send("two");
    assert_eq!(client.read(3), b"two");
    let large = pattern(1_000_000);
    std::thread::scope(|scope| {
        let mut socket = client.socket().try_clone().unwrap();
        let large = &large;
        scope.spawn(move || socket.write_all(large).unwrap());
        assert!(client.read(large.len()) == *large);
    });
    client.shutdown_write();
    assert_eq!(client.rest(), b"");
    assert!(target.is_running());
}

pub(crate) fn loses_no_request_when_it_is_killed(program: &Program) {
    let (sandbox, target, front) = start(program);
    let mut client = warm(&front);
    stopped(&sandbox, &target);
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nkept");
    until_queued(&sandbox, 1);
    target.kill();
    let again = program.start(&sandbox, "two");
    assert_eq!(client.response().text(), "kept");
    assert_eq!(
        client.ask("GET", "/").text(),
        format!("two {}", again.pid())
    );
}

pub(crate) fn is_cut_off_when_it_is_killed_in_the_middle(program: &Program) {
    let (_sandbox, target, front) = start(program);
    let mut client = front.connect();
    client.send("GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.try_head().unwrap().0, 200);
    target.kill();
    assert!(client.rest().len() < 100_000_000);
}

pub(crate) fn finishes_what_it_has_begun_when_it_is_stopped(program: &Program) {
    let (sandbox, target, front) = start(program);
    let mut client = front.connect();
    client.send("GET /delay/500 HTTP/1.1\r\nHost: x\r\n\r\n");
    until_received(&sandbox);
    let mut next = front.connect();
    target.signal("TERM");
    assert_eq!(client.response().text(), format!("one {}", target.pid()));
    assert!(target.wait().success());
    // What comes now waits for the next one.
    next.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let again = program.start(&sandbox, "two");
    assert_eq!(next.response().text(), format!("two {}", again.pid()));
    at_rest(&sandbox, &again);
    eventually("nothing of the first is left", || {
        !sandbox
            .output(&["queues"])
            .contains(&target.pid().to_string())
    });
}
