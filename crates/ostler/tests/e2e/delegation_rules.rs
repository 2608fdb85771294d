//! Delegation on YARP's side, step by step (reference A8).

use std::collections::BTreeSet;

use crate::support::{Front, Sandbox, eventually};

/// A front whose one cluster has these destinations, and a pipeline of these steps.
fn front(sandbox: &Sandbox, steps: &str, destinations: &str) -> Front {
    sandbox.front(&configuration(steps, destinations))
}

fn configuration(steps: &str, destinations: &str) -> String {
    format!(
        r#"{{ "ReverseProxy": {{ "Pipeline": [ {steps} ],
            "Routes": {{ "all": {{ "ClusterId": "c", "Match": {{ "Path": "{{**rest}}" }} }} }},
            "Clusters": {{ "c": {{ "Destinations": {{ {destinations} }} }} }} }} }}"#
    )
}

fn queue(id: &str, name: &str) -> String {
    format!(
        r#""{id}": {{ "Address": "http://*:80/", "Metadata": {{ "HttpSysDelegationQueue": "{name}" }} }}"#
    )
}

const DELEGATION: &str = r#""HttpSysDelegation""#;

#[test]
fn step_1_without_destinations_the_answer_is_503() {
    let sandbox = Sandbox::new();
    let front = front(&sandbox, DELEGATION, "");
    assert_eq!(front.ask("GET", "/").status, 503);
}

#[test]
fn step_2_one_of_several_is_chosen_at_random_with_a_warning() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|name| sandbox.target(name, &[]));
    let destinations = format!("{},{}", queue("1", "a"), queue("2", "b"));
    let front = front(&sandbox, DELEGATION, &destinations);
    let mut client = front.connect();
    let pids: BTreeSet<_> = (0..64).map(|_| client.ask("GET", "/").pid()).collect();
    assert_eq!(
        pids,
        targets.iter().map(crate::support::Process::pid).collect()
    );
    eventually("the choice is warned of", || {
        let log = front.process.errors();
        log.iter()
            .any(|line| line.contains("several destinations are left"))
    });
}

#[test]
fn step_3_only_a_destination_with_the_key_is_delegated_to() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let plain = format!(r#""plain": {{ "Address": "{address}" }}"#);
    let forwarded = front(&sandbox, DELEGATION, &plain);
    let echo = forwarded.ask("GET", "/echo").json();
    assert_eq!(echo["arrival"], "direct");
    // Present, even with an empty text: delegated, to a queue that cannot be.
    let sandbox = Sandbox::new();
    let empty = front(&sandbox, DELEGATION, &queue("empty", ""));
    assert_eq!(empty.ask("GET", "/").status, 503);
}

#[test]
fn step_6_a_queue_that_is_not_there_is_tried_anew_with_each_request() {
    let sandbox = Sandbox::new();
    let front = front(&sandbox, DELEGATION, &queue("1", "late"));
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/").status, 503);
    assert_eq!(client.ask("GET", "/").status, 503);
    let target = sandbox.target("late", &[]);
    assert_eq!(client.ask("GET", "/").pid(), target.pid());
}

#[test]
fn a_destination_that_loses_its_metadata_is_forwarded_to() {
    let sandbox = Sandbox::new();
    let (_target, address) = sandbox.listening_target("q");
    let front = front(&sandbox, DELEGATION, &queue("d", "q"));
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/echo").json()["arrival"], "delegated");
    let plain = format!(r#""d": {{ "Address": "{address}" }}"#);
    sandbox.configuration(&configuration(DELEGATION, &plain));
    front.process.signal("HUP");
    eventually("the destination is forwarded to", || {
        client.ask("GET", "/echo").json()["arrival"] == "direct"
    });
}

#[test]
fn without_the_step_nothing_is_delegated() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    // The address is a prefix, which nobody can connect to.
    let front = front(&sandbox, r#""LoadBalancing""#, &queue("1", "q"));
    assert!([502, 503].contains(&front.ask("GET", "/").status));
}
