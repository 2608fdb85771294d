//! Requests that wait for a target: whatever makes room wakes them, first come first served.

use std::time::Duration;

use crate::failures::{at_rest, counts, stopped, until_queued, warm};
use crate::support::{Client, Front, Process, Sandbox, delegating_to, eventually};

/// A request whose head fills a ring soon: some thirty fit.
fn large_request() -> String {
    let cookie = "x".repeat(8000);
    format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n")
}

const SMALL: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// More than fit into a ring.
const MANY: usize = 80;

fn warm_clients(front: &Front, count: usize) -> Vec<Client> {
    (0..count).map(|_| warm(front)).collect()
}

fn answered(clients: &mut [Client]) -> Vec<u32> {
    clients
        .iter_mut()
        .map(|client| {
            let response = client.response();
            assert_eq!(response.status, 200);
            response.pid()
        })
        .collect()
}

fn log_has(front: &Front, text: &str) -> usize {
    let log = front.process.errors();
    log.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn a_full_ring_wakes_who_waits_for_room() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut clients = warm_clients(&front, MANY);
    stopped(&sandbox, &target);
    for client in &mut clients {
        client.send(large_request());
    }
    until_queued(&sandbox, MANY);
    target.signal("CONT");
    assert_eq!(answered(&mut clients), vec![target.pid(); MANY]);
    assert_eq!(log_has(&front, "WARN"), 0, "{:?}", front.process.errors());
}

#[test]
fn a_full_control_socket_wakes_who_waits_for_it() {
    // Some three hundred sockets fit on their way to a target.
    const CONNECTIONS: usize = 500;
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    drop(warm(&front));
    stopped(&sandbox, &target);
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| front.connect()).collect();
    for client in &mut clients {
        client.send(SMALL);
    }
    until_queued(&sandbox, CONNECTIONS);
    target.signal("CONT");
    assert_eq!(answered(&mut clients), vec![target.pid(); CONNECTIONS]);
}

#[test]
fn all_who_wait_for_an_instance_are_served_when_one_comes() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &["--keep-queue", "--queue-limit", "400"]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut clients = warm_clients(&front, 400);
    target.signal("TERM");
    assert!(target.wait().success());
    for client in &mut clients {
        client.send(large_request());
    }
    until_queued(&sandbox, 400);
    let again = sandbox.target("q", &[]);
    assert_eq!(answered(&mut clients), vec![again.pid(); 400]);
    eventually("the log says so, once", || {
        log_has(&front, "requests wait for one") == 1
    });
}

#[test]
fn two_full_instances_are_no_full_queue() {
    let sandbox = Sandbox::new();
    let targets = [sandbox.target("q", &[]), sandbox.target("q", &[])];
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut clients = warm_clients(&front, 2 * MANY);
    for target in &targets {
        stopped(&sandbox, target);
    }
    for client in &mut clients {
        client.send(large_request());
    }
    until_queued(&sandbox, 2 * MANY);
    for target in &targets {
        target.signal("CONT");
    }
    answered(&mut clients);
}

#[test]
fn clients_that_have_left_do_not_count_against_the_limit() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &["--queue-limit", "3", "--verbosity", "full"]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut gone = warm_clients(&front, 3);
    let mut last = warm(&front);
    // In the ring of an instance that takes nothing.
    stopped(&sandbox, &target);
    for client in &mut gone {
        client.send(SMALL);
    }
    until_queued(&sandbox, 3);
    gone.clear();
    until_queued(&sandbox, 0);
    last.send(SMALL);
    until_queued(&sandbox, 1);
    target.signal("CONT");
    assert_eq!(last.response().status, 200);
    // In line, with nobody there.
    let mut gone = warm_clients(&front, 3);
    at_rest(&sandbox, &target);
    target.kill();
    for client in &mut gone {
        client.send(SMALL);
    }
    until_queued(&sandbox, 3);
    gone.clear();
    until_queued(&sandbox, 0);
    last.send(SMALL);
    until_queued(&sandbox, 1);
    let again = sandbox.target("q", &[]);
    assert_eq!(last.response().pid(), again.pid());
}

#[test]
fn a_half_closing_client_that_waits_is_answered() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    at_rest(&sandbox, &target);
    target.kill();
    client.send(SMALL);
    client.shutdown_write();
    std::thread::sleep(Duration::from_millis(1500));
    let again = sandbox.target("q", &[]);
    assert_eq!(client.response().pid(), again.pid());
    assert!(client.is_closed());
}

