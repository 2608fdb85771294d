//! Listening for a while to a client that has its answer and goes on sending what nobody needs:
//! closing with bytes unread would destroy the answer on its way (RFC 9112 section 9.6).

use std::time::Duration;

/// How long a client is listened to that goes on sending, as in nginx: by time, since any number of
/// bytes is on its way where the line is fast.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// How long one that sends nothing.
const SILENCE: Duration = Duration::from_secs(2);

/// Calls `next`, which takes in some bytes, until it says that there are no more, none come for a
/// while, or it has been `longest`.
pub(crate) async fn discard(longest: Duration, mut next: impl AsyncFnMut() -> bool) {
    let all = async { while let Ok(true) = tokio::time::timeout(SILENCE, next()).await {} };
    let _ = tokio::time::timeout(longest, all).await;
}
