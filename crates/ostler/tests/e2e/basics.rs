//! The everyday: requests reach targets, responses reach clients, connections are shared.

use crate::support::{Sandbox, delegating_by_path, delegating_to};

const SEED: &str = r#"{ "ReverseProxy": {
      "Pipeline": [ "SessionAffinity", "LoadBalancing", "PassiveHealthChecks", "HttpSysDelegation" ],
      "Routes": { "route1" : { "ClusterId": "cluster1", "Match": { "Path": "{**catch-all}" }, } }, // comment
      "Clusters": { "cluster1": { "Destinations": { "cluster1/destination1": { "Address": "http://*:80/",
        "Metadata": { "HttpSysDelegationQueue": "TargetHttpSysQueueName" } } } } } } }"#;

#[test]
fn the_seed_configuration_delegates() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("TargetHttpSysQueueName", &["--url-prefix", "http://*:80/"]);
    let front = sandbox.front(SEED);
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/some/path?q=1&q=2").pid(), target.pid());
    let own = client.local_address().to_string();
    let echo = client.post("/x/echo?q=1", b"hello").json();
    assert_eq!(echo["arrival"], "delegated");
    assert_eq!(echo["client"], own);
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["target"], "/x/echo?q=1");
    assert_eq!(echo["length"], 5);
}

#[test]
fn requests_on_one_connection_alternate_between_targets() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_by_path(&["a", "b"]));
    let mut client = front.connect();
    for _ in 0..50 {
        assert_eq!(client.ask("GET", "/a/").pid(), targets[0].pid());
        assert_eq!(client.ask("GET", "/b/").pid(), targets[1].pid());
    }
}

#[test]
fn pipelined_requests_keep_their_order_across_targets() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_by_path(&["a", "b"]));
    let mut client = front.connect();
    for _ in 0..20 {
        client.send(
            "GET /a/echo?1 HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /b/echo?2 HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /a/echo?3 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
             GET /b/echo?4 HTTP/1.1\r\nHost: x\r\n\r\n",
        );
        for (number, target) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
            let echo = client.response().json();
            assert!(
                echo["target"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!("?{number}")),
                "{echo}"
            );
            assert_eq!(echo["pid"], targets[target].pid());
        }
    }
}

#[test]
fn several_instances_share_a_queue() {
    let sandbox = Sandbox::new();
    let first = sandbox.target("q", &[]);
    let second = sandbox.target("q", &["--mode", "attach"]);
    let front = sandbox.front(&delegating_to(&["q"]));
    front.ask("GET", "/");
    // Requests that take a while go to the one with fewer of them.
    let mut slow = front.connect();
    slow.send("GET /delay/1500 HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut pids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        pids.insert(front.ask("GET", "/").pid());
    }
    pids.insert(slow.response().pid());
    assert_eq!(pids, [first.pid(), second.pid()].into());
}
