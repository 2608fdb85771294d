//! Who waits for something to change: coroutines by futures, threads by sleeping.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use pyo3::prelude::*;
use pyo3::{Bound, intern};

/// Those who wait for one exchange.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    futures: Vec<Py<PyAny>>,
    /// The futures' event loop has been told.
    announced: bool,
    sleepers: usize,
}

impl Waiting {
    /// Whether the event loop is to be told: somebody waits there and it has not been.
    pub(crate) fn tell(&mut self) -> bool {
        if self.futures.is_empty() || self.announced {
            return false;
        }
        self.announced = true;
        true
    }

    /// Whether threads sleep.
    pub(crate) fn has_sleepers(&self) -> bool {
        self.sleepers > 0
    }

    pub(crate) fn take(&mut self) -> Vec<Py<PyAny>> {
        self.announced = false;
        std::mem::take(&mut self.futures)
    }

    pub(crate) fn push(&mut self, future: Py<PyAny>) {
        self.futures.push(future);
    }
}

/// Sleeps until something has changed.
pub(super) fn sleep<'a>(
    changed: &Condvar,
    mut state: MutexGuard<'a, super::State>,
) -> MutexGuard<'a, super::State> {
    state.waiting.sleepers += 1;
    let mut state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    state.waiting.sleepers -= 1;
    state
}

/// Resolves futures that nobody has cancelled.
pub(crate) fn resolve(py: Python<'_>, futures: Vec<Py<PyAny>>) -> PyResult<()> {
    for future in futures {
        let future: &Bound<'_, PyAny> = future.bind(py);
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
    }
    Ok(())
}

/// Keeps a task's waker.
pub(crate) fn remember(task: &mut Option<Waker>, cx: &Context<'_>) {
    match task {
        Some(task) => task.clone_from(cx.waker()),
        None => *task = Some(cx.waker().clone()),
    }
}
