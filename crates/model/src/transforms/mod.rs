//! Transforms: what a route changes of requests, responses and trailers (reference B2-B4).
//!
//! A route's items are compiled once, when a configuration is applied. A route without any has no
//! [`Transforms`]: whoever sends its requests applies the defaults (2.4) in fixed form.

mod build;
mod compiled;
mod forwarded;
mod lines;
mod outgoing_request;
pub mod path;
mod query;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use build::{TransformProvider, TransformsBuilder};
pub use compiled::Transforms;
pub use lines::join_lines;
pub use outgoing_request::{ConnectionEnds, OutgoingRequest};
pub use request::RequestTransform;
pub use response::{DelegatedResponse, OutgoingResponse, RelayReason, ResponseTransform};
