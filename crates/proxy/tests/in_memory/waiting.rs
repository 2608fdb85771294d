//! Requests that wait: for an instance to come, to welcome the front, or to take them.

use ostler_test_support::{Harness, Setup};

use crate::{A_LITTLE, GET, seconds, status};

#[test]
fn a_request_waits_two_minutes_in_a_queue() {
    let harness = Harness::delegating();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    assert!(target.welcome());
    harness.advance(seconds(120) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LITTLE * 2);
    assert_eq!(status(&client.hears()), 503);
    assert_eq!(target.try_take(), None);
}

#[test]
fn two_minutes_are_all_there_is_whoever_has_it_meanwhile() {
    let harness = Harness::delegating();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    assert!(target.welcome());
    harness.advance(seconds(60));
    target.dies();
    harness.advance(seconds(30));
    assert_eq!(client.hears(), "");
    harness.advance(seconds(31));
    assert_eq!(status(&client.hears()), 503);
}

#[test]
fn no_queue_is_unavailable_at_once() {
    let harness = Harness::delegating();
    let mut client = harness.client();
    client.say(GET);
    assert_eq!(status(&client.hears()), 503);
    // It is looked for with each request.
    let mut target = harness.target("shop");
    client.say(GET);
    let taken = target.take();
    target.answers(&taken, "here");
    assert!(client.hears().ends_with("\r\n\r\nhere"));
}

#[test]
fn an_instance_that_does_not_welcome_is_asked_again_and_the_request_waits() {
    let harness = Harness::delegating();
    let silent = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    harness.advance(seconds(20));
    assert_eq!(client.hears(), "");
    // Another one comes and does.
    let mut other = harness.target("shop");
    harness.advance(A_LITTLE);
    assert!(other.welcome());
    harness.advance(A_LITTLE);
    let taken = other.take();
    other.answers(&taken, "at last");
    assert!(client.hears().ends_with("\r\n\r\nat last"));
    silent.dies();
}

#[test]
fn what_a_stalled_instance_does_not_take_goes_to_whoever_is_free() {
    let harness = Harness::delegating();
    let (mut stalled, mut free) = (harness.target("shop"), harness.target("shop"));
    let mut clients: Vec<_> = (0..4).map(|_| harness.client()).collect();
    for client in &mut clients {
        client.say(GET);
        stalled.welcome();
        free.welcome();
    }
    // One of the two takes nothing; looks come every few milliseconds.
    let mut answered = 0;
    for _ in 0..20 {
        harness.advance(std::time::Duration::from_millis(5));
        while let Some(taken) = free.try_take() {
            free.answers(&taken, "free");
            answered += 1;
        }
    }
    assert_eq!(answered, 4);
    for client in &mut clients {
        assert!(client.hears().ends_with("\r\n\r\nfree"));
    }
    assert_eq!(stalled.try_take(), None, "nothing is done twice");
}

#[test]
fn a_queue_whose_instance_left_is_waited_for_no_longer_than_it_is_remembered() {
    let harness = Harness::delegating();
    let mut target = harness.target("shop");
    let mut client = harness.client();
    client.say(GET);
    let taken = target.take();
    target.answers(&taken, "first");
    client.hears();
    target.leaves();
    client.say(GET);
    harness.advance(seconds(10) - A_LITTLE);
    assert_eq!(client.hears(), "");
    harness.advance(A_LITTLE * 3);
    assert_eq!(status(&client.hears()), 503);
}

#[test]
fn another_destination_takes_what_the_first_has_no_instance_for() {
    let setup = Setup {
        queues: vec!["shop"],
        destinations: vec!["second"],
        cluster: r#""LoadBalancingPolicy": "FirstAlphabetical""#,
        ..Setup::default()
    };
    let harness = setup.start();
    let destination = harness.destination("second");
    let mut client = harness.client();
    client.say(GET);
    let mut connection = destination.accept();
    connection.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(status(&client.hears()), 204);
}
