//! Descriptors that clients are not given: a front that is full of them is still to take a target in
//! that was restarted, to read its configuration, and to reach destinations.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the reserve begins, for all threads.
#[derive(Debug)]
pub(crate) struct Descriptors {
    /// Descriptors with this number and above are the reserve.
    reserved_from: u64,
    /// That new connections wait.
    told: OnceAMinute,
}

impl Descriptors {
    /// Of so many that there may be: an eighth, which is enough for the channels of a few instances to
    /// each thread, and at most half.
    pub(crate) fn new(limit: u64, threads: usize) -> Self {
        // A channel to an instance has some ten.
        let channels = 32 + 16 * threads as u64;
        let reserve = (limit / 8).clamp(channels.min(1024), 1024.max(channels));
        Self {
            reserved_from: limit - reserve.min(limit / 2),
            told: OnceAMinute::new(),
        }
    }

    /// Whether those below the reserve are all in use. `any` is one of this process.
    pub(crate) fn are_short(&self, any: BorrowedFd<'_>) -> bool {
        let free = ostler_shm::lowest_free_descriptor(any);
        let short = free.is_none_or(|free| free >= self.reserved_from);
        if short {
            self.tell();
        }
        short
    }

    /// Whether a descriptor that has just been opened is of the reserve.
    pub(crate) fn are_reserved(&self, opened: BorrowedFd<'_>) -> bool {
        u64::try_from(opened.as_raw_fd()).is_ok_and(|opened| opened >= self.reserved_from)
    }

    /// Once a minute at most: it comes and goes with each client that leaves.
    fn tell(&self) {
        if self.told.is_time() {
            let most = self.reserved_from;
            tracing::warn!(
                most,
                "clients wait to be accepted: as many files are open as may be, but for a reserve; \
                 raise the limit of open files (LimitNOFILE)"
            );
        }
    }
}

/// What the log is told once a minute, however often and in however many threads it happens.
#[derive(Debug)]
pub(crate) struct OnceAMinute {
    /// When it was told last; 0 if never.
    told_ns: AtomicU64,
}

impl OnceAMinute {
    pub(crate) const fn new() -> Self {
        Self {
            told_ns: AtomicU64::new(0),
        }
    }

    /// True for the one that is to tell it.
    pub(crate) fn is_time(&self) -> bool {
        const A_MINUTE: u64 = 60_000_000_000;
        let now = ostler_shm::monotonic_nanoseconds();
        let told = self.told_ns.load(Ordering::Relaxed);
        let is_time = told == 0 || now.saturating_sub(told) >= A_MINUTE;
        is_time
            && self
                .told_ns
                .compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_what_there_may_be_is_kept_back() {
        for (limit, threads, reserved_from) in [
            (1024, 1, 1024 - 128),
            (524_288, 8, 524_288 - 1024),
            (256, 1, 256 - 48),
            (64, 1, 32),
            (u64::MAX, 1, u64::MAX - 1024),
        ] {
            let descriptors = Descriptors::new(limit, threads);
            assert_eq!(descriptors.reserved_from, reserved_from, "{limit}");
        }
    }
}
