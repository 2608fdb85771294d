//! How the front is: whether its threads go on, and whether it takes requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use ostler_proxy::Heartbeats;

/// How often is looked whether the front's threads go on; each gives a sign ten times a second.
const LOOK: Duration = Duration::from_secs(2);

/// How the front is.
#[derive(Debug)]
pub(crate) struct Readiness {
    is_alive: AtomicBool,
    takes_requests: AtomicBool,
}

impl Readiness {
    /// That of a front that has begun.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            is_alive: AtomicBool::new(true),
            takes_requests: AtomicBool::new(true),
        })
    }

    /// The front drains: what is not there yet is to go elsewhere.
    pub(crate) fn drains(&self) {
        self.takes_requests.store(false, Ordering::Relaxed);
    }

    /// Looks at the front's threads, for as long as somebody may ask.
    pub(crate) async fn follow(self: Arc<Self>, mut heartbeats: Heartbeats) {
        loop {
            tokio::time::sleep(LOOK).await;
            let is_alive = heartbeats.have_all_beaten();
            self.is_alive.store(is_alive, Ordering::Relaxed);
        }
    }

    /// Each thread has gone on a moment ago.
    pub(super) fn health(&self) -> Answer {
        match self.is_alive.load(Ordering::Relaxed) {
            true => (StatusCode::OK, "ok\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "a thread stands still\n"),
        }
    }

    pub(super) fn readiness(&self) -> Answer {
        match self.takes_requests.load(Ordering::Relaxed) {
            true => self.health(),
            false => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }
}

/// A status, and what it means.
pub(super) type Answer = (StatusCode, &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stands_still_and_a_drain_are_told_apart() {
        let readiness = Readiness::new();
        let statuses = || {
            (
                readiness.health().0.as_u16(),
                readiness.readiness().0.as_u16(),
            )
        };
        assert_eq!(statuses(), (200, 200));
        readiness.is_alive.store(false, Ordering::Relaxed);
        assert_eq!(statuses(), (503, 503));
        readiness.is_alive.store(true, Ordering::Relaxed);
        readiness.drains();
        assert_eq!(statuses(), (200, 503));
        assert_eq!(readiness.readiness().1, "draining\n");
    }
}
