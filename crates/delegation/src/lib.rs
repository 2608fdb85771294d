//! Request queues and what front and target say to each other about a delegated exchange.
//!
//! Nothing here waits: every call returns at once, and whoever drives it (the front's threads, the
//! target library) decides when to call again. The wire is drawn byte by byte in
//! `docs/delegation-protocol.md`.
//!
//! | module | one idea |
//! |---|---|
//! | [`name`] | names of request queues |
//! | [`accounts`] | users and groups by name |
//! | [`url_prefix`] | http.sys URL prefixes and their precedence |
//! | [`runtime`] | the runtime folder: which queues exist and who serves them |
//! | [`queue`] | opening a request queue as a target |
//! | [`capacity`] | how many clients' sockets a target is given |
//! | [`control`] | messages of the control socket |
//! | [`relayed_client`] | the field by which a relayed request says whose it is |
//! | [`entry`] | entries of the rings |
//! | [`stream_entry`] | entries of exchanges whose bytes travel in the rings |
//! | [`lease`] | which requests of a connection a target may read itself |
//! | [`handover`] | the states of a handed-over exchange and what each event means in them |
//! | [`front`] | the front's end of a channel |
//! | [`target`] | the target's end of a channel |
//! | [`rule`] | delegation rules: (queue, URL prefix) |
//! | [`window`] | how much of a stream may be sent ahead |
//! | [`status`] | how many requests wait in a front |
//! | [`replacement`] | how a front takes the place of another one |
#![forbid(unsafe_code)]

pub mod accounts;
pub mod address;
pub mod capacity;
pub mod control;
pub mod entry;
mod error;
mod folder;
pub mod front;
pub mod handover;
pub mod lease;
pub mod name;
#[cfg(test)]
mod page;
pub mod pieces;
mod properties;
mod protocol;
pub mod queue;
pub mod relayed_client;
pub mod replacement;
pub mod rule;
pub mod runtime;
pub mod status;
pub mod stream_entry;
pub mod target;
pub mod untaken;
pub mod url_prefix;
pub mod window;
mod wire;

pub use error::{ChannelError, OpenConnectionError, QueueError, WireError};
pub use handover::{Disposition, Ending, Stage};
pub use name::QueueName;
pub use properties::{QueueProperties, Verbosity503};
pub use protocol::{
    FORWARDED_CLIENTS_MINOR, LEASES_MINOR, PROTOCOL_MINOR, PROTOCOL_VERSION,
    RESPONSE_TRANSFORMS_MINOR, SHARED_RELAY_MINOR, STREAMS_MINOR,
};
pub use queue::RequestQueueMode;
pub use rule::{DelegationRule, RuleError};
pub use url_prefix::UrlPrefix;
