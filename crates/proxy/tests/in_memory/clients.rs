//! How long a client may take, between requests and for a head.

use ostler_test_support::Harness;

use crate::{A_LITTLE, A_LOOK, GET, seconds, status};

#[test]
fn a_head_that_has_begun_has_thirty_seconds() {
    let harness = Harness::forwarding();
    let mut client = harness.client();
    client.say("GET / HT");
    harness.advance(seconds(30) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LOOK);
    assert_eq!(status(&client.hears()), 408);
    client.end();
    assert!(client.is_over());
}

#[test]
fn a_head_that_comes_byte_by_byte_has_no_more() {
    let harness = Harness::forwarding();
    let mut client = harness.client();
    for byte in "GET /aaaaaaaaaaaaaaaaaaaaaaaaa".bytes().take(29) {
        client.say([byte]);
        harness.advance(seconds(1));
    }
    assert_eq!(client.hears(), "");
    client.say("a");
    harness.advance(seconds(1) + A_LOOK);
    assert_eq!(status(&client.hears()), 408);
}

#[test]
fn the_clock_of_a_head_begins_with_its_first_byte() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let mut client = harness.client();
    harness.advance(seconds(100));
    client.say("GET / HTTP/1.1\r\n");
    harness.advance(seconds(29));
    client.say("Host: x\r\n\r\n");
    let mut connection = destination.accept();
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&client.hears()), 204);
}

#[test]
fn empty_lines_before_a_request_do_not_prolong_its_head() {
    let harness = Harness::forwarding();
    let mut client = harness.client();
    client.say("\r\n");
    harness.advance(seconds(29));
    client.say("\r\nGET / HTTP/1.1\r\n");
    harness.advance(seconds(2));
    assert_eq!(status(&client.hears()), 408);
}

#[test]
fn an_idle_connection_ends_after_two_minutes_without_a_word() {
    let harness = Harness::forwarding();
    let mut client = harness.client();
    harness.advance(seconds(120) - A_LITTLE);
    assert!(!client.is_over());
    harness.advance(A_LOOK);
    assert!(client.is_over());
}

#[test]
fn each_exchange_gives_a_connection_two_minutes_more() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let mut client = harness.client();
    for _ in 0..3 {
        harness.advance(seconds(119));
        client.say(GET);
        let mut connection = destination.accept();
        connection.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
        assert!(client.hears().ends_with("\r\n\r\nx"));
    }
    harness.advance(seconds(119));
    assert!(!client.is_over());
    harness.advance(seconds(2));
    assert!(client.is_over());
}

#[test]
fn a_preface_of_http2_that_stops_halfway_is_a_head_that_takes_too_long() {
    let harness = Harness::forwarding();
    let mut client = harness.client();
    client.say("PRI * HTTP/2.0\r\n\r\nS");
    harness.advance(seconds(29));
    assert_eq!(client.hears(), "");
    harness.advance(A_LOOK * 2);
    assert_eq!(status(&client.hears()), 408);
}

#[test]
fn a_stopping_front_waits_a_second_for_the_first_request_of_a_connection() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let (mut prompt, mut late) = (harness.client(), harness.client());
    harness.front().drain();
    harness.advance(A_LITTLE);
    prompt.say(GET);
    let mut connection = destination.accept();
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    let heard = prompt.hears();
    assert_eq!(status(&heard), 204);
    assert!(heard.to_ascii_lowercase().contains("connection: close"));
    assert!(!late.is_over());
    harness.advance(seconds(1));
    assert!(late.is_over());
}

#[test]
fn a_stopping_front_ends_an_idle_connection_at_once_and_answers_what_is_under_way() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let (mut idle, mut busy) = (harness.client(), harness.client());
    idle.say(GET);
    let mut connection = destination.accept();
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&idle.hears()), 204);
    harness.advance(seconds(1));
    busy.say(GET);
    harness.front().drain();
    harness.advance(A_LITTLE);
    assert!(idle.is_over());
    harness.advance(seconds(60));
    assert!(connection.hears().contains("GET / HTTP/1.1\r\n"));
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&busy.hears()), 204);
}

#[test]
fn a_stopping_front_waits_a_second_for_the_next_request_of_a_connection_in_use() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let mut clients = [harness.client(), harness.client()];
    let mut connection = None;
    for client in &mut clients {
        client.say(GET);
        let connection = connection.get_or_insert_with(|| destination.accept());
        connection.say("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(status(&client.hears()), 204);
    }
    let [mut prompt, mut late] = clients;
    harness.front().drain();
    harness.advance(A_LITTLE);
    prompt.say(GET);
    connection.unwrap().say("HTTP/1.1 204 No Content\r\n\r\n");
    let heard = prompt.hears();
    assert_eq!(status(&heard), 204);
    assert!(heard.to_ascii_lowercase().contains("connection: close"));
    assert!(!late.is_over());
    harness.advance(seconds(1) + A_LITTLE);
    assert!(late.is_over());
}
