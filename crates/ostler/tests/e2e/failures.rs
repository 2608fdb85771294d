//! Whatever dies: the rows of the failure table, with real processes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{
    Client, Front, Process, Sandbox, delegating_by_path, delegating_to, eventually,
};
use crate::upgrades::{converse, web_socket};

/// How many requests the one instance of the one queue has taken and not finished, and finished.
pub(crate) fn counts(sandbox: &Sandbox) -> (u64, u64) {
    let output = sandbox.output(&["queues", "--json"]);
    let queues: serde_json::Value = serde_json::from_str(&output).unwrap();
    let instance = &queues[0]["instances"][0];
    (
        instance["active"].as_u64().unwrap(),
        instance["completed"].as_u64().unwrap(),
    )
}

/// Waits until a target is done with everything. A client may have its response a moment before;
/// a target that died in that moment would have died while it responded.
pub(crate) fn at_rest(sandbox: &Sandbox, target: &Process) {
    eventually("the target is at rest", || {
        let output = sandbox.output(&["queues", "--json"]);
        let queues: serde_json::Value = serde_json::from_str(&output).unwrap();
        let mut instances = queues[0]["instances"].as_array().unwrap().iter();
        let instance = instances.find(|instance| instance["pid"] == target.pid());
        instance.is_some_and(|instance| instance["state"] == "live" && instance["active"] == 0)
    });
}

/// A target at rest, stopped: what is sent to it stays in its queue.
pub(crate) fn stopped(sandbox: &Sandbox, target: &Process) {
    at_rest(sandbox, target);
    target.signal("STOP");
    // One of its threads is told, and the others run on until that one has had its turn.
    eventually("all of the target stands still", || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", target.pid())).unwrap();
        threads.flatten().all(|thread| {
            std::fs::read_to_string(thread.path().join("stat"))
                .is_ok_and(|stat| stat.contains(") T "))
        })
    });
}

pub(crate) fn until_queued(sandbox: &Sandbox, count: usize) {
    let depth = format!("depth {count} of ");
    eventually("the requests are queued", || {
        sandbox.output(&["queues"]).contains(&depth)
    });
}

/// A connection that has been delegated once.
pub(crate) fn warm(front: &Front) -> Client {
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/").status, 200);
    client
}

pub(crate) fn until_received(sandbox: &Sandbox) {
    eventually("the target has the request", || counts(sandbox).0 == 1);
}

#[test]
fn target_killed_idle_then_started_again() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    at_rest(&sandbox, &target);
    target.kill();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let again = sandbox.target("q", &[]);
    assert_eq!(client.response().pid(), again.pid());
}

#[test]
fn what_a_killed_target_had_completed_counts_whoever_notices_its_death() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_by_path(&["q"]));
    let mut known = front.connect();
    let mut other = front.connect();
    assert_eq!(other.ask("GET", "/nowhere").status, 404);
    assert_eq!(known.ask("GET", "/q/").pid(), target.pid());
    // Nobody has woken the front for the end of that. It learns of the death by what it sends the
    // target for the other client.
    front.process.signal("STOP");
    at_rest(&sandbox, &target);
    other.send("GET /q/ HTTP/1.1\r\nHost: x\r\n\r\n");
    target.kill();
    front.process.signal("CONT");
    let again = sandbox.target("q", &[]);
    assert_eq!(other.response().pid(), again.pid());
    assert_eq!(known.ask("GET", "/q/").pid(), again.pid());
}

#[test]
fn target_killed_with_a_request_queued() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    stopped(&sandbox, &target);
    let body = b"kept by the front";
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    client.send(body);
    until_queued(&sandbox, 1);
    target.kill();
    let again = sandbox.target("q", &["--mode", "create-or-attach"]);
    let echo = client.response().json();
    assert_eq!(echo["pid"], again.pid());
    assert_eq!(echo["length"], body.len());
}

#[test]
fn target_killed_with_a_request_queued_in_a_slot_used_before() {
    // What the slot's last exchange has left in the target's memory is not taken for the state of
    // the next.
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    drop(warm(&front));
    let before = front.process.descriptors();
    let earlier = warm(&front);
    drop(earlier);
    eventually("the front has let go of it", || {
        front.process.descriptors() <= before
    });
    stopped(&sandbox, &target);
    let mut client = front.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    until_queued(&sandbox, 1);
    target.kill();
    let again = sandbox.target("q", &["--mode", "create-or-attach"]);
    assert_eq!(client.response().pid(), again.pid());
}