#[test]
fn a_stop_does_not_wait_for_clients_that_have_left() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let json = delegating_to(&["q"]);
    let front = sandbox.front_with(&json, &["--threads", "1", "--drain-timeout", "3600"]);
    // In the ring, and in line for it.
    let mut clients = warm_clients(&front, MANY);
    stopped(&sandbox, &target);
    for client in &mut clients {
        client.send(large_request());
    }
    until_queued(&sandbox, MANY);
    drop(clients);
    until_queued(&sandbox, 0);
    front.process.signal("TERM");
    assert!(front.process.wait().success());
}

#[test]
fn a_stop_says_what_it_waits_for() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = warm(&front);
    stopped(&sandbox, &target);
    client.send(SMALL);
    until_queued(&sandbox, 1);
    front.process.signal("TERM");
    let says = "connections: 1, not taken from queue q: 1";
    eventually("the log says so", || log_has(&front, says) == 1);
    target.signal("CONT");
    assert_eq!(client.response().status, 200);
    assert!(front.process.wait().success());
}

#[test]
fn a_second_target_that_would_create_the_queue_is_told_which_mode_joins_it() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &["--mode", "create"]);
    let arguments = ["sample-target", "--queue", "q", "--mode", "create"];
    let second = sandbox.ostler(&arguments);
    assert!(!second.wait().success());
    eventually("it says so", || {
        let said = second.errors().join("\n");
        said.contains("queue q exists already") && said.contains("CreateOrAttach joins it")
    });
}

#[test]
fn a_stopped_instance_is_given_no_second_lone_request() {
    let sandbox = Sandbox::new();
    let sleeper = sandbox.target("q", &[]);
    let json = delegating_to(&["q"]);
    let front = sandbox.front_in(&json, &[("OSTLER_LOG", "info,ostler_proxy=debug")]);
    drop(warm_clients(&front, 4));
    let other = sandbox.target("q", &[]);
    stopped(&sandbox, &sleeper);
    let found = format!(
        "a target does not take its requests instance=\"{}-0\"",
        sleeper.pid()
    );
    // It has its turn once the front knows that the clients before are done with it.
    eventually("one request finds it out", || {
        assert_eq!(front.ask("GET", "/").pid(), other.pid());
        log_has(&front, &found) == 1
    });
    for _ in 0..30 {
        assert_eq!(front.ask("GET", "/").pid(), other.pid());
    }
    let times = log_has(&front, &found);
    assert_eq!(times, 1, "{:?}", front.process.errors());
    sleeper.signal("CONT");
    eventually("it is given requests again", || {
        front.ask("GET", "/").pid() == sleeper.pid()
    });
}

#[test]
fn what_a_stopped_instance_was_given_goes_to_the_others_on_every_thread() {
    let sandbox = Sandbox::new();
    let (sleeper, other) = (sandbox.target("q", &[]), sandbox.target("q", &[]));
    let front = sandbox.front_with(&delegating_to(&["q"]), &["--threads", "4"]);
    let mut clients = warm_clients(&front, 64);
    stopped(&sandbox, &sleeper);
    for _ in 0..5 {
        for client in &mut clients {
            client.send(SMALL);
        }
        assert_eq!(answered(&mut clients), vec![other.pid(); 64]);
    }
    sleeper.signal("CONT");
    for client in &mut clients {
        client.send(SMALL);
    }
    answered(&mut clients);
}

#[test]
fn the_only_target_is_restarted_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let mut target = sandbox.target("q", &[]);
    let front = sandbox.front_with(&delegating_to(&["q"]), &["--threads", "2"]);
    let mut clients = warm_clients(&front, 8);
    for _ in 0..3 {
        target.signal("TERM");
        assert!(target.wait().success());
        assert!(!sandbox.runtime().join("queues/q").exists());
        for client in &mut clients {
            client.send(SMALL);
        }
        let mut fresh = front.connect();
        fresh.send(SMALL);
        until_depth(&front, &sandbox, clients.len() + 1);
        target = sandbox.target("q", &[]);
        assert_eq!(answered(&mut clients), vec![target.pid(); 8]);
        assert_eq!(fresh.response().pid(), target.pid());
    }
    eventually(
        "the log has one warning for each time, and no alarm",
        || log_has(&front, "a target has left") == 3 && log_has(&front, "WARN") == 3,
    );
}

