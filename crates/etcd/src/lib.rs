//! etcd as the store of a configuration that many fronts share: read, followed, and written with
//! compare-and-swap.
//!
//! ```text
//! <prefix>config/document        a configuration in JSON, as a file would have it
//! <prefix>config/routes/<id>     one entry of Routes, laid over the document
//! <prefix>config/clusters/<id>   one entry of Clusters
//! <prefix>history/<revision>     what a push wrote, by the revision that it replaced
//! <prefix>fronts/<id>            a front that runs, under a lease
//! ```
//!
//! It speaks etcd's gRPC API with messages written by hand (`messages.rs`): the crates that have all of it
//! want a compiler of protocol buffers on every machine that builds them.
#![forbid(unsafe_code)]

mod client;
mod documents;
mod error;
mod fleet;
mod follow;
mod history;
mod messages;

pub use client::{Access, Client, TlsAccess};
pub use documents::{Document, Documents};
pub use error::EtcdError;
pub use fleet::{FrontRecord, Registration, fronts};
pub use follow::{Followed, follow};
pub use history::{Pushed, Revision};

#[cfg(test)]
mod tests;
