//! Leases, with real processes: a target reads a connection's next requests by itself, and whoever dies, stops
//! or changes its mind at any point of that, each request is answered once.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Client, Front, Process, Sandbox, delegating_by_path, delegating_to, eventually,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// What is said of the instances of the first queue, all together.
fn sum(sandbox: &Sandbox, what: &str) -> u64 {
    let output = sandbox.output(&["queues", "--json"]);
    let queues: Value = serde_json::from_str(&output).unwrap();
    let instances = queues[0]["instances"].as_array().unwrap().iter();
    let said = instances.filter_map(|instance| instance[what].as_u64());
    said.sum()
}

/// A connection whose next request the target reads by itself.
fn leased(sandbox: &Sandbox, front: &Front, path: &str) -> Client {
    let mut client = front.connect();
    let before = sum(sandbox, "leased_connections");
    eventually("the connection is leased", || {
        for _ in 0..3 {
            assert_eq!(client.ask("GET", path).status, 200);
        }
        sum(sandbox, "leased_connections") > before
    });
    client
}

fn one_target() -> (Sandbox, Process, Front) {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    (sandbox, target, front)
}

#[test]
fn a_connection_that_asks_often_is_leased_and_queues_say_so() {
    let (sandbox, target, front) = one_target();
    let mut client = leased(&sandbox, &front, "/");
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/bytes/100000").body.len(), 100_000);
        assert_eq!(client.ask("GET", "/").pid(), target.pid());
    }
    client.send("HEAD /bytes/7 HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.head_response();
    assert_eq!(head.field("content-length"), Some("7"));
    eventually("they are counted", || sum(&sandbox, "leased") >= 41);
    assert!(sum(&sandbox, "completed") > sum(&sandbox, "leased"));
    let said = sandbox.output(&["queues"]);
    assert!(said.contains(" leased, 1 connections)"), "{said}");
    assert_eq!(sum(&sandbox, "active"), 0, "nothing is under way");
}

