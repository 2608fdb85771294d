//! Marks: the entry at whose taking a producer wants to be told.
//!
//! ```text
//! producer                                  consumer
//!   mark = an entry not taken yet             take entries (publish)
//!   full fence                                full fence
//!   look at what has been taken               look at the mark
//!   wait, unless the mark is reached          tell, once a mark, when it is reached or passed
//! ```
//!
//! Of two such sequences at least one sees what the other did, so a producer that waits for a mark is
//! told of it.

use crate::layout::Field;
use crate::region::{OwnRegion, PeerRegion, full_fence};
use crate::sync::Ordering;

/// No mark.
pub(crate) const NONE: u64 = 0;

/// Asks to be told once the peer has taken as many entries as `mark` says. What it has taken is to be
/// looked at once more before waiting.
pub(crate) fn set(own: &OwnRegion, mark: u64) {
    own.field(Field::PaceMark).store(mark, Ordering::Relaxed);
    // Orders the mark before the look at what is taken; pairs with the fence before `reached`.
    full_fence();
}

/// Asks for nothing more.
pub(crate) fn clear(own: &OwnRegion) {
    // Relaxed: seen late, it costs a needless word and nothing else.
    own.field(Field::PaceMark).store(NONE, Ordering::Relaxed);
}

/// The mark that the peer has set in its region, if this side has taken as much and has not answered
/// it yet. To be called behind a [`full_fence`] that follows the taking.
#[inline]
pub(crate) fn reached(own: &OwnRegion, peer: &PeerRegion, answered: u64) -> Option<u64> {
    let mark = peer.load(Field::PaceMark);
    // A mark lies ahead of what has been taken when it is set, so that none comes twice.
    let is_news = mark != NONE && mark != answered;
    (is_news && mark <= own.entries_consumed()).then_some(mark)
}
