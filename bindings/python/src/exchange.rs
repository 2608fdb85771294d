//! An exchange as both sides see it: Python reads the request and gives the response, the serving thread does the
//! reverse.

mod incoming;
mod outgoing;
mod python;
mod waiting;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use self::incoming::{Incoming, Progress};
use self::outgoing::Outgoing;
pub(crate) use self::outgoing::{Content, Piece};
pub(crate) use self::python::PyHttpExchange;
pub(crate) use self::waiting::{Waiting, remember, resolve};
use crate::ClientDisconnected;
use crate::inbox::{Changed, Event, Inbox};
use crate::wakers::Wakers;

/// Bytes that are held for whoever takes them; above it whoever gives them waits. uvicorn's number.
pub(crate) const HIGH_WATER: usize = 64 * 1024;

/// A request that an application answers.
#[derive(Debug)]
pub(crate) struct HttpExchange {
    /// Nothing that may run Python code happens while it is locked.
    state: Mutex<State>,
    /// Something changed that a thread may wait for.
    changed: Condvar,
    inbox: Arc<Inbox>,
    wakers: Arc<Wakers>,
}

#[derive(Debug, Default)]
struct State {
    incoming: Incoming,
    outgoing: Outgoing,
    /// The client is gone, or the response has reached it: there is nothing more to say.
    over: bool,
    /// The response has no body whatever the application gives: of `HEAD`, or by its status.
    bodiless: bool,
    /// The task on the serving thread that takes part.
    task: Option<Waker>,
    waiting: Waiting,
}

/// The serving thread's side.
impl HttpExchange {
    pub(crate) fn new(inbox: &Arc<Inbox>, wakers: &Arc<Wakers>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            inbox: Arc::clone(inbox),
            wakers: Arc::clone(wakers),
        }
    }

    /// Nobody wants the response's body.
    pub(crate) fn expect_no_body(&self) {
        self.lock().bodiless = true;
    }

    /// The client waits to be told before it sends the body: it is read once the application asks.
    pub(crate) fn await_demand(&self) {
        self.lock().incoming.wanted = false;
    }

    /// Whether more of the request's body is to be read now; if not, the task is woken when it is.
    pub(crate) fn has_room(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        remember(&mut state.task, cx);
        state.incoming.has_room()
    }

    /// A piece of the request's body has arrived.
    pub(crate) fn put(self: &Arc<Self>, piece: Bytes) {
        let mut state = self.lock();
        state.incoming.push(piece);
        self.announce(state);
    }

    /// No more of the request's body comes.
    pub(crate) fn end_body(self: &Arc<Self>, is_whole: bool) {
        let mut state = self.lock();
        state.incoming.progress = match is_whole {
            true => Progress::Whole,
            false => Progress::Broken,
        };
        self.announce(state);
    }

    /// The response once the application has begun it.
    pub(crate) fn poll_response(&self, cx: &Context<'_>) -> Option<http::Response<Content>> {
        let mut state = self.lock();
        remember(&mut state.task, cx);
        state.outgoing.take()
    }

    /// The next of a response that comes in pieces.
    pub(crate) fn poll_piece(self: &Arc<Self>, cx: &Context<'_>) -> Option<Piece> {
        let mut state = self.lock();
        remember(&mut state.task, cx);
        let was_full = state.outgoing.is_full();
        let piece = state.outgoing.next();
        if was_full && !state.outgoing.is_full() {
            self.announce(state);
        }
        piece
    }

    /// The exchange is over: the client has the response, or is gone.
    pub(crate) fn end(self: &Arc<Self>) {
        let mut state = self.lock();
        state.over = true;
        state.task = None;
        self.announce(state);
    }

    fn announce(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let tell = state.waiting.tell();
        let has_sleepers = state.waiting.has_sleepers();
        drop(state);
        if tell {
            let changed = Changed::Http(Arc::clone(self));
            self.inbox.push(Event::Changed(changed));
        }
        if has_sleepers {
            self.changed.notify_all();
        }
    }
}

/// Python's side.
impl HttpExchange {
    /// Answers with a response that is not the application's own.
    pub(crate) fn answer(&self, response: http::Response<Content>) -> PyResult<()> {
        let mut state = self.lock();
        if !matches!(state.outgoing, Outgoing::Expected) {
            return Err(PyRuntimeError::new_err("the response has been started"));
        }
        if state.over {
            return Err(gone());
        }
        state.outgoing = Outgoing::Ready(Box::new(response), None);
        self.wake(state);
        Ok(())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Resolves the futures of whoever waits, on the event loop's thread.
    pub(crate) fn resolve(&self, py: Python<'_>) -> PyResult<()> {
        let futures = self.lock().waiting.take();
        resolve(py, futures)
    }

    /// Has the serving thread look again.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            self.wakers.wake(task);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What whoever sends to a client that is gone is told.
pub(crate) fn gone() -> PyErr {
    ClientDisconnected::new_err("the client is gone")
}
