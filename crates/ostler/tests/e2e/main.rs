//! End to end: real processes (this program as front and targets), real sockets, real signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
#![expect(clippy::disallowed_methods, reason = "a test's patience is real time")]

mod support;

mod basics;
mod command_line;
mod destinations;
mod failures;
mod forwarding;
mod hostile;
mod http;
mod leaks;
mod malformed;
mod relay;
mod routing;
mod transforms;
mod upgrades;
