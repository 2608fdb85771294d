//! Serve requests that an Ostler front delegates.
//!
//! An application opens a *request queue* and serves it with any [`tower_service::Service`] (an
//! axum `Router` unchanged). The front reads each request's head and hands the request over; this
//! library reads the body from the client's own socket and writes the response to it. No byte of
//! either passes through the front.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use ostler_target::{RequestQueue, RequestQueueMode};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Router::new().route("/", get(|| async { "hello" }));
//! let queue = RequestQueue::builder("shop")
//!     // Several processes may serve one queue, and a new one may come before the old one has gone.
//!     .mode(RequestQueueMode::CreateOrAttach)
//!     .url_prefix("http://*:80/")
//!     .bind()?;
//! ostler_target::serve(queue, app).await?;
//! # Ok(()) }
//! ```
//!
//! What a handler can know of its request beyond HTTP (the client's real address, how it came) is
//! in its extensions: [`RequestInfo`]. axum's `ConnectInfo<SocketAddr>` works as it does behind a
//! listener (the feature `axum`, which is on unless `default-features` is off).
#![forbid(unsafe_code)]

mod application;
mod begin;
mod body;
mod builder;
mod channel;
mod client;
mod clients;
mod clock;
mod error;
mod exchange;
mod handler;
mod head_limits;
mod hyper_upgrade;
mod info;
mod lease;
mod lease_state;
mod panics;
mod read_on;
mod relay;
mod response;
mod send_file;
mod serve;
mod stop;
mod stream;
mod upgrade;

pub use application::{Application, ByRequest};
#[cfg(feature = "axum")]
pub use application::{ByConnection, PerConnection, QueueClient};
pub use body::Body;
pub use builder::{Builder, QueueHandle, RequestQueue};
pub use error::{BindError, BodyError, BoxError};
pub use info::{Arrival, RequestInfo, TlsInfo};
pub use ostler_delegation::{QueueError, RequestQueueMode, Verbosity503};
pub use send_file::SendFile;
pub use serve::{Serve, serve};

/// The README's examples are compiled with this crate's.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeExamples;
