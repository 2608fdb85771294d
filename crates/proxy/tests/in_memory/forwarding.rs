//! A destination that closes, is silent or answers early, at each point of an exchange.

use ostler_test_support::{Harness, Setup};

use crate::{A_LITTLE, GET, seconds, status, unanswered};

/// What a destination has said when it closes, and the status of what the client hears of that; 0 where a
/// response has begun and breaks off.
const CLOSES_AFTER: &[(&str, u16)] = &[
    ("", 502),
    ("H", 502),
    ("HTTP/1.1 200 OK\r\n", 502),
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n", 502),
    ("HTTP/1.1 100 Continue\r\n\r\n", 502),
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 0),
    ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", 0),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
        0,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        0,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n",
        0,
    ),
];

#[test]
fn a_destination_that_closes_is_answered_for_until_its_response_begins() {
    for &(said, expected) in CLOSES_AFTER {
        let harness = Harness::forwarding();
        let destination = harness.destination("first");
        let mut client = harness.client();
        client.say(GET);
        let mut connection = destination.accept();
        assert_eq!(connection.hears().matches("GET / ").count(), 1);
        connection.say(said);
        connection.leave();
        let heard = client.hears();
        match expected {
            0 => {
                assert_eq!(status(&heard), 200, "{said:?}");
                assert!(!heard.ends_with("0\r\n\r\n"), "{said:?} looks whole");
                assert!(client.is_over(), "{said:?}");
            }
            expected => {
                assert_eq!(status(&heard), expected, "{said:?}");
                assert!(!client.is_over(), "{said:?}: the client did nothing wrong");
            }
        }
        assert!(destination.try_accept().is_none(), "{said:?}: sent once");
    }
}

#[test]
fn a_request_on_a_used_connection_that_closes_unanswered_goes_out_again() {
    let harness = Harness::forwarding();
    let (destination, mut client, mut connection) = unanswered(&harness);
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&client.hears()), 204);
    // The destination closes in the very moment in which the next request is on its way.
    client.say(GET);
    assert_eq!(connection.hears().matches("GET / ").count(), 1);
    connection.leave();
    let mut again = destination.accept();
    assert_eq!(again.hears().matches("GET / ").count(), 1);
    again.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(status(&client.hears()), 200);
}

#[test]
fn what_could_be_done_twice_does_not_go_out_again() {
    let harness = Harness::forwarding();
    let (destination, mut client, mut connection) = unanswered(&harness);
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&client.hears()), 204);
    client.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    assert!(connection.hears().ends_with("\r\n\r\nab"));
    connection.say("HTTP/1.1 2");
    connection.leave();
    assert_eq!(status(&client.hears()), 502);
    assert!(destination.try_accept().is_none());
}

#[test]
fn a_destination_may_be_silent_for_a_hundred_seconds() {
    let harness = Harness::forwarding();
    let (_destination, mut client, mut connection) = unanswered(&harness);
    harness.advance(seconds(100) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LITTLE * 3);
    assert_eq!(status(&client.hears()), 504);
    assert!(connection.is_over());
    assert!(!client.is_over());
}

#[test]
fn an_interim_response_gives_a_destination_no_more_time() {
    let harness = Harness::forwarding();
    let (_destination, mut client, mut connection) = unanswered(&harness);
    harness.advance(seconds(90));
    connection.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    assert_eq!(status(&client.hears()), 103);
    harness.advance(seconds(11));
    assert_eq!(status(&client.hears()), 504);
    assert!(connection.is_over());
}

#[test]
fn a_response_may_be_silent_for_a_hundred_seconds_between_two_pieces() {
    let harness = Harness::forwarding();
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say(GET);
    let mut connection = destination.accept();
    connection.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(status(&client.hears()), 200);
    for piece in ["1", "2", "3"] {
        harness.advance(seconds(99));
        connection.say(piece);
        assert_eq!(client.hears(), piece);
    }
    harness.advance(seconds(101));
    assert!(client.is_over());
    connection.hears();
    assert!(connection.is_over());
}

#[test]
fn a_clusters_own_activity_timeout_holds_in_its_place() {
    let setup = Setup {
        destinations: vec!["first"],
        cluster: r#""HttpRequest": { "ActivityTimeout": "00:10:00" }"#,
        ..Setup::default()
    };
    let harness = setup.start();
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say(GET);
    let _connection = destination.accept();
    harness.advance(seconds(599));
    assert_eq!(client.hears(), "");
    harness.advance(seconds(2));
    assert_eq!(status(&client.hears()), 504);
}

#[test]
fn a_routes_timeout_ends_what_moves_all_the_time() {
    let setup = Setup {
        destinations: vec!["first"],
        route: r#""Timeout": "00:00:30""#,
        ..Setup::default()
    };
    let harness = setup.start();
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say(GET);
    let mut connection = destination.accept();
    connection.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..29 {
        harness.advance(seconds(1));
        connection.say("1\r\nx\r\n");
    }
    assert!(client.hears().ends_with("1\r\nx\r\n"));
    harness.advance(seconds(1) + A_LITTLE);
    assert!(client.is_over());
}

#[test]
fn a_routes_timeout_before_a_response_is_said_with_its_status() {
    let setup = Setup {
        destinations: vec!["first"],
        route: r#""Timeout": "00:00:30""#,
        ..Setup::default()
    };
    let harness = setup.start();
    let (_destination, mut client, mut connection) = unanswered(&harness);
    harness.advance(seconds(30) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LITTLE * 2);
    assert_eq!(status(&client.hears()), 504);
    assert!(connection.is_over());
}

#[test]
fn a_pooled_connection_is_kept_for_its_idle_time() {
    let setup = Setup {
        destinations: vec!["first"],
        ..Setup::default()
    };
    let harness = setup.start();
    let (_destination, mut client, mut connection) = unanswered(&harness);
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&client.hears()), 204);
    // A minute (SocketsHttpHandler's PooledConnectionIdleTimeout), looked at once a second.
    harness.advance(seconds(59));
    assert!(!connection.is_over());
    harness.advance(seconds(3));
    assert!(connection.is_over());
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"] {
        let harness = Harness::forwarding();
        let (_destination, mut client, mut connection) = unanswered(&harness);
        connection.say(said);
        client.hears();
        client.leave();
        harness.advance(seconds(2));
        assert!(connection.is_over(), "{said:?}");
    }
}

#[test]
fn a_client_that_takes_nothing_holds_the_response_and_then_loses_it() {
    let harness = Harness::forwarding();
    let (_destination, mut client, mut connection) = unanswered(&harness);
    connection.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    let piece = vec![b'x'; 1 << 20];
    let mut held = 0;
    while connection.say_what_fits(&piece) == piece.len() {
        held += piece.len();
        assert!(held < 16 << 20, "the front takes what its client does not");
    }
    harness.advance(seconds(99));
    assert_ne!(client.hears_bytes(1 << 16).len(), 0, "still there");
    harness.advance(seconds(99));
    connection.say_what_fits(&piece);
    harness.advance(seconds(3));
    assert!(connection.say_what_fits(&piece) < piece.len());
    while !client.hears_bytes(1 << 20).is_empty() {}
    assert!(client.is_over());
}

#[test]
fn no_connection_opens_and_the_next_destination_is_asked() {
    let setup = Setup {
        destinations: vec!["first", "second"],
        cluster: r#""LoadBalancingPolicy": "FirstAlphabetical""#,
        ..Setup::default()
    };
    let harness = setup.start();
    let second = harness.destination("second");
    let mut client = harness.client();
    client.say(GET);
    let mut connection = second.accept();
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&client.hears()), 204);
}
