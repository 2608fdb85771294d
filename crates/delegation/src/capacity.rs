//! How many clients' sockets a target is given: as many as it says, of all channels to it together, and
//! no more at a time than it receives.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections that the channels of all threads of a front to one target hold.
#[derive(Debug, Default)]
pub struct Capacity(AtomicUsize);

impl Capacity {
    /// Their number. Two threads that look at once may both find room for one: a target keeps some.
    pub fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sockets on their way to a target that it has not received.
///
/// The kernel counts descriptors in flight by user, against the limit of open files: a target that does
/// not receive could keep those of all others from theirs. So each channel has a share of its own.
#[derive(Debug)]
pub(crate) struct InFlight {
    most: usize,
    /// How many entries were in the ring when each was sent, ascending. The target has received it once
    /// it has taken the entry behind those: that of its first request.
    sent: VecDeque<u64>,
}

impl Default for InFlight {
    fn default() -> Self {
        let limit = usize::try_from(ostler_shm::open_file_limit()).unwrap_or(usize::MAX);
        Self::of(limit)
    }
}

impl InFlight {
    fn of(limit: usize) -> Self {
        Self {
            most: (limit / 16).clamp(8, 256),
            sent: VecDeque::new(),
        }
    }

    /// Whether another may be sent, where the target has taken so many entries.
    pub(crate) fn has_room(&mut self, taken: u64) -> bool {
        while self.sent.front().is_some_and(|before| *before < taken) {
            self.sent.pop_front();
        }
        self.sent.len() < self.most
    }

    /// Another has been sent, behind so many entries.
    pub(crate) fn sent(&mut self, entries: u64) {
        self.sent.push_back(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_has_not_received_is_bounded() {
        let mut in_flight = InFlight::of(128);
        for entry in 0..8 {
            assert!(in_flight.has_room(0));
            in_flight.sent(entry);
        }
        assert!(!in_flight.has_room(0));
        assert!(in_flight.has_room(1), "the first has been received");
        in_flight.sent(8);
        assert!(!in_flight.has_room(1));
        assert!(in_flight.has_room(9));
        assert!(in_flight.sent.is_empty());
    }

    #[test]
    fn the_share_of_a_channel_is_a_part_of_the_limit() {
        for (limit, most) in [(200, 12), (16, 8), (1 << 20, 256)] {
            assert_eq!(InFlight::of(limit).most, most, "{limit}");
        }
    }
}
