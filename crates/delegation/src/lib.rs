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
//! | [`handover`] | the states of a handed-over exchange and what each event means in them |
//! | [`front`] | the front's end of a channel |
//! | [`target`] | the target's end of a channel |
//! | [`rule`] | delegation rules: (queue, URL prefix) |
//! | [`window`] | how much of a stream may be sent ahead |
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
pub mod name;
pub mod queue;
pub mod relayed_client;
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
pub use queue::{QueueProperties, RequestQueueMode, Verbosity503};
pub use rule::{DelegationRule, RuleError};
pub use url_prefix::UrlPrefix;

/// Version of the wire: control messages, ring entries, region layout. Both ends must agree.
pub const PROTOCOL_VERSION: u16 = 3;

/// What this end speaks beyond that version's first form: 1 is response transforms in request
/// entries, 2 is relayed requests that say whose they are, 3 is streams. A channel speaks the lower of
/// its two ends' numbers.
pub const PROTOCOL_MINOR: u8 = 3;

/// From this minor version on, request entries may carry response transforms.
pub const RESPONSE_TRANSFORMS_MINOR: u8 = 1;

/// From this minor version on, relayed connections carry requests of any client, and each request
/// says whose it is.
pub const SHARED_RELAY_MINOR: u8 = 2;

/// From this minor version on, exchanges may be streams, whose bytes travel in the rings.
pub const STREAMS_MINOR: u8 = 3;
