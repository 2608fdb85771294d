//! Exchanges as streams, of which the target by hand says every entry: the failure table's rows, a slow reader
//! beside others, and targets that keep to nothing.
//!
//! A client of HTTP/1.1 in clear text is a stream's where the route's transforms do not fit into an entry.

use ostler_delegation::Disposition;
use ostler_test_support::{End, Harness, Setup, Taken, Target};

use crate::stage::Stage;
use crate::{A_LITTLE, GET, seconds, status};

const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";

/// A front whose exchanges are all streams; `keys` are further ones of the route.
fn streaming(keys: &str) -> Harness {
    let long = "v".repeat(20_000);
    let transforms =
        format!(r#""Transforms": [ {{ "ResponseHeader": "X-Long", "Set": "{long}" }} ] {keys}"#);
    let setup = Setup {
        queues: vec!["shop"],
        route: transforms.leak(),
        ..Setup::default()
    };
    setup.start()
}

/// A request that a target is that far with.
fn with_a_target(harness: &Harness, request: &str, stage: Stage) -> (End, Target, Taken) {
    stage.reach(harness, request, |target, taken| {
        target.streams_head(taken, 200, "begun", false);
    })
}

/// What a client is told when the target dies: by another target, or the status of the front.
const DEATHS: &[(&str, Stage, Option<u16>)] = &[
    (GET, Stage::Queued, None),
    (GET, Stage::Received, None),
    (POST, Stage::Queued, None),
    (PUT, Stage::Received, None),
    (POST, Stage::Received, Some(503)),
    (PUT, Stage::BodyRead, Some(503)),
];

#[test]
fn what_a_dead_target_had_not_begun_another_one_does_with_all_of_its_body() {
    for &(request, stage, expected) in DEATHS {
        let row = format!("{request:?} {stage:?}");
        let harness = streaming("");
        let (mut client, mut target, taken) = with_a_target(&harness, request, stage);
        let body = target.body(&taken);
        assert_eq!(body.len(), if request == GET { 0 } else { 2 }, "{row}");
        let mut other = harness.target("shop");
        target.dies();
        harness.advance(A_LITTLE);
        match expected {
            Some(expected) => {
                assert_eq!(status(&client.hears()), expected, "{row}");
                assert_eq!(other.try_take(), None, "{row}");
            }
            None => {
                let again = other.take();
                assert_eq!(again.head, taken.head, "{row}");
                assert_eq!(other.body(&again), body, "{row}");
                other.streams_whole(&again, "once");
                let heard = client.hears();
                assert!(heard.contains("once"), "{row}: {heard:?}");
                assert_eq!(status(&heard), 200);
            }
        }
    }
}

#[test]
fn what_a_dead_target_had_begun_to_answer_is_cut_off() {
    let harness = streaming("");
    let (mut client, target, _) = with_a_target(&harness, GET, Stage::Responding);
    let mut other = harness.target("shop");
    target.dies();
    harness.advance(A_LITTLE);
    let heard = client.hears();
    assert!(
        heard.contains("begun") && !heard.ends_with("0\r\n\r\n"),
        "{heard:?}"
    );
    assert!(client.is_over());
    assert_eq!(other.try_take(), None);
}

#[test]
fn what_a_dead_target_had_not_begun_waits_where_no_other_is() {
    for request in [GET, PUT] {
        let harness = streaming("");
        let (mut client, target, _) = with_a_target(&harness, request, Stage::Received);
        target.dies();
        harness.advance(seconds(5));
        assert_eq!(client.hears(), "");
        let mut next = harness.target("shop");
        harness.advance(A_LITTLE);
        let taken = next.take();
        next.streams_whole(&taken, "late");
        assert!(client.hears().contains("late"), "{request:?}");
    }
}

#[test]
fn a_request_that_is_given_back_goes_to_another_target() {
    for request in [GET, POST] {
        let harness = streaming("");
        let (mut client, mut target, taken) = with_a_target(&harness, request, Stage::Received);
        let mut other = harness.target("shop");
        target.completes(&taken, Disposition::Returned);
        harness.advance(A_LITTLE);
        let (taken, by) = match other.try_take() {
            Some(taken) => (taken, &mut other),
            None => (target.take(), &mut target),
        };
        assert_eq!(by.body(&taken).len(), if request == GET { 0 } else { 2 });
        by.streams_whole(&taken, "once");
        assert!(client.hears().contains("once"));
    }
}

#[test]
fn a_request_whose_body_is_half_sent_goes_to_another_target_with_all_that_was_sent() {
    const HALF: &str = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab";
    for dies in [false, true] {
        let harness = streaming("");
        let (mut client, mut target, taken) = with_a_target(&harness, HALF, Stage::Received);
        assert_eq!(target.body(&taken), b"ab");
        let mut other = harness.target("shop");
        let mut first = None;
        if dies {
            target.dies();
        } else {
            target.completes(&taken, Disposition::Returned);
            first = Some(target);
        }
        harness.advance(A_LITTLE);
        let (taken, mut by) = match (other.try_take(), first) {
            (Some(taken), _) => (taken, other),
            (None, Some(mut first)) => (first.take(), first),
            (None, None) => panic!("no target has it"),
        };
        client.say("cd");
        harness.advance(A_LITTLE);
        assert_eq!(by.body(&taken), b"abcd");
        by.streams_whole(&taken, "once");
        assert!(client.hears().contains("once"));
    }
}

#[test]
fn a_client_that_leaves_is_withdrawn_or_cancelled() {
    for stage in [Stage::Received, Stage::BodyRead, Stage::Responding] {
        let harness = streaming("");
        let (client, mut target, taken) = with_a_target(&harness, GET, stage);
        assert!(!target.is_cancelled(&taken), "{stage:?}");
        client.leave();
        harness.advance(seconds(2));
        assert!(target.is_cancelled(&taken), "{stage:?}");
    }
    let harness = streaming("");
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    assert!(target.welcome());
    client.leave();
    harness.advance(seconds(2));
    assert_eq!(target.try_take(), None, "it is not begun");
}

#[test]
fn a_request_that_no_target_takes_is_answered_when_it_has_waited() {
    let harness = streaming("");
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    assert!(target.welcome());
    harness.advance(seconds(119));
    assert_eq!(client.hears(), "");
    harness.advance(seconds(2));
    assert_eq!(status(&client.hears()), 503);
    assert_eq!(target.try_take(), None, "it is not begun after all");
}

#[test]
fn a_timeout_cancels_a_stream() {
    for stage in [Stage::Queued, Stage::Received, Stage::BodyRead] {
        let harness = streaming(r#", "Timeout": "00:00:30""#);
        let (mut client, mut target, taken) = with_a_target(&harness, GET, stage);
        harness.advance(seconds(30) - A_LITTLE);
        assert_eq!(client.hears(), "", "{stage:?}");
        harness.advance(A_LITTLE * 2);
        assert_eq!(status(&client.hears()), 504, "{stage:?}");
        if !matches!(stage, Stage::Queued) {
            assert!(target.is_cancelled(&taken), "{stage:?}");
        }
    }
}

/// What a target may send of a body before credit comes.
const WINDOW: usize = 64 * 1024;

#[test]
fn a_client_that_takes_nothing_holds_its_window_and_nobody_up() {
    let harness = streaming("");
    let (_slow, mut target, taken) = with_a_target(&harness, GET, Stage::Responding);
    let piece = [b'x'; 16 * 1024];
    // What its socket takes, and the window behind it.
    let mut sent = 5;
    let mut credit = WINDOW - 5;
    while credit > 0 {
        let part = piece.len().min(credit);
        assert!(target.streams(&taken, &piece[..part], false));
        sent += part;
        credit = credit - part + target.credit(&taken);
        assert!(sent < 64 * 1024 * 1024, "nothing holds the target back");
    }
    for _ in 0..20 {
        let mut quick = harness.client();
        quick.say(GET);
        let asked = target.take();
        target.streams_whole(&asked, "quick");
        assert!(quick.hears().contains("quick"));
    }
}

#[test]
fn a_target_that_sends_more_than_it_has_credit_for_is_let_go_of() {
    let harness = streaming("");
    let (mut client, target, taken) = with_a_target(&harness, GET, Stage::Responding);
    let piece = vec![b'x'; 60 * 1024];
    for _ in 0..2000 {
        if !target.streams(&taken, &piece, false) {
            break;
        }
    }
    harness.advance(A_LITTLE);
    while !client.hears_bytes(1 << 20).is_empty() {}
    assert!(client.is_over(), "the response is cut off");
    // Its requests go to others from now on.
    let mut other = harness.target("shop");
    let mut next = harness.client();
    next.say(GET);
    harness.advance(A_LITTLE);
    let asked = other.take();
    other.streams_whole(&asked, "well");
    assert!(next.hears().contains("well"));
}
