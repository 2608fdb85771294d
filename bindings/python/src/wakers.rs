//! Waking tasks of the serving thread from Python's threads, many by one wake-up.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use tokio::sync::Notify;

/// Wakers of tasks that have something new to look at. The thread that runs them is woken by the first only,
/// and finds those that came meanwhile: on a busy thread one system call serves many answers.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    woken: Mutex<Vec<Waker>>,
    arrived: Notify,
}

impl Wakers {
    /// Has a task polled again.
    pub(crate) fn wake(&self, waker: Waker) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = woken.is_empty();
        woken.push(waker);
        drop(woken);
        if is_first {
            self.arrived.notify_one();
        }
    }

    /// Passes wake-ups on, for as long as it is polled by the thread whose tasks they are.
    pub(crate) async fn pass_on(&self) {
        loop {
            self.arrived.notified().await;
            let woken =
                std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner));
            woken.into_iter().for_each(Waker::wake);
        }
    }
}
