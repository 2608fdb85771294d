//! What can go wrong: with a region, with a ring, on the control socket.

use std::io;

/// A region could not be created, or the peer's is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The caller's, or the peer's, [`RegionSpec`](crate::RegionSpec) is out of range.
    #[error("a ring of {ring_capacity} bytes with {slots} slots is out of range")]
    Spec {
        /// The ring's capacity in bytes.
        ring_capacity: u64,
        /// The number of slots.
        slots: u64,
    },
    /// The peer's descriptor is not a memfd.
    #[error("the descriptor is not a memfd")]
    NotMemfd,
    /// The peer's memfd could still change its size, or be written by others.
    #[error("the memfd is not sealed against shrinking, growing and writing")]
    NotSealed,
    /// The peer's memfd does not start as a region does.
    #[error("the memfd does not hold a region of a known version")]
    NotRegion,
    /// The peer's memfd does not start as a journal does.
    #[error("the memfd does not hold a journal of a known version")]
    NotJournal,
    /// The peer's memfd is longer or shorter than its header says.
    #[error("the memfd has {length} bytes, which does not fit its header")]
    Length {
        /// The memfd's length in bytes.
        length: u64,
    },
    /// A system call failed.
    #[error("a system call failed")]
    Io(#[from] io::Error),
}

/// The peer's region is in a state that no correct peer leaves it in; the channel is dead.
///
/// Every later operation on the same [`Producer`](crate::Producer) or
/// [`Consumer`](crate::Consumer) gives the same error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The peer claims to have produced less than before, more than fits, or half a word.
    #[error("the peer's producer position {position} does not follow {consumed}")]
    ProducerPosition {
        /// What stands in the peer's region.
        position: u64,
        /// What this side has consumed.
        consumed: u64,
    },
    /// The peer claims to have consumed less than before, more than was produced, or half a word.
    #[error("the peer's consumer position {position} is not within {consumed} and {produced}")]
    ConsumerPosition {
        /// What stands in the peer's region.
        position: u64,
        /// What stood there before.
        consumed: u64,
        /// What this side has produced.
        produced: u64,
    },
    /// An entry is longer than the ring allows, or than what the peer has produced.
    #[error("the peer's entry of {length} bytes is longer than the ring allows")]
    EntryLength {
        /// The entry's length word.
        length: u64,
    },
}

/// An entry was not put into the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// No room now; there will be when the peer has consumed.
    #[error("the ring is full")]
    Full,
    /// The entry is longer than [`max_entry`](crate::Producer::max_entry); there will never be room.
    #[error("the entry is longer than the ring takes")]
    TooLarge,
    /// The peer misbehaved.
    #[error("the peer's side of the ring is inconsistent")]
    Peer(#[from] RingError),
}

/// No message was received from the control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// No message is there yet; wait until the socket is readable.
    #[error("no message is there yet")]
    WouldBlock,
    /// The peer closed its end or died.
    #[error("the peer closed the control socket")]
    Closed,
    /// The message was longer than [`MAX_MESSAGE`](crate::MAX_MESSAGE); it is lost.
    #[error("the message is too long")]
    MessageTruncated,
    /// More descriptors came than [`MAX_DESCRIPTORS`](crate::MAX_DESCRIPTORS), or than this process
    /// may open. All of them were closed and the message is lost.
    #[error("the descriptors of a message could not all be received")]
    DescriptorsTruncated,
    /// A system call failed.
    #[error("a system call failed")]
    Io(#[source] io::Error),
}
