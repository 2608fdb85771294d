//! The one-shot timer that gives an unhealthy destination another chance (reference A7.4).

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A destination's timer. It lives with the destination, so a reload does not stop it
/// (reference A7.5).
#[derive(Debug, Default)]
pub(crate) struct Reactivation(Mutex<Option<Instant>>);

impl Reactivation {
    /// Sets the timer; one that is pending is not set anew. True when it was set.
    pub(crate) fn schedule(&self, at: Instant) -> bool {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = pending.is_none();
        pending.get_or_insert(at);
        free
    }

    /// When it fires, if it is set.
    pub(crate) fn pending(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it fires now, which it does once.
    pub(crate) fn fires(&self, now: Instant) -> bool {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.take_if(|at| *at <= now).is_some()
    }
}
