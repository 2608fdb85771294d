//! What is used is given back: descriptors, slots and memory, after many exchanges and connections.

use std::cell::RefCell;
use std::time::Duration;

use crate::support::http2_client::Http2Client;
use crate::support::{Client, Front, Process, Sandbox, delegating_to, eventually};

/// Memory that may come and go with no leak behind it, in KiB.
const SLACK: u64 = 8 * 1024;

struct Usage {
    descriptors: usize,
    memory: u64,
}

fn usage(process: &Process) -> Usage {
    Usage {
        descriptors: process.descriptors(),
        memory: process.memory(),
    }
}

fn pipeline(client: &mut Client, path: &str, count: usize) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.send(request.repeat(count));
    for _ in 0..count {
        assert_eq!(client.response().status, 200);
    }
}

fn assert_returned(what: &str, process: &Process, before: &Usage) {
    eventually(&format!("the {what}'s descriptors are closed"), || {
        process.descriptors() <= before.descriptors
    });
    let memory = process.memory();
    assert!(
        memory < before.memory + SLACK,
        "the {what} grew from {} to {memory} KiB",
        before.memory
    );
}

#[test]
fn a_hundred_thousand_exchanges_leave_nothing() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let round = |exchanges: usize| {
        let mut clients: Vec<_> = (0..10).map(|_| front.connect()).collect();
        for _ in 0..exchanges / 10 / 50 {
            for client in &mut clients {
                pipeline(client, "/", 50);
            }
        }
    };
    round(5_000);
    settle(&front);
    let before = (usage(&front.process), usage(&target));
    round(100_000);
    settle(&front);
    assert_returned("front", &front.process, &before.0);
    assert_returned("target", &target, &before.1);
}

#[test]
fn two_thousand_connections_come_and_go() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let round = |connections: usize| {
        for number in 0..connections {
            let mut client = front.connect();
            match number % 4 {
                0 => pipeline(&mut client, "/", 2),
                // Dropped while it waits, while it is sent, and before it is whole.
                1 => client.send("GET /delay/100 HTTP/1.1\r\nHost: x\r\n\r\n"),
                2 => client.send("GET /bytes/10000000 HTTP/1.1\r\nHost: x\r\n\r\n"),
                _ => client
                    .send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome"),
            }
        }
    };
    round(200);
    settle(&front);
    let before = (usage(&front.process), usage(&target));
    round(2_000);
    settle(&front);
    assert_returned("front", &front.process, &before.0);
    assert_returned("target", &target, &before.1);
    assert_eq!(front.ask("GET", "/").status, 200);
}

/// A front of one thread has so many that rest after a request each, of which each takes at most `most` bytes.
fn rest<C>(front: &Front, most: u64, connect: impl Fn() -> C, close: impl FnOnce(Vec<C>)) {
    const CONNECTIONS: u64 = 800;
    /// In KiB; of everything else that a front may do meanwhile.
    const ASIDE: u64 = 2 * 1024;
    drop((0..20).map(|_| connect()).collect::<Vec<_>>());
    settle(front);
    let before = front.process.memory();
    let resting: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
    settle(front);
    let taken = front.process.memory().saturating_sub(before);
    assert!(
        taken < CONNECTIONS * most / 1024 + ASIDE,
        "{CONNECTIONS} connections take {taken} KiB"
    );
    close(resting);
    eventually("what they took is given back", || {
        front.process.memory() < before + taken / 4 + ASIDE
    });
    assert_eq!(front.ask("GET", "/").status, 200);
}

/// The bounds are generous: a build for tests is not packed as tightly, and a delegated exchange has its
/// memory for up to a second after its end.
#[test]
fn connections_that_rest_take_little_and_leave_nothing() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let http1 = || {
        let mut client = front.connect();
        assert_eq!(client.ask("GET", "/").status, 200);
        client
    };
    rest(&front, 8 * 1024, http1, drop);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = RefCell::new(Some(runtime.unwrap()));
    let http2 = || {
        runtime.borrow().as_ref().unwrap().block_on(async {
            let client = Http2Client::connect(front.port).await;
            assert_eq!(client.get("/").await.status(), 200);
            client
        })
    };
    rest(&front, 16 * 1024, http2, |_| drop(runtime.take()));
}

/// Lets what was dropped be noticed: a client's silence counts after a second.
fn settle(front: &Front) {
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(front.ask("GET", "/").status, 200);
    std::thread::sleep(Duration::from_millis(500));
}
