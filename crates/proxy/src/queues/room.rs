//! Listening for room in a channel: what is registered with the runtime only while somebody waits.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;

use ostler_readiness::{readable, writable};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

/// What a channel is waited for.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Hears that the target has taken entries; from the first time that somebody waits for that on.
    taking: RefCell<Option<AbortHandle>>,
    /// Hears that the control socket takes messages; while it does not.
    writable: RefCell<Option<AbortHandle>>,
    /// Somebody waits for a slot.
    slot: Cell<bool>,
}

impl Room {
    /// Calls `told` each time that the eventfd is written. False when it cannot be registered.
    pub(super) fn listen(&self, eventfd: io::Result<OwnedFd>, told: impl Fn() + 'static) -> bool {
        let mut taking = self.taking.borrow_mut();
        if taking.is_some() {
            return true;
        }
        let Ok(eventfd) = eventfd.and_then(readable) else {
            return false;
        };
        let task = tokio::task::spawn_local(async move {
            while let Ok(mut guard) = eventfd.readable().await {
                guard.clear_ready();
                told();
            }
        });
        *taking = Some(task.abort_handle());
        true
    }

    /// Calls `told` once the socket takes messages. Where it cannot be registered nothing is told.
    pub(super) fn listen_for_writable(
        &self,
        socket: io::Result<OwnedFd>,
        told: impl FnOnce() + 'static,
    ) {
        let mut listening = self.writable.borrow_mut();
        if listening.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let Ok(socket) = socket.and_then(writable) else {
            return;
        };
        let task = tokio::task::spawn_local(async move {
            if is_writable(&socket).await {
                told();
            }
        });
        *listening = Some(task.abort_handle());
    }

    pub(super) fn want_slot(&self) {
        self.slot.set(true);
    }

    /// Whether somebody waits for a slot, who is then to be called.
    #[inline]
    pub(super) fn is_slot_wanted(&self) -> bool {
        self.slot.get() && self.slot.take()
    }

    pub(super) fn stop_listening(&self) {
        let tasks = [self.taking.take(), self.writable.take()];
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.stop_listening();
    }
}

async fn is_writable(socket: &AsyncFd<OwnedFd>) -> bool {
    socket.ready(Interest::WRITABLE).await.is_ok()
}