#[test]
fn target_killed_with_a_request_received() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let (mut get, mut post) = (warm(&front), warm(&front));
    get.send("GET /delay/1000 HTTP/1.1\r\nHost: x\r\n\r\n");
    post.send("POST /delay/60000 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    eventually("the target has both", || counts(&sandbox).0 == 2);
    target.kill();
    // What may have happened already must not happen twice; what is idempotent may.
    assert_eq!(post.response().status, 503);
    let again = sandbox.target("q", &[]);
    assert_eq!(get.response().pid(), again.pid());
    assert_eq!(
        post.ask("GET", "/").pid(),
        again.pid(),
        "the connection is of use still"
    );
}

#[test]
fn what_a_killed_target_had_received_goes_to_another_instance() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    client.send("GET /delay/1000 HTTP/1.1\r\nHost: x\r\n\r\n");
    until_received(&sandbox);
    let other = sandbox.target("q", &["--mode", "attach"]);
    target.kill();
    assert_eq!(client.response().pid(), other.pid());
}

#[test]
fn target_killed_with_part_of_a_body_read() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    client.send("PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    client.send([b'x'; 100_000]);
    until_received(&sandbox);
    target.kill();
    let response = client.response();
    assert_eq!(response.status, 503);
    assert_eq!(response.field("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn target_killed_while_it_responds() {
    const SIZE: usize = 1_000_000_000;
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    client.send(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(client.read(100_000).len(), 100_000);
    target.kill();
    assert!(
        client.rest().len() < SIZE,
        "the connection ends short of the body"
    );
    let again = sandbox.target("q", &[]);
    assert_eq!(front.ask("GET", "/").pid(), again.pid());
}

#[test]
fn front_terminated_with_a_download_under_way() {
    front_ends_with_a_download("TERM");
}

#[test]
fn front_killed_with_a_download_under_way() {
    front_ends_with_a_download("KILL");
}

fn front_ends_with_a_download(signal: &str) {
    const SIZE: usize = 100_000_000;
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    client.send(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let (status, _) = client.try_head().unwrap();
    assert_eq!(status, 200);
    let mut received = client.read(10_000);
    front.process.signal(signal);
    let ended = front.process.wait();
    assert_eq!(ended.success(), signal == "TERM");
    received.extend(client.read(SIZE - 10_000));
    assert_eq!(received.len(), SIZE);
    assert!(
        received
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == at as u8)
    );
    assert!(
        client.is_closed(),
        "the target closes what no front reads any more"
    );
}

#[test]
fn front_terminated_with_a_web_socket_open() {
    front_ends_with_a_web_socket("TERM");
}

#[test]
fn front_killed_with_a_web_socket_open() {
    front_ends_with_a_web_socket("KILL");
}

fn front_ends_with_a_web_socket(signal: &str) {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut socket = web_socket(front.port, "");
    converse(&mut socket);
    front.process.signal(signal);
    let ended = front.process.wait();
    assert_eq!(ended.success(), signal == "TERM");
    for _ in 0..3 {
        converse(&mut socket);
    }
}

#[test]
fn front_terminated_idle_closes_and_succeeds() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    front.process.signal("TERM");
    assert!(front.process.wait().success());
    assert!(client.is_closed());
}

#[test]
fn front_terminated_waits_for_what_no_target_has_taken() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    stopped(&sandbox, &target);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    until_queued(&sandbox, 1);
    front.process.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    assert!(front.process.is_running());
    target.signal("CONT");
    assert_eq!(client.response().status, 200);
    assert!(front.process.wait().success());
}

#[test]
fn client_gone_while_queued() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    let before = counts(&sandbox).1;
    stopped(&sandbox, &target);
    client.send("GET /delay/60000 HTTP/1.1\r\nHost: x\r\n\r\n");
    drop(client);
    std::thread::sleep(Duration::from_millis(1500));
    target.signal("CONT");
    // It is given back unread, at once, and does not wait its minute.
    eventually("nothing is under way", || {
        let output = sandbox.output(&["queues", "--json"]);
        let queues: serde_json::Value = serde_json::from_str(&output).unwrap();
        queues[0]["instances"][0]["waiting"] == 0 && counts(&sandbox) == (0, before)
    });
}

#[test]
fn client_gone_while_received() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    client.send("GET /delay/600000 HTTP/1.1\r\nHost: x\r\n\r\n");
    until_received(&sandbox);
    drop(client);
    eventually("the handler is dropped", || counts(&sandbox).0 == 0);
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn client_gone_while_it_is_answered() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    client.send("GET /bytes/100000000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read(100_000);
    drop(client);
    eventually("the response is given up", || counts(&sandbox).0 == 0);
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn a_half_closing_client_is_answered() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send("GET /delay/200 HTTP/1.1\r\nHost: x\r\n\r\nGET /?2 HTTP/1.1\r\nHost: x\r\n\r\n");
    client.shutdown_write();
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 200);
    assert!(client.is_closed());
}

