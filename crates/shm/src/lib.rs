//! Shared-memory rings, wake-ups and descriptor passing between two processes.
//!
//! Two processes that share a *channel* each create one [`OwnRegion`], a sealed memfd that they
//! alone write, and map the other's as a [`PeerRegion`], which they can only read:
//!
//! ```text
//!            process A                                     process B
//!   +------------------------+                   +------------------------+
//!   | Producer ----------------> A's region: ring, -----------> Consumer  |
//!   | Consumer, Sleeper -------> positions, sleep, ------------> Producer,|
//!   |                        |   slot bytes        |               Waker  |
//!   | Consumer <---------------- B's region: the  <----------- Producer   |
//!   | Producer, Waker <--------- same, mirrored   <---- Consumer, Sleeper |
//!   +------------------------+                   +------------------------+
//! ```
//!
//! The other process may be broken or hostile. What it writes is therefore only ever looked at
//! through atomics, each value is read once, and the copy is checked before it is used: the worst
//! it can do is end the channel with a [`RingError`].
//!
//! This is the only crate of Ostler with unsafe code. It knows nothing of HTTP and never waits.
//!
//! ```
//! use ostler_shm::{Consumer, OwnRegion, PeerRegion, Producer, RegionSpec};
//!
//! let spec = RegionSpec { ring_capacity: 64 * 1024, slots: 16 };
//! let front = OwnRegion::create("front", spec)?;
//! let target = OwnRegion::create("target", spec)?;
//! // The descriptors really cross a `ControlSocket`.
//! let front_seen = PeerRegion::map(front.descriptor().try_clone_to_owned()?)?;
//! let target_seen = PeerRegion::map(target.descriptor().try_clone_to_owned()?)?;
//!
//! let mut producer = Producer::new(front, target_seen);
//! let mut consumer = Consumer::new(target, front_seen);
//! producer.try_push(&[b"GET / ", b"HTTP/1.1"])?;
//! let mut entry = Vec::new();
//! assert!(consumer.try_pop(&mut entry)?);
//! assert_eq!(entry, b"GET / HTTP/1.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(not(loom))]
#[expect(
    unsafe_code,
    reason = "sets a vector's length after receiving into its spare capacity"
)]
mod client;
#[expect(
    unsafe_code,
    reason = "sets a vector's length after filling its spare capacity"
)]
mod copy;
#[cfg(not(loom))]
mod descriptors;
mod error;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "calls the C library's allocator")]
mod heap;
#[cfg(not(loom))]
mod inotify;
#[cfg(not(loom))]
#[expect(
    unsafe_code,
    reason = "receives into memory that another process reads, and maps such memory"
)]
mod journal;
#[cfg(not(loom))]
#[expect(
    unsafe_code,
    reason = "sets socket options and passes control messages that rustix does not know"
)]
pub mod kernel_tls;
mod layout;
#[cfg(test)]
#[cfg(loom)]
mod loom_models;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "maps memory shared with another process")]
mod mapping;
mod mark;
#[cfg(not(loom))]
mod memfd;
mod memory;
#[cfg(not(loom))]
mod pace;
#[cfg(not(loom))]
#[expect(
    unsafe_code,
    reason = "reads the peer's credentials, whose process id may be zero"
)]
mod peer_credentials;
#[cfg(not(loom))]
mod presence;
mod process;
mod region;
mod ring;
#[cfg(not(loom))]
mod socket;
mod sync;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "asks the kernel for a connection's counters")]
mod tcp_progress;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod wake;

#[cfg(not(loom))]
pub use client::{
    can_send_files, peer_and_local_address, recv, send, send_before_more, send_file, set_no_delay,
    shutdown_both, shutdown_write,
};
#[cfg(not(loom))]
pub use descriptors::lowest_free_descriptor;
pub use error::{PushError, ReceiveError, RegionError, RingError};
#[cfg(not(loom))]
pub use heap::release_free_memory;
#[cfg(not(loom))]
pub use inotify::WatchedFolder;
#[cfg(not(loom))]
pub use journal::{JOURNAL_CELL, JournalCell, Journaled, OwnJournal, PeerJournal};
pub use layout::RegionSpec;
#[cfg(not(loom))]
pub use pace::{PaceKeeper, Pacer, RoomMark};
#[cfg(not(loom))]
pub use peer_credentials::PeerCredentials;
#[cfg(not(loom))]
pub use presence::{ask_for_presence, has_left, is_broken};
pub use process::{monotonic_nanoseconds, open_file_limit, raise_open_file_limit};
pub use region::{OwnRegion, PeerRegion, full_fence};
pub use ring::{Consumer, Producer};
#[cfg(not(loom))]
pub use socket::{ControlListener, ControlSocket, MAX_DESCRIPTORS, MAX_MESSAGE, Received};
#[cfg(not(loom))]
pub use tcp_progress::{TcpProgress, shutdown_read, tcp_progress, unread_bytes};
pub use wake::{Sleeper, Waker, drain_event, event_descriptor};