#[test]
fn what_a_lease_does_not_name_goes_by_the_front() {
    let (sandbox, target, front) = one_target();
    let mut client = leased(&sandbox, &front, "/");
    assert_eq!(client.post("/upload", b"four").status, 200);
    for request in [
        "GET /x/../who HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: another\r\n\r\n",
    ] {
        client = leased(&sandbox, &front, "/");
        client.send(request);
        assert!(client.response().status < 500, "{request}");
    }
    let mut client = leased(&sandbox, &front, "/");
    client.send("GET /who HTTP/1.1\r\nHo");
    std::thread::sleep(std::time::Duration::from_millis(50));
    client.send("st: x\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let mut client = leased(&sandbox, &front, "/");
    client.send([GET; 40].concat());
    for _ in 0..40 {
        assert_eq!(client.response().pid(), target.pid());
    }
    let mut client = leased(&sandbox, &front, "/");
    client.send("GET / HTTP/9.9\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().status, 505);
}

#[test]
fn one_connection_goes_from_queue_to_queue() {
    let sandbox = Sandbox::new();
    let (first, second) = (sandbox.target("a", &[]), sandbox.target("b", &[]));
    let front = sandbox.front(&delegating_by_path(&["a", "b"]));
    let mut client = leased(&sandbox, &front, "/a/");
    for times in [1, 2, 3, 5, 8] {
        for (path, target) in [("/b/", &second), ("/a/", &first)] {
            for _ in 0..times {
                assert_eq!(client.ask("GET", path).pid(), target.pid());
            }
        }
    }
    assert_eq!(client.ask("GET", "/c/").status, 404);
}

#[test]
fn a_target_killed_at_rest_leaves_its_clients_to_the_next() {
    let (sandbox, target, front) = one_target();
    let mut client = leased(&sandbox, &front, "/");
    target.kill();
    client.send(GET);
    let again = sandbox.target("q", &[]);
    assert_eq!(client.response().pid(), again.pid());
}

#[test]
fn what_a_stopped_target_does_not_read_is_answered_by_the_next() {
    let (sandbox, target, front) = one_target();
    let mut clients: Vec<_> = (0..4).map(|_| leased(&sandbox, &front, "/")).collect();
    target.signal("STOP");
    for client in &mut clients {
        client.send(GET);
    }
    target.kill();
    let again = sandbox.target("q", &[]);
    for client in &mut clients {
        assert_eq!(client.response().pid(), again.pid());
    }
}

#[test]
fn a_stopped_target_s_clients_go_to_another() {
    let (sandbox, target, front) = one_target();
    let mut client = leased(&sandbox, &front, "/");
    target.signal("STOP");
    client.send(GET);
    let other = sandbox.target("q", &["--mode", "attach"]);
    assert_eq!(client.response().pid(), other.pid());
    target.signal("CONT");
    let mut client = front.connect();
    for _ in 0..5 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
}

#[test]
fn a_target_killed_with_a_request_received_has_it_done_by_the_next() {
    let (sandbox, target, front) = one_target();
    let mut client = leased(&sandbox, &front, "/");
    client.send("GET /delay/1000 HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the target has it", || sum(&sandbox, "active") == 1);
    target.kill();
    let again = sandbox.target("q", &[]);
    assert_eq!(client.response().pid(), again.pid());
}

#[test]
fn a_target_killed_while_it_responds_cuts_the_response_short() {
    const SIZE: usize = 1_000_000_000;
    let (sandbox, target, front) = one_target();
    let mut client = leased(&sandbox, &front, "/");
    client.send(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(client.read(100_000).len(), 100_000);
    target.kill();
    assert!(client.rest().len() < SIZE);
}

#[test]
fn targets_killed_under_load_lose_no_request_that_they_had_not_begun_to_answer() {
    let sandbox = Sandbox::new();
    let mut target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    for _ in 0..4 {
        let mut clients: Vec<_> = (0..8).map(|_| leased(&sandbox, &front, "/")).collect();
        for client in &mut clients {
            client.send("GET /delay/20 HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        target.kill();
        target = sandbox.target("q", &[]);
        for client in &mut clients {
            assert_eq!(client.response().status, 200);
            assert_eq!(client.ask("GET", "/").pid(), target.pid());
        }
    }
}

#[test]
fn a_target_that_stops_gives_its_connections_back() {
    let (sandbox, target, front) = one_target();
    let mut clients: Vec<_> = (0..4).map(|_| leased(&sandbox, &front, "/")).collect();
    let other = sandbox.target("q", &["--mode", "attach"]);
    target.signal("TERM");
    assert!(target.wait().success());
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/").pid(), other.pid());
    }
}

#[test]
fn a_front_that_ends_with_a_download_under_way_leaves_it_to_the_target() {
    const SIZE: usize = 100_000_000;
    for signal in ["TERM", "KILL"] {
        let (sandbox, _target, front) = one_target();
        let mut client = leased(&sandbox, &front, "/");
        client.send(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(client.try_head().unwrap().0, 200);
        let mut received = client.read(10_000);
        front.process.signal(signal);
        assert_eq!(front.process.wait().success(), signal == "TERM");
        received.extend(client.read(SIZE - 10_000));
        assert_eq!(received.len(), SIZE);
        assert!(client.is_closed(), "{signal}");
    }
}

#[test]
fn a_front_that_ends_while_a_connection_rests_closes_it() {
    for signal in ["TERM", "KILL"] {
        let (sandbox, _target, front) = one_target();
        let mut client = leased(&sandbox, &front, "/");
        front.process.signal(signal);
        assert_eq!(front.process.wait().success(), signal == "TERM");
        assert!(client.is_closed(), "{signal}");
        eventually("the target has let go", || {
            sum(&sandbox, "leased_connections") == 0
        });
    }
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let (sandbox, _target, front) = one_target();
    let resting = leased(&sandbox, &front, "/");
    drop(resting);
    eventually("its lease is over", || {
        sum(&sandbox, "leased_connections") == 0
    });
    let mut waiting = leased(&sandbox, &front, "/");
    waiting.send("GET /delay/600000 HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the target has it", || sum(&sandbox, "active") == 1);
    drop(waiting);
    eventually("the handler is dropped", || sum(&sandbox, "active") == 0);
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn an_idle_connection_goes_back_and_is_of_use() {
    let (sandbox, target, front) = one_target();
    let mut client = leased(&sandbox, &front, "/");
    eventually("it is idle", || sum(&sandbox, "leased_connections") == 0);
    assert_eq!(client.ask("GET", "/").pid(), target.pid());
}

#[test]
fn a_reload_holds_from_the_next_request_on() {
    let sandbox = Sandbox::new();
    let (_first, second) = (sandbox.target("a", &[]), sandbox.target("b", &[]));
    let front = sandbox.front(&delegating_to(&["a"]));
    let mut client = leased(&sandbox, &front, "/");
    sandbox.configuration(&delegating_to(&["b"]));
    eventually("the new one is in force", || {
        front.ask("GET", "/").pid() == second.pid()
    });
    // Not a request later, on whichever connection.
    assert_eq!(client.ask("GET", "/").pid(), second.pid());
}

#[test]
fn a_cluster_may_do_without() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let mut configuration: Value = serde_json::from_str(&delegating_to(&["q"])).unwrap();
    configuration["ReverseProxy"]["Clusters"]["all"]["Ostler"] = json!({ "Leases": false });
    let front = sandbox.front(&configuration.to_string());
    let mut client = front.connect();
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    assert_eq!(sum(&sandbox, "leased"), 0);
}

#[test]
fn the_access_log_has_a_line_for_each() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let path = sandbox.path().join("access.log");
    let mut configuration: Value = serde_json::from_str(&delegating_to(&["q"])).unwrap();
    configuration["Ostler"] = json!({ "AccessLog": { "Format": "Json", "Path": path } });
    let front = sandbox.front(&configuration.to_string());
    let mut client = front.connect();
    for at in 0..10 {
        client.send(format!(
            "GET /bytes/{at}?q HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\n\r\n"
        ));
        assert_eq!(client.response().body.len(), at);
    }
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines = text.lines().map(serde_json::from_str);
        lines.filter_map(Result::ok).collect()
    };
    eventually("there are ten lines", || lines().len() >= 10);
    let lines = lines();
    for (at, line) in lines.iter().enumerate() {
        let text = line.to_string();
        assert!(text.contains(&format!("/bytes/{at}?q")), "{text}");
        assert!(text.contains("\"me\""), "{text}");
        let way = if at < 2 { "delegated" } else { "leased" };
        assert!(text.contains(way), "{text}");
    }
}

#[test]
fn a_target_of_many_threads_and_a_front_of_many_lose_nothing() {
    let sandbox = Sandbox::new();
    let target = sandbox.ostler(&["sample-target", "--queue", "q", "--threads", "2"]);
    target.wait_for_line("queue q ready");
    let front = sandbox.front_with(&delegating_to(&["q"]), &["--threads", "2"]);
    let port = front.port;
    let clients: Vec<_> = (0..8)
        .map(|at| {
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                for number in 0..200 {
                    match (at + number) % 7 {
                        0 => assert_eq!(client.post("/upload", b"body").status, 200),
                        1 => assert_eq!(client.ask("GET", "/x/../bytes/9").body.len(), 9),
                        _ => assert_eq!(client.ask("GET", "/bytes/3000").body.len(), 3000),
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    eventually("the target is at rest", || sum(&sandbox, "active") == 0);
    assert_eq!(sum(&sandbox, "completed"), 1600);
    let pid = target.pid().to_string();
    let running = Command::new("kill").args(["-s", "0", &pid]).status();
    assert!(running.unwrap().success());
}
