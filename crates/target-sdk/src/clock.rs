//! The library's one source of time, but for the stamps that the front compares with its own.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Now, for deadlines: by the runtime's clock, which in tests stands still until it is set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the monotonic clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The `Date` field's value, made once a second and thread.
pub(crate) fn date() -> [u8; 29] {
    thread_local! {
        static DATE: Cell<(u64, [u8; 29])> = const { Cell::new((0, [0; 29])) };
    }
    // A date in the past where the clock is before 1970: as wrong as the clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this library's one look at the wall clock"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let (second, date) = DATE.get();
    if second == now && now != 0 {
        return date;
    }
    let date = ostler_http1::format_date(now);
    DATE.set((now, date));
    date
}
