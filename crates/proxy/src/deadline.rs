//! The clock of an exchange whose route has a timeout (reference A11.4): it starts here and covers
//! everything up to the response's last byte, or up to an accepted upgrade.

use std::time::{Duration, Instant};

use http::StatusCode;
use ostler_model::policies::RequestTimeout;

/// When an exchange must be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// The same, in nanoseconds of `CLOCK_MONOTONIC`, which a target can read.
    pub(crate) at_ns: u64,
    /// The answer where the response has not begun by then.
    pub(crate) status: StatusCode,
}

/// How much longer a target that has taken the request may take to answer that it is over.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

impl Deadline {
    /// Starts the clock.
    pub(crate) fn start(timeout: RequestTimeout) -> Self {
        let nanos = u64::try_from(timeout.timeout.as_nanos()).unwrap_or(u64::MAX);
        let now = crate::clock::now();
        Self {
            // A time that no clock can hold is one that nobody waits for.
            at: now.checked_add(timeout.timeout).unwrap_or(now + A_CENTURY),
            // The greatest number is no deadline at all.
            at_ns: ostler_shm::monotonic_nanoseconds()
                .saturating_add(nanos)
                .min(u64::MAX - 1),
            status: StatusCode::from_u16(timeout.status).unwrap_or(StatusCode::GATEWAY_TIMEOUT),
        }
    }

    pub(crate) fn has_passed(&self) -> bool {
        crate::clock::now() >= self.at
    }
}

const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