#[test]
fn target_stopped_for_a_while() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut clients: Vec<_> = (0..8).map(|_| warm(&front)).collect();
    stopped(&sandbox, &target);
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    std::thread::sleep(Duration::from_secs(2));
    target.signal("CONT");
    for client in &mut clients {
        assert_eq!(client.response().pid(), target.pid());
    }
}

#[test]
fn a_stopped_instance_is_passed_over() {
    let sandbox = Sandbox::new();
    let sleeper = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut clients: Vec<_> = (0..8).map(|_| warm(&front)).collect();
    let other = sandbox.target("q", &["--mode", "attach"]);
    stopped(&sandbox, &sleeper);
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response().pid(), other.pid());
    }
    sleeper.signal("CONT");
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
}

#[test]
fn instances_come_and_go_under_load_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let mut current = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let (answered, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut clients: Vec<_> = (0..8).map(|_| warm(&front)).collect();
            while !stop.load(Ordering::Relaxed) {
                for client in &mut clients {
                    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                }
                for client in &mut clients {
                    assert_eq!(client.response().status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for _ in 0..5 {
            let before = answered.load(Ordering::Relaxed);
            let next = sandbox.target("q", &["--mode", "attach"]);
            current.signal("TERM");
            assert!(current.wait().success());
            current = next;
            // A load that has failed does not move either; its own message is the better one.
            eventually("the load goes on", || {
                load.is_finished() || answered.load(Ordering::Relaxed) >= before + 100
            });
        }
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
    });
}

#[test]
fn the_only_target_stopped_cleanly_is_gone_where_nothing_is_remembered() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let at_once = r#"{ "Ostler": { "Limits": { "QueueRetention": "00:00:00" } }, "#;
    let front = sandbox.front(&delegating_to(&["q"]).replacen('{', at_once, 1));
    let mut client = warm(&front);
    target.signal("TERM");
    assert!(target.wait().success());
    assert!(!sandbox.runtime().join("queues/q").exists());
    assert_eq!(client.ask("GET", "/").status, 503);
    let again = sandbox.target("q", &[]);
    assert_eq!(client.ask("GET", "/").pid(), again.pid());
}

#[test]
fn a_kept_queue_makes_requests_wait() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &["--keep-queue"]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    target.signal("TERM");
    assert!(target.wait().success());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("it is seen to wait", || {
        sandbox.output(&["queues"]).contains("depth 1 of 1000")
    });
    let again = sandbox.target("q", &[]);
    assert_eq!(client.response().pid(), again.pid());
}

#[test]
fn a_request_waits_no_longer_than_its_queue_allows() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &["--wait-timeout", "1"]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    stopped(&sandbox, &target);
    assert_eq!(client.ask("GET", "/").status, 503);
    target.kill();
    assert_eq!(client.ask("GET", "/").status, 503);
}

#[test]
fn a_full_queue_answers_by_its_verbosity() {
    for (verbosity, status, text) in [
        ("limited", 503, ""),
        ("full", 503, "QueueFull"),
        ("basic", 0, ""),
    ] {
        let sandbox = Sandbox::new();
        let target = sandbox.target("q", &["--queue-limit", "2", "--verbosity", verbosity]);
        let front = sandbox.front(&delegating_to(&["q"]));
        let mut waiting = [warm(&front), warm(&front)];
        stopped(&sandbox, &target);
        for client in &mut waiting {
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        eventually("both wait", || {
            sandbox.output(&["queues"]).contains("depth 2 of 2")
        });
        let mut third = front.connect();
        third.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        match third.try_response() {
            Ok(response) => {
                assert_eq!(response.status, status, "{verbosity}");
                assert!(response.text().contains(text));
                assert_eq!(response.field("connection"), Some("close"));
                assert!(third.is_closed());
            }
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionReset,
                    "{verbosity}"
                );
                assert_eq!(verbosity, "basic");
            }
        }
        target.signal("CONT");
        for client in &mut waiting {
            assert_eq!(client.response().status, 200);
        }
    }
}

#[test]
fn an_unregistered_prefix_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &["--url-prefix", "http://*:80/other/"]);
    let front = sandbox.front(&delegating_to(&["q"]));
    assert_eq!(front.ask("GET", "/").status, 503);
    let expected = "http://*:80/ is not registered on queue q (registered: http://*:80/other/)";
    eventually("the log names the prefix", || {
        let log = front.process.errors();
        log.iter().any(|line| line.contains(expected))
    });
}
