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

#[cfg(test)]
mod tests {
    use super::*;

    use crate::stream_entry::FIRST_WINDOW;

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
}
