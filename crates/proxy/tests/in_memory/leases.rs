//! Leases: a target reads the next requests of a connection by itself, and whatever happens at any point of
//! that, each request is answered once.

use ostler_delegation::lease::Paths;
use ostler_proxy::Mode;
use ostler_test_support::{End, Harness, Setup, Taken, Target};

use crate::{A_LITTLE, GET, seconds, status};

const LEASES: &str = r#""Ostler": { "Leases": true }"#;

/// Another request, which is no other's.
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n";

fn setup() -> Setup {
    Setup {
        queues: vec!["shop"],
        cluster: LEASES,
        ..Setup::default()
    }
}

/// A client whose second request is with a target, and what it grants.
fn asked_twice(harness: &Harness, request: &str) -> (End, Target, Taken) {
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(request);
    assert!(target.welcome());
    let first = target.take();
    assert_eq!(first.lease, None, "one request is not many");
    target.answers(&first, "one");
    client.hears();
    client.say(request);
    let second = target.take();
    (client, target, second)
}

/// A client whose target has answered under a lease and waits for its next request.
fn resting(harness: &Harness) -> (End, Target, Taken) {
    let (mut client, mut target, taken) = asked_twice(harness, GET);
    assert!(taken.lease.is_some());
    target.answers_and_rests(&taken, "two");
    assert!(client.hears().ends_with("\r\n\r\ntwo"));
    (client, target, taken)
}

/// How far a target is with a request that it reads by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Resting,
    Reading,
    Received,
    Responding,
    Told,
}

const ALL: [At; 5] = [
    At::Resting,
    At::Reading,
    At::Received,
    At::Responding,
    At::Told,
];

/// A client that has asked once more, and whose target is this far.
fn reach(harness: &Harness, at: At) -> (End, Target, Taken) {
    let (mut client, mut target, taken) = resting(harness);
    client.say(NEXT);
    if at >= At::Reading {
        assert_eq!(target.reads(&taken, 1).as_deref(), Some(NEXT));
    }
    if at >= At::Received {
        target.begins(&taken);
    }
    if at >= At::Responding {
        target.says(&taken, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    }
    if at >= At::Told {
        target.says(&taken, "cd");
        target.tells(&taken, "");
    }
    (client, target, taken)
}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (*self as u8).partial_cmp(&(*other as u8))
    }
}

#[test]
fn a_target_reads_and_answers_what_its_lease_names() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    let lease = taken.lease.as_deref().unwrap();
    assert_eq!(lease.predicate.host, "x");
    assert!(lease.predicate.get && lease.predicate.head);
    let below = Paths::Below {
        prefix: "/".to_owned(),
        excluded: Vec::new(),
    };
    assert_eq!(lease.predicate.paths, below);
    for number in 1..4 {
        client.say(NEXT);
        assert_eq!(target.reads(&taken, number).as_deref(), Some(NEXT));
        target.begins(&taken);
        target.answers_and_rests(&taken, "by itself");
        assert!(client.hears().ends_with("by itself"));
        assert_eq!(target.try_pop(), None, "nothing came by the front");
    }
    harness.advance(A_LITTLE);
    let told: Vec<_> = harness
        .told()
        .iter()
        .map(|told| (told.mode, told.status))
        .collect();
    let leased = (Mode::Leased, 200);
    let delegated = (Mode::Delegated, 200);
    assert_eq!(told, [delegated, delegated, leased, leased, leased]);
}

#[test]
fn what_is_handed_back_is_the_front_s_to_read_be_it_whole_or_not() {
    for cut in [0, 1, 20, NEXT.len()] {
        let harness = setup().start();
        let (mut client, mut target, taken) = resting(&harness);
        let (first, rest) = NEXT.split_at(cut);
        if !first.is_empty() {
            client.say(first);
            assert_eq!(target.reads(&taken, 1).as_deref(), Some(first));
        }
        target.hands_back(&taken, first);
        if !rest.is_empty() {
            client.say(rest);
        }
        let again = target.take();
        assert_eq!(again.head, NEXT);
        target.answers(&again, "back");
        assert!(client.hears().ends_with("back"));
    }
}

#[test]
fn a_death_loses_no_request_and_does_none_twice() {
    for at in ALL {
        let harness = setup().start();
        let (mut client, target, _) = reach(&harness, at);
        let heard = client.hears();
        let mut other = harness.target("shop");
        target.dies();
        harness.advance(A_LITTLE);
        if at == At::Responding {
            assert!(client.is_over(), "part of a response was said");
            assert_eq!(other.try_take(), None);
        } else {
            if at == At::Told {
                assert!(heard.ends_with("abcd"));
                client.say(NEXT);
            }
            let again = other.take();
            assert_eq!(again.head, NEXT, "{at:?}");
            other.answers(&again, "once");
            assert!(client.hears().ends_with("once"), "{at:?}");
            assert!(!client.is_over(), "{at:?}");
        }
        // Two that came by the front, and the one, each told of once.
        harness.advance(A_LITTLE);
        let expected = if at == At::Told { 4 } else { 3 };
        assert_eq!(harness.told().len(), expected, "{at:?}");
    }
}

