//! Configurations that are in force no more, kept until no request has them: a large one takes its time to
//! be taken apart, which is not to be a request's.

use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::Snapshot;

#[derive(Debug, Default)]
pub(super) struct Retired(Mutex<Vec<Arc<Snapshot>>>);

impl Retired {
    /// One has been replaced.
    pub(super) fn add(&self, snapshot: Arc<Snapshot>) {
        let mut snapshots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.push(snapshot);
    }

    /// Takes those apart that nobody else has; false when some are left.
    pub(super) fn release(&self) -> bool {
        let mut snapshots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (free, held): (Vec<_>, Vec<_>) = std::mem::take(&mut *snapshots)
            .into_iter()
            // Nobody who has none can get one: it is not in force any more.
            .partition(|snapshot| Arc::strong_count(snapshot) == 1);
        *snapshots = held;
        let is_empty = snapshots.is_empty();
        drop(snapshots);
        drop(free);
        is_empty
    }
}
