//! Bodies that are half sent when something happens.

use ostler_test_support::{End, Harness};

use crate::{A_LITTLE, seconds, status};

const CHUNKED: &str =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
const WITH_LENGTH: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabcde";

/// A client that has sent half of a body, and the destination that has received that.
fn half_sent(harness: &Harness, request: &str) -> (End, End) {
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say(request);
    let mut connection = destination.accept();
    let heard = connection.hears();
    assert!(heard.contains("abcde"), "{heard:?}");
    (client, connection)
}

#[test]
fn a_body_that_turns_out_malformed_is_a_bad_request_and_is_not_whole_for_the_destination() {
    let harness = Harness::forwarding();
    let (mut client, mut connection) = half_sent(&harness, CHUNKED);
    client.say("nonsense\r\n");
    assert_eq!(status(&client.hears()), 400);
    assert_eq!(connection.hears(), "");
    assert!(connection.is_over());
    client.end();
    harness.advance(seconds(3));
    assert!(client.is_over());
}

#[test]
fn a_body_that_ends_with_its_clients_stream_breaks_off() {
    for request in [CHUNKED, WITH_LENGTH] {
        let harness = Harness::forwarding();
        let (mut client, mut connection) = half_sent(&harness, request);
        client.end();
        harness.advance(A_LITTLE);
        assert_eq!(connection.hears(), "", "{request:?}");
        assert!(connection.is_over(), "{request:?}");
    }
}

#[test]
fn a_client_that_leaves_within_its_body_breaks_it_off() {
    for request in [CHUNKED, WITH_LENGTH] {
        let harness = Harness::forwarding();
        let (client, mut connection) = half_sent(&harness, request);
        client.leave();
        harness.advance(A_LITTLE);
        assert_eq!(connection.hears(), "", "{request:?}");
        assert!(connection.is_over(), "{request:?}");
    }
}

#[test]
fn an_answer_before_the_bodys_end_reaches_the_client_and_the_rest_the_destination() {
    let harness = Harness::forwarding();
    let (mut client, mut connection) = half_sent(&harness, WITH_LENGTH);
    connection.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let heard = client.hears();
    assert_eq!(status(&heard), 200);
    assert!(heard.ends_with("\r\n\r\nok"));
    client.say("fghij");
    assert_eq!(connection.hears(), "fghij");
}

#[test]
fn a_refusal_before_the_bodys_end_reaches_the_client_and_nothing_more_the_destination() {
    let harness = Harness::forwarding();
    let (mut client, mut connection) = half_sent(&harness, WITH_LENGTH);
    connection.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&client.hears()), 403);
    client.say("fghij");
    assert_eq!(connection.hears(), "");
}

#[test]
fn a_destination_that_answers_and_closes_is_heard_out() {
    let harness = Harness::forwarding();
    let (mut client, mut connection) = half_sent(&harness, WITH_LENGTH);
    connection
        .say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    connection.leave();
    let heard = client.hears();
    assert_eq!(status(&heard), 413);
    assert!(heard.ends_with("\r\n\r\nbig"));
}

#[test]
fn a_destination_that_closes_within_the_body_is_a_bad_gateway() {
    for request in [CHUNKED, WITH_LENGTH] {
        let harness = Harness::forwarding();
        let (mut client, connection) = half_sent(&harness, request);
        connection.leave();
        assert_eq!(status(&client.hears()), 502, "{request:?}");
    }
}

#[test]
fn each_piece_of_a_body_gives_its_exchange_a_hundred_seconds_more() {
    let harness = Harness::forwarding();
    let (mut client, mut connection) = half_sent(&harness, WITH_LENGTH);
    for piece in ["f", "g", "h", "i", "j"] {
        harness.advance(seconds(99));
        client.say(piece);
        assert_eq!(connection.hears(), piece);
    }
    harness.advance(seconds(99));
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&client.hears()), 204);
}

#[test]
fn a_body_that_stays_away_for_a_hundred_seconds_is_its_clients_fault() {
    let harness = Harness::forwarding();
    let (mut client, mut connection) = half_sent(&harness, WITH_LENGTH);
    harness.advance(seconds(100) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LITTLE * 3);
    assert_eq!(status(&client.hears()), 408);
    assert!(connection.is_over());
}

#[test]
fn a_body_held_back_is_asked_for_after_a_second() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let mut connection = destination.accept();
    assert!(connection.hears().ends_with("\r\n\r\n"));
    harness.advance(seconds(1) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LITTLE * 2);
    assert_eq!(status(&client.hears()), 100);
    client.say("abcde");
    assert_eq!(connection.hears(), "abcde");
}

#[test]
fn a_body_held_back_is_never_asked_for_once_the_answer_is_there() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let mut connection = destination.accept();
    harness.advance(seconds(1) - A_LITTLE);
    connection.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(status(&client.hears()), 401);
    harness.advance(seconds(5));
    assert_eq!(client.hears(), "");
}
