//! Leases of a channel, the target's end: reading on by oneself, and telling of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ostler_shm::{JournalCell, OwnJournal, full_fence};

use super::TargetShared;
use crate::entry::{Completed, ExchangeKey};
use crate::handover::{Stage, is_spoken_of};

/// Requests under leases that may be under way at once, of one channel: so many cells a journal has.
const CELLS: usize = 1024;

/// What a target tells of an exchange under a lease.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// How it ended; the leftover does not count.
    pub completed: &'a Completed,
    /// Its head, where the front wants that.
    pub head: &'a [u8],
}

impl TargetShared {
    /// Whether the front has not ended a lease. What it has begun a target finishes all the same.
    pub fn lease_stands(&self, key: ExchangeKey, epoch: u64) -> bool {
        self.peer.lease_epoch() == epoch
            && !is_spoken_of(self.peer.slot(key.slot as usize), key.exchange)
    }

    /// Says that bytes of a connection's next request are about to be received. False where the lease has
    /// ended: then nothing may be received, and the connection is to be handed back.
    pub fn begin_reading(&self, key: ExchangeKey, epoch: u64) -> bool {
        self.resting.fetch_sub(1, Ordering::Relaxed);
        self.store(key, Stage::Reading);
        // Pairs with the fences in `FrontChannel::end_lease` and in `OwnRegion::end_leases`.
        full_fence();
        self.lease_stands(key, epoch)
    }

    /// Says that nothing of a next request has been received, and that it is waited for. Then it is to be
    /// looked whether the lease stands: whoever ended it may have seen a request under way.
    pub fn rest(&self, key: ExchangeKey) {
        self.resting.fetch_add(1, Ordering::Relaxed);
        self.store(key, Stage::Resting);
        // Pairs with the fences in `FrontChannel::end_lease` and in `OwnRegion::end_leases`.
        full_fence();
    }

    /// The connection rests no more, since it is handed back.
    pub fn rests_no_more(&self) {
        self.resting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Says that a request has been received under a lease, and is begun.
    pub fn begin_leased(&self, key: ExchangeKey) {
        self.store(key, Stage::Received { body_read: false });
    }

    /// A cell to receive the `number`th request of a lease into; `None` when all are in use.
    pub fn journal_cell(&self, key: ExchangeKey, number: u32) -> Option<JournalCell> {
        let journal = self.journal.as_ref()?;
        journal.take([key.slot, key.generation, key.exchange], number)
    }

    /// Tells of an exchange whose lease goes on, or is about to be handed back. The front finds it in its
    /// own time, unless the ring fills up. `is_first`: the front has read it.
    pub fn tell(&self, told: Told<'_>, is_first: bool) {
        self.completed.fetch_add(1, Ordering::Relaxed);
        if !is_first {
            self.leased.fetch_add(1, Ordering::Relaxed);
        }
        let mut completions = self.lock();
        let mut entry = std::mem::take(&mut completions.scratch);
        told.completed.encode_told(told.head, &mut entry);
        completions.push_or_defer(&entry);
        completions.scratch = entry;
        if !completions.deferred.is_empty() {
            // The front tells of room by waking this end, which flushes then.
            let half = completions.producer.pending_entries().div_ceil(2);
            if !completions.room_mark.ask(half) {
                let _ = completions.send_deferred();
            }
        }
        if completions.producer.fills_up() {
            completions.wake();
        }
    }

    /// Connections that wait under a lease for their next request.
    pub fn resting(&self) -> u64 {
        self.resting.load(Ordering::Relaxed)
    }

    /// Requests that were read under leases and are over.
    pub fn leased(&self) -> u64 {
        self.leased.load(Ordering::Relaxed)
    }

    pub(super) fn journal() -> Option<Arc<OwnJournal>> {
        // A target without one is let read nothing by itself.
        OwnJournal::create("ostler-journal", CELLS).ok()
    }
}
