//! Hosts: entries of `Match:Hosts`, and the host a request asks for (reference A3.3).

mod pattern;
mod request_host;

pub(crate) use pattern::HostName;
pub use pattern::{HostError, HostPattern};
pub(crate) use request_host::RequestHost;