/// Of a queue whose folder is gone the front alone knows.
fn until_depth(front: &Front, sandbox: &Sandbox, depth: usize) {
    let path = format!("fronts/{}.sock", front.process.pid());
    assert!(sandbox.runtime().join(path).exists());
    let runtime = ostler_delegation::runtime::RuntimeFolder::new(sandbox.runtime());
    eventually("they wait", || {
        let waiting = ostler_delegation::status::waiting(&runtime, Duration::from_secs(5));
        waiting.get("q") == Some(&depth)
    });
}

#[test]
fn a_queue_that_stays_away_is_forgotten() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let retention = r#"{ "Ostler": { "Limits": { "QueueRetention": "00:00:01" } }, "#;
    let json = delegating_to(&["q"]).replacen('{', retention, 1);
    let front = sandbox.front(&json);
    let mut clients = warm_clients(&front, 3);
    target.signal("TERM");
    assert!(target.wait().success());
    for client in &mut clients {
        client.send(SMALL);
    }
    for client in &mut clients {
        assert_eq!(client.response().status, 503);
    }
    assert_eq!(front.ask("GET", "/").status, 503);
    eventually("the log says so, once", || {
        log_has(&front, "queue q does not exist") == 1
    });
    let again = sandbox.target("q", &[]);
    assert_eq!(clients[0].ask("GET", "/").pid(), again.pid());
}

#[test]
fn a_dead_queue_s_requests_go_to_another_destination() {
    let sandbox = Sandbox::new();
    let (dying, other) = (sandbox.target("a", &[]), sandbox.target("b", &[]));
    let front = sandbox.front(&delegating_to(&["a", "b"]));
    let mut clients = warm_clients(&front, 8);
    at_rest_of(&sandbox, &dying);
    dying.signal("STOP");
    for client in &mut clients {
        client.send(SMALL);
    }
    dying.kill();
    // What lay in its ring goes there too.
    assert_eq!(answered(&mut clients), vec![other.pid(); 8]);
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/").pid(), other.pid());
    }
    let again = sandbox.target("a", &[]);
    eventually("it is balanced over both again", || {
        clients[0].ask("GET", "/").pid() == again.pid()
    });
}

#[test]
fn a_request_that_waits_for_one_of_two_dead_queues_is_served_by_either() {
    let sandbox = Sandbox::new();
    let (one, other) = (sandbox.target("a", &[]), sandbox.target("b", &[]));
    let front = sandbox.front(&delegating_to(&["a", "b"]));
    let mut clients = warm_clients(&front, 4);
    at_rest_of(&sandbox, &one);
    at_rest_of(&sandbox, &other);
    one.kill();
    other.kill();
    for client in &mut clients {
        client.send(SMALL);
    }
    let again = sandbox.target("b", &[]);
    assert_eq!(answered(&mut clients), vec![again.pid(); 4]);
}

/// Waits until a target of any queue is done with everything.
fn at_rest_of(sandbox: &Sandbox, target: &Process) {
    eventually("the target is at rest", || {
        let output = sandbox.output(&["queues", "--json"]);
        let queues: serde_json::Value = serde_json::from_str(&output).unwrap();
        let mut instances = queues.as_array().unwrap().iter();
        instances.any(|queue| {
            let instance = &queue["instances"][0];
            instance["pid"] == target.pid() && instance["active"] == 0
        })
    });
}

#[test]
fn a_queue_whose_destination_is_gone_is_let_go_of() {
    let sandbox = Sandbox::new();
    let _targets = [sandbox.target("a", &[]), sandbox.target("b", &[])];
    let front = sandbox.front(&delegating_to(&["a"]));
    assert_eq!(front.ask("GET", "/").status, 200);
    let before = front.process.descriptors();
    let reload = |queues: &[&str]| {
        sandbox.configuration(&delegating_to(queues));
        front.process.signal("HUP");
    };
    reload(&["a", "b"]);
    let mut client = front.connect();
    eventually("both have channels", || {
        assert_eq!(client.ask("GET", "/").status, 200);
        front.process.descriptors() > before + 1
    });
    // Its idle connection has a place on both, which keeps nothing.
    reload(&["a"]);
    eventually("the other's channel is closed", || {
        front.process.descriptors() <= before + 1
    });
    assert_eq!(client.ask("GET", "/").status, 200);
    assert_eq!(counts(&sandbox).0, 0);
}
