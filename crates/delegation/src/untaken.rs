//! How many requests of a channel wait in its ring, for any thread to ask.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ostler_shm::{OwnRegion, PeerRegion};

/// What is in a channel's ring and not taken by the target, counted in two ways.
#[derive(Debug)]
pub struct Untaken {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    /// Entries that are no waiting requests (withdrawn ones, whose client is gone, other kinds than
    /// requests), by their number, ascending. Those that the target has taken go when others come.
    left_out: Mutex<VecDeque<u64>>,
}

impl Untaken {
    pub(crate) fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>) -> Self {
        Self {
            own,
            peer,
            left_out: Mutex::default(),
        }
    }

    /// Entries of any kind, as the target says; never more than were put in.
    pub fn entries(&self) -> u64 {
        let produced = self.own.entries_produced();
        produced
            .saturating_sub(self.peer.entries_consumed())
            .min(produced)
    }

    /// Requests that wait for the target to take them.
    pub fn requests(&self) -> u64 {
        let entries = self.entries();
        if entries == 0 {
            return 0;
        }
        let left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.own.entries_produced() - entries + 1;
        let others = left_out.len() - left_out.partition_point(|entry| *entry < first);
        entries.saturating_sub(others as u64)
    }

    /// Does not count this entry as a waiting request.
    pub(crate) fn leave_out(&self, entry: u64) {
        let taken = self.peer.entries_consumed();
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        while left_out.front().is_some_and(|entry| *entry <= taken) {
            left_out.pop_front();
        }
        if let Err(at) = left_out.binary_search(&entry) {
            left_out.insert(at, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use ostler_shm::{Consumer, Producer, RegionSpec};

    use super::*;

    #[test]
    fn what_is_no_waiting_request_is_not_counted() {
        let spec = RegionSpec {
            ring_capacity: 4096,
            slots: 1,
        };
        let (front, target) = (OwnRegion::heap(spec), OwnRegion::heap(spec));
        let mut producer = Producer::new(Arc::clone(&front), target.peer_view());
        let mut consumer = Consumer::new(Arc::clone(&target), front.peer_view());
        let untaken = Untaken::new(Arc::clone(&front), target.peer_view());
        let count = || (untaken.entries(), untaken.requests());
        let mut entry = Vec::new();
        for _ in 0..4 {
            producer.try_push(&[b"entry"]).unwrap();
        }
        assert_eq!(count(), (4, 4));
        untaken.leave_out(3);
        untaken.leave_out(2);
        untaken.leave_out(3);
        assert_eq!(count(), (4, 2));
        consumer.try_pop(&mut entry).unwrap();
        assert_eq!(count(), (3, 1));
        consumer.try_pop(&mut entry).unwrap();
        assert_eq!(count(), (2, 1));
        untaken.leave_out(4);
        assert_eq!(count(), (2, 0));
        while consumer.try_pop(&mut entry).unwrap() {}
        producer.try_push(&[b"entry"]).unwrap();
        assert_eq!(count(), (1, 1));
        untaken.leave_out(5);
        assert_eq!(untaken.left_out.lock().unwrap().len(), 1);
    }
}
