//! Rows that real processes reach by chance only: where an exchange is when something happens is each test's
//! choice, and so is the time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod accounts;
mod clients;
mod failure_table;
mod forwarding;
mod leases;
mod stage;
mod streams;
mod uploads;
mod waiting;

use std::time::Duration;

use ostler_test_support::{Destination, End, Harness};

/// So many seconds.
const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Less than anything is measured by.
const A_LITTLE: Duration = Duration::from_millis(200);

/// Until a front has looked at its idle connections, which it does once a second.
const A_LOOK: Duration = Duration::from_millis(1300);

/// A request without a body.
const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// The status of the one response in what a client has heard.
#[track_caller]
fn status(heard: &str) -> u16 {
    let (version, rest) = heard.split_at_checked(9).unwrap_or((heard, ""));
    assert_eq!(
        version, "HTTP/1.1 ",
        "a response begins otherwise: {heard:?}"
    );
    assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{heard:?}");
    rest[..3].parse().unwrap()
}

/// A destination, a client, and the connection over which the destination has got the client's request, which it has
/// not answered.
fn unanswered(harness: &Harness) -> (Destination, End, End) {
    let destination = harness.destination("first");
    let mut client = harness.client();
    client.say(GET);
    let mut connection = destination.accept();
    connection.hears();
    (destination, client, connection)
}
