//! How long a client may take, as ASP.NET writes it.

use std::time::Duration;

use crate::leaf::TimeSpan;

/// What stands for "no limit" where ASP.NET has an infinite time: so long that nobody waits for it,
/// and no clock overflows.
pub(super) const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A time that is positive, or none.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    match TimeSpan::parse(text)? {
        TimeSpan::INFINITE => Ok(A_CENTURY),
        span => span
            .positive()
            .map(|timeout| timeout.min(A_CENTURY))
            .ok_or_else(|| format!("{text:?} is neither positive nor -00:00:00.001, no timeout")),
    }
}
