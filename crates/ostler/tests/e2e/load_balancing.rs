//! The choice between several destinations, however they are reached (reference A5).

use std::collections::BTreeSet;

use crate::forwarding::{OK, forwarding};
use crate::support::{Client, Destination, Process, Sandbox, delegating_to, eventually};

/// A front before three delegated targets, told which policy chooses.
fn balanced(sandbox: &Sandbox, queues: &[&str], policy: &str) -> crate::support::Front {
    let json = delegating_to(queues);
    assert!(
        json.contains(r#""RoundRobin""#),
        "the policy is to be replaced"
    );
    sandbox.front(&json.replace("RoundRobin", policy))
}

fn pids(client: &mut Client, requests: usize) -> Vec<u32> {
    (0..requests)
        .map(|_| client.ask("GET", "/").pid())
        .collect()
}

#[test]
fn first_alphabetical_takes_the_first() {
    // Reference A5.
    let sandbox = Sandbox::new();
    let targets = ["c", "a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = balanced(&sandbox, &["c", "a", "b"], "FirstAlphabetical");
    assert_eq!(pids(&mut front.connect(), 20), [targets[1].pid(); 20]);
}

#[test]
fn round_robin_takes_turns() {
    // Reference A5.
    let sandbox = Sandbox::new();
    let targets = ["a", "b", "c"].map(|queue| sandbox.target(queue, &[]));
    let front = balanced(&sandbox, &["a", "b", "c"], "RoundRobin");
    let pids = pids(&mut front.connect(), 30);
    for turn in pids.chunks(3) {
        assert_eq!(turn, &pids[..3], "the same order each time");
    }
    let all: BTreeSet<_> = targets.iter().map(Process::pid).collect();
    assert_eq!(pids.into_iter().collect::<BTreeSet<_>>(), all);
}

#[test]
fn random_policies_leave_nobody_out() {
    // Reference A5.
    let sandbox = Sandbox::new();
    let targets = ["a", "b", "c"].map(|queue| sandbox.target(queue, &[]));
    let all: BTreeSet<_> = targets.iter().map(Process::pid).collect();
    for policy in ["Random", "PowerOfTwoChoices"] {
        let front = balanced(&sandbox, &["a", "b", "c"], policy);
        // That one of three is missed by chance has a probability of 3 * (2/3)^300.
        let seen = pids(&mut front.connect(), 300);
        assert_eq!(
            seen.iter().copied().collect::<BTreeSet<_>>(),
            all,
            "{policy}"
        );
        let repeats = seen.chunks(3).all(|turn| turn == &seen[..3]);
        assert!(!repeats, "{policy} takes turns");
    }
}

/// With two destinations both policies that look at load have no choice but the idle one.
#[test]
fn outstanding_delegated_requests_count_as_load() {
    // Reference A5.
    let sandbox = Sandbox::new();
    let _targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    for policy in ["LeastRequests", "PowerOfTwoChoices"] {
        let front = balanced(&sandbox, &["a", "b"], policy);
        assert_eq!(front.ask("GET", "/").status, 200);
        for _ in 0..3 {
            // Outstanding for as long as the rest of its body is held back.
            let mut busy = front.connect();
            busy.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n.");
            // The front has seen it when it has answered a request sent after it.
            let mut client = front.connect();
            pids(&mut client, 1);
            let others: BTreeSet<_> = pids(&mut client, 20).into_iter().collect();
            busy.send(".");
            let busy = busy.response().json()["pid"].as_u64().unwrap();
            assert_eq!(others.len(), 1, "{policy}");
            assert!(
                !others.contains(&u32::try_from(busy).unwrap()),
                "{policy} chose the busy one"
            );
            // What a target has answered counts until it says so.
            eventually("the targets are at rest", || {
                let output = sandbox.output(&["queues", "--json"]);
                let queues: serde_json::Value = serde_json::from_str(&output).unwrap();
                let queues = queues.as_array().unwrap().iter();
                let mut instances = queues.flat_map(|queue| queue["instances"].as_array().unwrap());
                instances.all(|instance| instance["active"] == 0)
            });
        }
    }
}

#[test]
fn outstanding_forwarded_requests_count_as_load() {
    // Reference A5.
    let sandbox = Sandbox::new();
    let [first, second] = [Destination::new(), Destination::new()];
    let front = sandbox.front(&forwarding(
        r#""LoadBalancingPolicy": "LeastRequests","#,
        &[
            &format!(r#""a": {{ "Address": "{}" }}"#, first.address()),
            &format!(r#""b": {{ "Address": "{}" }}"#, second.address()),
        ],
    ));
    let mut waiting = front.connect();
    waiting.send("GET /waiting HTTP/1.1\r\nHost: x\r\n\r\n");
    // The first in order where all are idle, as YARP.
    let mut busy = first.accept();
    busy.head();
    let mut client = front.connect();
    let mut idle = None;
    for _ in 0..5 {
        client.send("GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
        let idle = idle.get_or_insert_with(|| second.accept());
        assert_eq!(idle.head().line, "GET /other HTTP/1.1");
        idle.send(OK);
        assert_eq!(client.response().body, b"ok");
    }
    busy.send(OK);
    assert_eq!(waiting.response().body, b"ok");
    assert!(first.is_left_alone());
}
