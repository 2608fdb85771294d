//! The proxy's one source of time.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, for deadlines: by the runtime's clock, which in tests stands still until it is set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the monotonic clock"
)]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock's time.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The same in seconds, for what others have dated.
pub(crate) fn seconds_since_1970() -> u64 {
    wall_clock()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

/// The `Date` field's value, made once a second and thread.
pub(crate) fn date() -> [u8; 29] {
    thread_local! {
        static DATE: Cell<(u64, [u8; 29])> = const { Cell::new((u64::MAX, [0; 29])) };
    }
    let now = seconds_since_1970();
    let (second, date) = DATE.get();
    if second == now {
        return date;
    }
    let date = ostler_http1::format_date(now);
    DATE.set((now, date));
    date
}
