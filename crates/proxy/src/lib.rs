//! The data path of the front: listeners, connections, exchanges, delegation and forwarding.
//!
//! A [`Front`] runs threads that share nothing but the configuration in force and counters. The life
//! of an exchange is one function, in `exchange.rs`, read from top to bottom; what may happen
//! between route and wire is a [`Pipeline`].
#![forbid(unsafe_code)]
#![warn(clippy::too_many_lines)]

mod accept;
mod access_log;
mod account;
mod admission;
mod affinity;
mod answer;
mod buffers;
mod client_side;
mod client_socket;
mod clock;
mod connection;
mod connection_counts;
mod connection_fields;
mod context;
mod data_rates;
mod deadline;
mod delegation;
mod descriptors;
mod destinations;
mod direct_forwarder;
mod endpoint;
mod error_chain;
mod error_pages;
mod exchange;
mod exchange_state;
mod exclusive_paths;
mod failing;
mod forwarded_headers;
mod forwarder;
mod front;
mod front_options;
mod front_thread;
#[cfg(fuzzing)]
pub mod fuzzing;
mod head_view;
mod health;
mod heartbeats;
mod http2;
mod https_only;
#[cfg(feature = "in-memory")]
pub mod in_memory;
mod limits;
mod linger;
mod listeners;
mod marks;
mod measured;
pub mod metrics;
mod open_endpoints;
mod outcome;
mod permits;
mod pipeline;
mod queues;
mod reason;
mod rebalance;
mod runtime_thread;
mod serve;
mod shared;
mod slow_timer;
mod static_files;
mod step_registry;
mod support;
mod tls;
mod trace;
mod trust;
mod under_way;
mod watch;
mod worker;

pub use access_log::{AccessLog, AccessRecord, LoggedRequest, SpanExporter, TraceOptions};
pub use context::ExchangeContext;
pub use direct_forwarder::{DirectForwarder, DirectForwarderBuilder};
pub use endpoint::{Endpoint, InheritedSockets, ListenUrl, ListenUrlError, SocketOrigin};
pub use error_pages::{ErrorPage, ErrorPages, Errors, PageForm};
pub use front::{Front, StartError};
pub use front_options::FrontOptions;
pub use health::ActiveHealthOptions;
pub use heartbeats::Heartbeats;
pub use https_only::Hsts;
pub use limits::FrontLimits;
pub use measured::FrontMetrics;
pub use ostler_config::{AllowedHosts, DataRate, Http2Limits, TrustedNetworks};
pub use outcome::{ForwarderError, Mode, Outcome, Stages};
pub use pipeline::{Flow, Pipeline, PipelineStep, StepFuture, UnknownStep};
pub use reason::Reason;
pub use static_files::StaticFileOptions;
pub use step_registry::{DuplicateStep, StepRegistry};
pub use tls::{
    Certificate, CertificateError, TlsEndpoint, TlsHostOptions, TlsOptions, TlsSetupError,
    authorities,
};
pub use trace::{Sampling, TraceContext};
pub use under_way::UnderWay;
