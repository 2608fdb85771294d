//! How much may be sent ahead of a stream's body: little to begin with, more where its reader is faster
//! than that lets it be.

use crate::stream_entry::{first_window, largest_window};

/// The reader's side of a window: it says when credit is to be given.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    size: u32,
    /// It grows no further.
    largest: u32,
    /// Bytes taken that no credit has been given for. Less than half of `size`.
    taken: u32,
    /// Bytes taken since it has grown.
    since: u32,
    /// The reader has waited since then.
    ran_dry: bool,
}

impl Window {
    /// The window of a new stream over rings of this capacity.
    pub fn new(ring_capacity: usize) -> Self {
        Self {
            size: first_window(ring_capacity),
            largest: largest_window(ring_capacity),
            taken: 0,
            since: 0,
            ran_dry: false,
        }
    }

    /// The reader waits for bytes, and none are here.
    pub fn run_dry(&mut self) {
        self.ran_dry = true;
    }

    /// The reader has taken bytes. What comes back is the credit to give for them: half of the window
    /// at a time, and more of it where the reader has waited though a whole window has gone by.
    pub fn take(&mut self, bytes: usize) -> Option<u32> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.taken = self.taken.saturating_add(bytes);
        self.since = self.since.saturating_add(bytes);
        if self.taken < self.size / 2 {
            return None;
        }
        let mut credit = std::mem::take(&mut self.taken);
        if self.ran_dry && self.since >= self.size {
            let larger = self.size.saturating_mul(2).min(self.largest);
            credit = credit.saturating_add(larger - self.size);
            self.size = larger;
            self.since = 0;
            self.ran_dry = false;
        }
        Some(credit)
    }
}

/// Entries of a stream's body that hold few bytes and have not been taken out of the ring: a window of bytes
/// does not bound what a ring spends on each. The sender waits for them where they are many.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmallEntries {
    count: u32,
    /// The number of the last one.
    last: u64,
}

impl SmallEntries {
    /// Beyond this what an entry costs beside its bytes is little.
    const LARGE: usize = 1024;

    fn is_small(bytes: usize, ring_capacity: usize) -> bool {
        bytes < Self::LARGE.min(ring_capacity / 16)
    }

    /// As many as a quarter of a ring has room for.
    fn most(ring_capacity: usize) -> u32 {
        let entry = Self::LARGE.min(ring_capacity / 16) + 32;
        u32::try_from(ring_capacity / 4 / entry).unwrap_or(u32::MAX)
    }

    /// Whether another entry of so many bytes is to wait. `taken`: entries of any kind that the other side
    /// has taken out of the ring.
    pub(crate) fn is_to_wait(&mut self, bytes: usize, taken: u64, ring_capacity: usize) -> bool {
        if taken >= self.last {
            self.count = 0;
        }
        Self::is_small(bytes, ring_capacity) && self.count >= Self::most(ring_capacity)
    }

    /// One of so many bytes is in the ring, by this number.
    pub(crate) fn sent(&mut self, bytes: usize, entry: u64, ring_capacity: usize) {
        if Self::is_small(bytes, ring_capacity) {
            self.count += 1;
            self.last = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::stream_entry::{DATA_FIXED, FIRST_WINDOW};

    const LARGEST: u32 = 2 * FIRST_WINDOW;
    const RING: usize = 2 * LARGEST as usize;

    #[test]
    fn credit_is_given_half_a_window_at_a_time() {
        let mut window = Window::new(RING);
        let half = FIRST_WINDOW / 2;
        assert_eq!(window.take(half as usize - 1), None);
        assert_eq!(window.take(1), Some(half));
        assert_eq!(window.take(FIRST_WINDOW as usize), Some(FIRST_WINDOW));
    }

    #[test]
    fn a_window_grows_for_a_reader_that_waits_up_to_a_bound() {
        let mut window = Window::new(RING);
        let mut ahead = FIRST_WINDOW;
        for _ in 0..8 {
            window.run_dry();
            let taken = FIRST_WINDOW;
            ahead += window.take(taken as usize).unwrap_or_default();
            ahead -= taken;
            assert!((1..=LARGEST).contains(&ahead), "{ahead}");
        }
        assert_eq!(ahead, LARGEST);
    }

    #[test]
    fn one_whose_reader_never_waits_stays_small() {
        let mut window = Window::new(RING);
        for _ in 0..8 {
            assert_eq!(window.take(FIRST_WINDOW as usize), Some(FIRST_WINDOW));
        }
    }

    #[test]
    fn single_bytes_fill_no_more_than_a_quarter_of_a_ring() {
        for capacity in [4096, 16 * 1024, 256 * 1024, 64 * 1024 * 1024] {
            let (mut small, mut sent) = (SmallEntries::default(), 0);
            // The longest that count as small.
            let bytes = (0..).take_while(|bytes| SmallEntries::is_small(*bytes, capacity));
            let bytes = bytes.last().unwrap();
            while !small.is_to_wait(bytes, 0, capacity) {
                sent += 1;
                small.sent(bytes, sent, capacity);
            }
            let entry = bytes.next_multiple_of(8) + 8 + DATA_FIXED;
            assert!((1..=capacity / 4).contains(&(sent as usize * entry)));
            assert!(!small.is_to_wait(capacity / 4, 0, capacity), "a large one");
            assert!(small.is_to_wait(bytes, sent - 1, capacity));
            assert!(!small.is_to_wait(bytes, sent, capacity), "all are taken");
        }
    }
}
