//! Everything around a front in one process and one thread, without ports: clients, destinations and targets
//! whose every move is the test's, and a clock that stands still until the test sets it.
//!
//! ```
//! use std::time::Duration;
//! use ostler_test_support::Harness;
//!
//! // One cluster of one destination, behind one route for everything.
//! let harness = Harness::forwarding();
//! let destination = harness.destination("first");
//! let mut client = harness.client();
//! client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
//! let mut connection = destination.accept();
//! assert!(connection.hears().starts_with("GET / HTTP/1.1\r\n"));
//! // It does not answer, for a hundred seconds.
//! harness.advance(Duration::from_secs(99));
//! assert_eq!(client.hears(), "");
//! harness.advance(Duration::from_secs(2));
//! assert!(client.hears().starts_with("HTTP/1.1 504 "));
//! ```
//!
//! Sockets lie in a temporary folder; what is said over them is there at once, so "nothing was said" is as
//! certain as anything else. Each move runs the front until it has nothing left to do.
#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    reason = "whatever does not go as the test says ends the test"
)]

mod destination;
mod end;
mod harness;
mod target;

pub use destination::Destination;
pub use end::End;
pub use harness::{Harness, Setup};
pub use target::{Taken, Target};
