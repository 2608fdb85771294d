//! Where the task of a lease is, for those who end it.

use std::sync::atomic::{AtomicU8, Ordering};

/// What the task of a lease does.
///
/// ```text
///   first exchange --> Resting --> Busy --> Resting --> Busy --> ...
///        |                |          |
///        v                v          v
///       Over           Ended ----> Over: the connection has been handed back, or closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Doing {
    /// A request is under way, the first one included.
    Busy = 0,
    /// The next request is waited for.
    Resting = 1,
    /// It rests no more: somebody has ended it, and the task is to hand the connection back.
    Ended = 2,
    /// The front has been told what becomes of the connection.
    Over = 3,
}

/// What the task and others see of each other.
#[derive(Debug, Default)]
pub(crate) struct LeaseState(AtomicU8);

impl LeaseState {
    /// Goes from one to another; false where it is elsewhere.
    pub(crate) fn goes(&self, from: Doing, to: Doing) -> bool {
        let (from, to) = (from as u8, to as u8);
        let exchanged = self
            .0
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        exchanged.is_ok()
    }

    pub(crate) fn set(&self, to: Doing) {
        self.0.store(to as u8, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst) == Doing::Over as u8
    }

    /// Whether somebody has ended the lease while the next request was waited for.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.load(Ordering::SeqCst) == Doing::Ended as u8
    }

    /// Ends the lease if the next request is waited for: its task is to be aborted then, and hands the
    /// connection back.
    pub(crate) fn end_if_resting(&self) -> bool {
        self.goes(Doing::Resting, Doing::Ended)
    }
}