#[test]
fn a_death_in_the_middle_of_a_head_leaves_the_rest_to_the_front() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    client.say(&NEXT[..20]);
    target.reads(&taken, 1);
    target.dies();
    let mut other = harness.target("shop");
    client.say(&NEXT[20..]);
    harness.advance(A_LITTLE);
    assert_eq!(other.take().head, NEXT);
}

#[test]
fn a_new_configuration_holds_from_the_next_request_on() {
    for at in [At::Resting, At::Reading, At::Received, At::Responding] {
        let harness = setup().start();
        let (mut client, mut target, taken) = reach(&harness, at);
        let other_queue = Setup {
            queues: vec!["other"],
            ..setup()
        };
        let mut other = harness.target("other");
        harness.reload(&other_queue);
        match at {
            At::Resting => {
                // Not even what is in the socket already.
                assert_eq!(target.reads(&taken, 1), None);
                target.hands_back(&taken, "");
            }
            At::Reading | At::Received | At::Responding => {
                // As any request that has come before the change.
                target.begins(&taken);
                target.says_all(&taken, "old");
                target.tells(&taken, "");
                target.hands_back(&taken, "");
                assert!(client.hears().ends_with("old"));
                client.say(NEXT);
            }
            At::Told => unreachable!("not among those"),
        }
        harness.advance(A_LITTLE);
        let next = other.take();
        assert_eq!(next.head, NEXT, "{at:?}");
        other.answers(&next, "new");
        assert!(client.hears().ends_with("new"), "{at:?}");
    }
}

#[test]
fn leases_that_are_switched_off_end() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    harness.reload(&Setup {
        cluster: r#""Ostler": { "Leases": false }"#,
        ..setup()
    });
    harness.advance(A_LITTLE);
    assert!(target.is_closed(&taken));
    for _ in 0..3 {
        client.say(GET);
        let next = target.take();
        assert_eq!(next.lease, None);
        target.answers(&next, "no");
        client.hears();
    }
}

#[test]
fn an_idle_connection_goes_back_to_the_front() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    harness.advance(seconds(2));
    assert!(target.is_closed(&taken));
    // The target has noticed nothing yet, and reads nothing any more.
    assert_eq!(target.reads(&taken, 1), None);
    target.hands_back(&taken, "");
    client.say(NEXT);
    let next = target.take();
    assert_eq!(next.head, NEXT);
    assert_eq!(next.lease, None, "it does not ask often");
    target.answers(&next, "later");
    assert!(client.hears().ends_with("later"));
}

#[test]
fn a_target_that_stands_still_keeps_no_request_from_another() {
    let harness = setup().start();
    let (mut client, target, _) = resting(&harness);
    client.say(NEXT);
    let mut other = harness.target("shop");
    assert!(other.welcome());
    harness.advance(A_LITTLE);
    let mut target = target;
    // Whichever of the two it is given first, the other one is there for it.
    let next = other.try_take().or_else(|| target.try_take()).unwrap();
    assert_eq!(next.head, NEXT);
}

#[test]
fn what_a_single_target_does_not_read_waits_in_its_ring() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    client.say(NEXT);
    harness.advance(seconds(1));
    let next = target.take();
    assert_eq!(next.head, NEXT);
    assert_ne!(next.key, taken.key);
    target.answers(&next, "late");
    assert!(client.hears().ends_with("late"));
}

#[test]
fn a_second_instance_ends_the_leases_of_the_first() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    let mut other = harness.target("shop");
    assert!(other.welcome());
    assert_eq!(target.reads(&taken, 1), None);
    target.hands_back(&taken, "");
    for _ in 0..3 {
        client.say(GET);
        let (by, next) = match target.try_take() {
            Some(next) => (&mut target, next),
            None => {
                let next = other.take();
                (&mut other, next)
            }
        };
        assert_eq!(next.lease, None);
        by.answers(&next, "either");
        assert!(client.hears().ends_with("either"));
    }
}

#[test]
fn a_client_that_leaves_while_a_request_of_its_takes_long_is_noticed() {
    for at in [At::Received, At::Responding] {
        let harness = setup().start();
        let (client, mut target, taken) = reach(&harness, at);
        harness.advance(seconds(1));
        assert!(!target.is_cancelled(&taken));
        client.leave();
        harness.advance(seconds(2));
        assert!(target.is_cancelled(&taken), "{at:?}");
    }
}

