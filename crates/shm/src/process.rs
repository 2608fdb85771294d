//! What a process asks the kernel about itself: how many files it may open, what time it is.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// How many descriptors this process may have open now; `u64::MAX` without a limit.
pub fn open_file_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises that number as far as this process may, and returns what it is then.
pub fn raise_open_file_limit() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A failure leaves the limit where it was, which the caller sees.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
    open_file_limit()
}

/// Nanoseconds on a clock that never goes back and is the same in every process on the host
/// (`CLOCK_MONOTONIC`). Processes in different time namespaces may disagree (time_namespaces(7)).
#[inline]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock that processes share"
)]
pub fn monotonic_nanoseconds() -> u64 {
    const NANOSECONDS: u64 = 1_000_000_000;
    let now = clock_gettime(ClockId::Monotonic);
    // The clock starts at zero and has 292 years.
    now.tv_sec
        .cast_unsigned()
        .wrapping_mul(NANOSECONDS)
        .wrapping_add(now.tv_nsec.cast_unsigned())
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "both clocks are compared")]
    fn the_clock_agrees_with_the_kernel_s_uptime() {
        let before = monotonic_nanoseconds();
        let now = clock_gettime(ClockId::Monotonic);
        let after = monotonic_nanoseconds();
        let now = u64::try_from(now.tv_sec).unwrap() * 1_000_000_000
            + u64::try_from(now.tv_nsec).unwrap();
        assert!((before..=after).contains(&now));
        assert!(after - before < 1_000_000_000);
    }

    #[test]
    fn raises_the_limit_to_the_hard_one() {
        let before = open_file_limit();
        let after = raise_open_file_limit();
        assert!(after >= before);
        assert_eq!(
            after,
            getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
        );
    }
}
