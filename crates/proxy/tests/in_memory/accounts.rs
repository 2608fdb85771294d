//! Each exchange is told of once when it is over, whoever answered it and however it ended.

use ostler_delegation::Disposition;
use ostler_proxy::{ForwarderError, Mode};
use ostler_test_support::{End, Harness, Taken, Target};

use crate::{A_LITTLE, GET, seconds, unanswered};

/// What is told: the way, the status that the client was given (0 for nothing), and the error.
type Told = (Mode, u16, Option<ForwarderError>);

#[track_caller]
fn is_told(harness: &Harness, expected: &[Told]) {
    let told = harness.told();
    let told: Vec<_> = told
        .iter()
        .map(|outcome| (outcome.mode, outcome.status, outcome.error))
        .collect();
    assert_eq!(told, expected);
}

/// A client whose request is with a target.
fn with_a_target(harness: &Harness) -> (End, Target, Taken) {
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    let taken = target.take();
    (client, target, taken)
}

#[test]
fn a_delegated_exchange_is_told_of_by_its_target() {
    let harness = Harness::delegating();
    let (_client, mut target, taken) = with_a_target(&harness);
    is_told(&harness, &[]);
    target.answers(&taken, "yes");
    harness.advance(seconds(2));
    is_told(&harness, &[(Mode::Delegated, 200, None)]);
}

#[test]
fn a_target_tells_of_the_exchange_of_a_client_that_is_gone() {
    let harness = Harness::delegating();
    let (client, target, taken) = with_a_target(&harness);
    client.leave();
    harness.advance(seconds(2));
    is_told(&harness, &[]);
    target.completes(&taken, Disposition::Close);
    harness.advance(seconds(2));
    is_told(&harness, &[(Mode::Delegated, 200, None)]);
}

#[test]
fn an_exchange_that_neither_client_nor_target_outlives_is_told_of_as_canceled() {
    let harness = Harness::delegating();
    let (client, target, _) = with_a_target(&harness);
    client.leave();
    harness.advance(seconds(2));
    target.dies();
    harness.advance(seconds(2));
    let canceled = Some(ForwarderError::RequestCanceled);
    is_told(&harness, &[(Mode::Delegated, 0, canceled)]);
}

#[test]
fn what_the_front_answers_in_a_targets_place_is_told_of_as_its_own() {
    let harness = Harness::delegating();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    target.take();
    target.dies();
    harness.advance(A_LITTLE);
    assert!(client.hears().starts_with("HTTP/1.1 503 "));
    is_told(
        &harness,
        &[(Mode::Local, 503, Some(ForwarderError::Request))],
    );
}

#[test]
fn a_response_that_a_dead_target_leaves_unfinished_is_told_of_as_the_targets() {
    let harness = Harness::delegating();
    let (client, mut target, taken) = with_a_target(&harness);
    target.says(&taken, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    target.dies();
    harness.advance(A_LITTLE);
    drop(client);
    let broken = Some(ForwarderError::ResponseBodyDestination);
    is_told(&harness, &[(Mode::Delegated, 0, broken)]);
}

#[test]
fn a_client_that_leaves_the_line_is_told_of() {
    let harness = Harness::delegating();
    // Its instance was there, so requests wait for another one.
    let (mut client, mut target, taken) = with_a_target(&harness);
    target.answers(&taken, "yes");
    client.hears();
    target.dies();
    client.say(GET);
    harness.advance(A_LITTLE);
    let answered = (Mode::Delegated, 200, None);
    is_told(&harness, &[answered]);
    client.leave();
    harness.advance(seconds(2));
    let canceled = Some(ForwarderError::RequestCanceled);
    is_told(&harness, &[answered, (Mode::Local, 0, canceled)]);
}

#[test]
fn a_forwarded_exchange_is_told_of_with_the_time_of_its_first_byte() {
    let harness = Harness::forwarding();
    let (_destination, mut client, mut connection) = unanswered(&harness);
    connection.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert!(client.hears().ends_with("ok"));
    let told = harness.told();
    let [outcome] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((outcome.mode, outcome.status), (Mode::Forwarded, 200));
    assert!(
        outcome
            .first_byte
            .is_some_and(|first| first <= outcome.duration)
    );
}

#[test]
fn forwarded_exchanges_that_fail_are_told_of_as_such() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say(GET);
    destination.accept().leave();
    assert!(client.hears().starts_with("HTTP/1.1 502 "));
    client.say(GET);
    let mut connection = destination.accept();
    connection.hears();
    client.leave();
    is_told(
        &harness,
        &[
            (Mode::Forwarded, 502, Some(ForwarderError::Request)),
            (Mode::Forwarded, 0, Some(ForwarderError::RequestCanceled)),
        ],
    );
}

#[test]
fn what_is_no_request_is_told_of() {
    let harness = Harness::forwarding();
    for (said, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
        ("GET / HTTP/7.1\r\nHost: x\r\n\r\n", 505),
    ] {
        let mut client = harness.client();
        client.say(said);
        client.hears();
        client.leave();
        harness.advance(seconds(1));
        let told = harness.told();
        let last = told.last().map(|outcome| (outcome.mode, outcome.status));
        assert_eq!(last, Some((Mode::Local, status)), "{said:?}");
    }
    assert_eq!(harness.told().len(), 2);
}