/// As a target does that looks whether its lease stands just before the front ends it.
#[test]
fn a_connection_that_rests_behind_the_end_of_its_lease_comes_back() {
    let harness = setup().start();
    let (mut client, mut target, taken) = reach(&harness, At::Received);
    harness.advance(seconds(1));
    target.answers_and_rests(&taken, "late");
    assert!(client.hears().ends_with("late"));
    harness.advance(seconds(1));
    client.say(NEXT);
    let next = target.take();
    assert_eq!(next.head, NEXT);
    target.answers(&next, "in time");
    assert!(client.hears().ends_with("in time"));
}

#[test]
fn a_client_that_leaves_between_requests_leaves_nothing_behind() {
    let harness = setup().start();
    let (client, mut target, taken) = resting(&harness);
    client.leave();
    target.hands_back(&taken, "");
    harness.advance(A_LITTLE);
    assert!(target.is_closed(&taken));
}

#[test]
fn a_front_that_drains_has_its_connections_back_and_answers_what_comes() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    harness.front().drain();
    harness.advance(A_LITTLE);
    assert!(target.is_closed(&taken));
    assert!(!client.is_over(), "it may have asked already");
    client.say(NEXT);
    let next = target.take();
    assert_eq!(next.lease, None);
    target.answers(&next, "last");
    assert!(client.hears().ends_with("last"));
    harness.advance(seconds(3));
    assert!(client.is_over());
}

#[test]
fn a_front_that_drains_leaves_to_a_target_what_that_has_begun() {
    for at in [At::Reading, At::Received, At::Responding] {
        let harness = setup().start();
        let (mut client, mut target, taken) = reach(&harness, at);
        harness.front().drain();
        harness.advance(A_LITTLE);
        target.begins(&taken);
        target.says_all(&taken, "all");
        target.tells(&taken, "");
        target.hands_back(&taken, "");
        harness.advance(A_LITTLE);
        assert!(client.hears().ends_with("all"), "{at:?}");
        harness.advance(seconds(3));
        assert!(client.is_over(), "{at:?}");
    }
}

#[test]
fn what_a_target_tells_without_a_lease_ends_its_channel() {
    let harness = setup().start();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    let taken = target.take();
    target.says_all(&taken, "one");
    target.tells(&taken, "");
    harness.advance(seconds(2));
    assert!(client.hears().ends_with("one"));
    assert!(client.is_over(), "what it has done is not to be told");
}

#[test]
fn a_target_may_do_without_a_lease_it_is_granted() {
    let harness = setup().start();
    let (mut client, mut target, mut taken) = asked_twice(&harness, GET);
    let mut granted = Vec::new();
    for _ in 0..12 {
        granted.push(taken.lease.is_some());
        target.answers(&taken, "as ever");
        assert!(client.hears().ends_with("as ever"));
        client.say(GET);
        taken = target.take();
    }
    let (yes, no) = (true, false);
    let seldom = [yes, no, no, yes, no, no, no, no, yes, no, no, no];
    assert_eq!(granted, seldom);
}

#[test]
fn nothing_is_granted_where_something_stands_between_two_requests() {
    let others = [
        ("a timeout", r#""Timeout": "00:00:30""#, LEASES),
        (
            "a transform",
            r#""Transforms": [ { "RequestHeader": "a", "Set": "b" } ]"#,
            LEASES,
        ),
        (
            "a response transform",
            r#""Transforms": [ { "ResponseHeader": "a", "Set": "b" } ]"#,
            LEASES,
        ),
        (
            "affinity",
            "",
            r#""SessionAffinity": { "Enabled": true, "AffinityKeyName": "k" },
               "Ostler": { "Leases": true }"#,
        ),
        ("off", "", r#""Ostler": { "Leases": false }"#),
    ];
    for (why, route, cluster) in others {
        let harness = Setup {
            route,
            cluster,
            ..setup()
        }
        .start();
        let (_, _, taken) = asked_twice(&harness, GET);
        assert_eq!(taken.lease, None, "{why}");
    }
}

#[test]
fn nothing_is_granted_with_requests_that_no_lease_would_name() {
    for request in [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: y\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let harness = setup().start();
        let (_, _, taken) = asked_twice(&harness, request);
        assert_eq!(taken.lease, None, "{request}");
    }
}

#[test]
fn nothing_is_granted_while_a_further_request_is_here() {
    let harness = setup().start();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say([GET; 3].concat());
    for last in [false, false, true] {
        let taken = target.take();
        assert_eq!(taken.lease.is_some(), last);
        target.answers(&taken, "");
    }
    assert_eq!(client.hears().matches("HTTP/1.1 200").count(), 3);
}

#[test]
fn a_lease_s_head_that_is_refused_is_refused_by_the_front() {
    let harness = setup().start();
    let (mut client, mut target, taken) = resting(&harness);
    client.say("nonsense\r\n\r\n");
    let read = target.reads(&taken, 1).unwrap();
    target.hands_back(&taken, &read);
    assert_eq!(status(&client.hears()), 400);
}
