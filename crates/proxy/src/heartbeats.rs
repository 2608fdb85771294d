//! Signs of life of the front's threads, for a watchdog.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A count for each thread, which goes on while the thread does.
#[derive(Debug, Default)]
pub(crate) struct Threads(Mutex<Vec<Arc<AtomicU64>>>);

impl Threads {
    /// A new thread's.
    pub(crate) fn add(&self) -> Arc<AtomicU64> {
        let beats = Arc::default();
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(Arc::clone(&beats));
        beats
    }

    fn counts(&self) -> Vec<u64> {
        let threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = threads.iter().map(|beats| beats.load(Ordering::Relaxed));
        counts.collect()
    }
}

/// Tells whether a front's threads go on.
#[derive(Debug)]
pub struct Heartbeats {
    threads: Arc<Threads>,
    seen: Vec<u64>,
}

impl Heartbeats {
    pub(crate) fn new(threads: Arc<Threads>) -> Self {
        let seen = Vec::new();
        Self { threads, seen }
    }

    /// Whether each thread has gone on since the last call; one does so ten times a second.
    pub fn have_all_beaten(&mut self) -> bool {
        let now = self.threads.counts();
        let before = std::mem::replace(&mut self.seen, now);
        let each = before.iter().zip(&self.seen);
        each.into_iter().all(|(before, now)| before != now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_that_stands_still_is_noticed() {
        let threads = Arc::<Threads>::default();
        let (one, other) = (threads.add(), threads.add());
        let mut heartbeats = Heartbeats::new(threads);
        assert!(heartbeats.have_all_beaten());
        one.fetch_add(1, Ordering::Relaxed);
        assert!(!heartbeats.have_all_beaten());
        one.fetch_add(1, Ordering::Relaxed);
        other.fetch_add(1, Ordering::Relaxed);
        assert!(heartbeats.have_all_beaten());
    }
}
