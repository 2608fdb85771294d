//! What becomes of requests that are given to queues, counted by the thread that gives them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::histogram::increase;

/// What happens to a request on its way to a target and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueEvent {
    /// It was given to an instance.
    Given,
    /// An instance took it.
    Taken,
    /// An instance said that it is done with it.
    Completed,
    /// It was taken back from an instance that had not taken it.
    Withdrawn,
    /// It is given once more: its instance died, stood still, or gave it back.
    Again,
    /// The client's connection has become the target's.
    Detached,
}

impl QueueEvent {
    /// All of them, with their words.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Given, "given"),
        (Self::Taken, "taken"),
        (Self::Completed, "completed"),
        (Self::Withdrawn, "withdrawn"),
        (Self::Again, "again"),
        (Self::Detached, "detached"),
    ];
}

/// One thread's counts of one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueCells([AtomicU64; QueueEvent::ALL.len()]);

impl QueueCells {
    pub(crate) fn count(&self, event: QueueEvent) {
        increase(&self.0[event as usize], 1);
    }

    fn read(&self, event: QueueEvent) -> u64 {
        self.0[event as usize].load(Ordering::Relaxed)
    }
}

/// The counts of all threads of one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueCounts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    threads: Vec<Arc<QueueCells>>,
    /// Of threads that have let go of the queue.
    before: [u64; QueueEvent::ALL.len()],
}

impl QueueCounts {
    /// A thread begins to give requests to the queue.
    pub(crate) fn thread(&self) -> Arc<QueueCells> {
        let cells = Arc::<QueueCells>::default();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever holds no cells counts no more: what it has counted stays.
        let Counts { threads, before } = &mut *counts;
        threads.retain(|cells| {
            let is_held = Arc::strong_count(cells) > 1;
            if !is_held {
                for (sum, (event, _)) in before.iter_mut().zip(QueueEvent::ALL) {
                    *sum += cells.read(event);
                }
            }
            is_held
        });
        threads.push(Arc::clone(&cells));
        cells
    }

    /// How often that has happened.
    pub(crate) fn read(&self, event: QueueEvent) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = counts.threads.iter().map(|cells| cells.read(event));
        counts.before[event as usize] + threads.sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_has_counted_outlasts_it() {
        let counts = QueueCounts::default();
        let first = counts.thread();
        first.count(QueueEvent::Given);
        first.count(QueueEvent::Given);
        drop(first);
        assert_eq!(counts.read(QueueEvent::Given), 2);
        let second = counts.thread();
        second.count(QueueEvent::Given);
        second.count(QueueEvent::Again);
        assert_eq!(counts.read(QueueEvent::Given), 3);
        assert_eq!(counts.read(QueueEvent::Again), 1);
        assert_eq!(counts.0.lock().unwrap().threads.len(), 1);
    }

    #[test]
    fn events_stand_where_their_numbers_say() {
        for (at, (event, _)) in QueueEvent::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, at);
        }
    }
}
