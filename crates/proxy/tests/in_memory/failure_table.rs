//! The failure table of delegated exchanges, row by row: what a target has said when something happens, and
//! what becomes of the request. The table stands in `delegation/verdict.rs`.

use ostler_delegation::Disposition;
use ostler_test_support::{End, Harness, Setup, Taken, Target};

use crate::stage::Stage;
use crate::{A_LITTLE, GET, seconds, status};

const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";

/// A request that a target is that far with.
fn with_a_target(harness: &Harness, request: &str, stage: Stage) -> (End, Target, Taken) {
    stage.reach(harness, request, |target, taken| {
        target.says(taken, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    })
}

/// What a client is told when the target dies: by another target, or the status of the front.
const DEATHS: &[(&str, Stage, Option<u16>)] = &[
    (GET, Stage::Queued, None),
    (GET, Stage::Received, None),
    (POST, Stage::Queued, None),
    (POST, Stage::Received, Some(503)),
    (POST, Stage::BodyRead, Some(503)),
];

#[test]
fn what_a_dead_target_had_not_begun_another_one_does_and_nothing_twice() {
    for &(request, stage, expected) in DEATHS {
        let harness = Harness::delegating();
        let (mut client, target, taken) = with_a_target(&harness, request, stage);
        let mut other = harness.target("shop");
        target.dies();
        harness.advance(A_LITTLE);
        let row = format!("{request:?} {stage:?}");
        match expected {
            Some(expected) => {
                assert_eq!(status(&client.hears()), expected, "{row}");
                assert_eq!(other.try_take(), None, "{row}");
            }
            None => {
                let again = other.take();
                assert_eq!(
                    (again.head, again.prefix),
                    (taken.head, taken.prefix),
                    "{row}"
                );
                let again = Taken {
                    head: String::new(),
                    prefix: Vec::new(),
                    key: again.key,
                    lease: None,
                };
                other.answers(&again, "once");
                assert!(client.hears().ends_with("\r\n\r\nonce"), "{row}");
            }
        }
    }
}

#[test]
fn what_a_dead_target_had_begun_to_answer_is_cut_off() {
    let harness = Harness::delegating();
    let (mut client, target, _) = with_a_target(&harness, GET, Stage::Responding);
    let mut other = harness.target("shop");
    target.dies();
    harness.advance(A_LITTLE);
    assert!(client.hears().ends_with("\r\n\r\nab"));
    assert!(client.is_over());
    assert_eq!(other.try_take(), None);
}

#[test]
fn what_a_dead_target_had_not_begun_waits_where_no_other_is() {
    let harness = Harness::delegating();
    let (mut client, target, _) = with_a_target(&harness, GET, Stage::Received);
    target.dies();
    harness.advance(seconds(5));
    assert_eq!(client.hears(), "");
    let mut next = harness.target("shop");
    harness.advance(A_LITTLE);
    let taken = next.take();
    next.answers(&taken, "late");
    assert!(client.hears().ends_with("\r\n\r\nlate"));
}

#[test]
fn a_client_that_leaves_is_withdrawn_or_cancelled() {
    for stage in [Stage::Received, Stage::BodyRead, Stage::Responding] {
        let harness = Harness::delegating();
        let (client, mut target, taken) = with_a_target(&harness, GET, stage);
        assert!(!target.is_cancelled(&taken), "{stage:?}");
        client.leave();
        harness.advance(seconds(2));
        assert!(target.is_cancelled(&taken), "{stage:?}");
    }
}

#[test]
fn the_request_of_a_client_that_left_before_it_was_taken_is_not_begun() {
    let harness = Harness::delegating();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    assert!(target.welcome());
    client.leave();
    harness.advance(seconds(2));
    assert_eq!(target.try_take(), None);
}

#[test]
fn a_request_that_is_given_back_goes_to_another_target() {
    let harness = Harness::delegating();
    let (mut client, target, taken) = with_a_target(&harness, POST, Stage::Received);
    let mut other = harness.target("shop");
    target.completes(&taken, Disposition::Returned);
    harness.advance(A_LITTLE);
    let mut target = target;
    let (taken, by) = match other.try_take() {
        Some(taken) => (taken, &mut other),
        None => (target.take(), &mut target),
    };
    by.answers(&taken, "once");
    assert!(client.hears().ends_with("\r\n\r\nonce"));
}

#[test]
fn a_completion_that_keeps_the_connection_lets_the_next_request_through() {
    let harness = Harness::delegating();
    let (mut client, mut target, taken) = with_a_target(&harness, GET, Stage::Received);
    client.say(GET);
    assert_eq!(
        target.try_pop(),
        None,
        "pipelined requests keep their order"
    );
    target.answers(&taken, "one");
    let next = target.take();
    target.answers(&next, "two");
    let heard = client.hears();
    assert!(
        heard.contains("\r\n\r\none") && heard.ends_with("\r\n\r\ntwo"),
        "{heard:?}"
    );
}

#[test]
fn a_completion_that_closes_ends_the_connection() {
    let harness = Harness::delegating();
    let (mut client, target, taken) = with_a_target(&harness, GET, Stage::Responding);
    assert!(client.hears().ends_with("ab"));
    assert!(!client.is_over());
    target.completes(&taken, Disposition::Close);
    harness.advance(A_LITTLE);
    assert!(client.is_over());
}

#[test]
fn a_detached_connection_is_the_targets_and_survives_the_front() {
    let harness = Harness::delegating();
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n";
    let (mut client, mut target, taken) = with_a_target(&harness, upgrade, Stage::Received);
    target.says(
        &taken,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n",
    );
    target.completes(&taken, Disposition::Detached);
    assert_eq!(status(&client.hears()), 101);
    harness.front().stop();
    harness.advance(seconds(5));
    target.says(&taken, "still here");
    assert_eq!(client.hears(), "still here");
}

fn with_a_timeout() -> Harness {
    let setup = Setup {
        queues: vec!["shop"],
        route: r#""Timeout": "00:00:30""#,
        ..Setup::default()
    };
    setup.start()
}

#[test]
fn a_timeout_takes_a_request_back_that_no_target_has_taken() {
    let harness = with_a_timeout();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    assert!(target.welcome());
    harness.advance(seconds(30) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LITTLE * 2);
    assert_eq!(status(&client.hears()), 504);
    assert_eq!(target.try_take(), None, "it is not begun after all");
    assert!(!client.is_over());
}

#[test]
fn a_target_has_two_seconds_to_say_that_a_timeout_is_over() {
    for stage in [Stage::Received, Stage::BodyRead, Stage::Responding] {
        let harness = with_a_timeout();
        let (mut client, mut target, taken) = with_a_target(&harness, GET, stage);
        client.hears();
        harness.advance(seconds(31));
        assert!(!client.is_over(), "{stage:?}");
        assert!(!target.is_cancelled(&taken), "{stage:?}");
        harness.advance(seconds(2));
        assert!(client.is_over(), "{stage:?}");
        assert!(target.is_cancelled(&taken), "{stage:?}");
    }
}
