//! End to end: real processes (this program as front and targets), real sockets, real signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
#![expect(clippy::disallowed_methods, reason = "a test's patience is real time")]

mod support;

mod affinity;
mod authorization;
mod basics;
mod body_limits;
mod certificates;
mod check_reports;
mod command_line;
mod connect_info;
mod cors;
mod cut_off;
mod delegation_rules;
mod destinations;
mod endpoints;
mod environment;
mod failures;
mod forwarder_errors;
mod forwarding;
mod gone_clients;
mod grpc;
mod health;
mod hostile;
mod http;
mod http2;
mod http_client;
mod interim;
mod kernel_tls;
mod leaks;
mod limits;
mod load_balancing;
mod local_users;
mod logs;
mod malformed;
mod mistakes;
mod one_form;
mod outcomes;
mod own_program;
mod pools;
mod rate_limiter;
mod relay;
mod reload;
mod response_transforms;
mod routing;
mod shared_relay;
mod static_files;
mod timeouts;
mod tls;
mod transform_rows;
mod transforms;
mod upgrades;
mod uploads;
mod web_sockets;
