//! End to end: real processes (this program as front and targets), real sockets, real signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
#![expect(clippy::disallowed_methods, reason = "a test's patience is real time")]

mod support;

mod affinity;
mod authorization;
mod basics;
mod body_limits;
mod command_line;
mod cors;
mod delegation_rules;
mod destinations;
mod endpoints;
mod failures;
mod forwarding;
mod health;
mod hostile;
mod http;
mod kernel_tls;
mod leaks;
mod malformed;
mod mistakes;
mod rate_limiter;
mod relay;
mod reload;
mod routing;
mod timeouts;
mod tls;
mod transforms;
mod upgrades;
