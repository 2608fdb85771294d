//! Watching a queue's folder for instances that come.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Weak;

use ostler_delegation::runtime::RuntimeFolder;
use ostler_readiness::readable;
use ostler_shm::WatchedFolder;
use tokio::io::unix::AsyncFd;

use super::Queue;
use crate::error_chain::Chain;

/// Tells the queue of each change in its folder, for as long as it is polled.
pub(super) async fn watch(queue: Weak<Queue>) {
    let started = match queue.upgrade() {
        Some(queue) => start_watching(&queue.registry.runtime),
        None => return,
    };
    let (ready, mut watched) = match started {
        Ok(started) => started,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "cannot watch the runtime folder; instances are found by requests");
            return;
        }
    };
    loop {
        let Some(queue) = queue.upgrade() else {
            return;
        };
        // Fails until the queue exists; then the watch of the folder above has told.
        let _ = watched.watch(queue.folder.path());
        queue.scan();
        // That the queue is gone is news too for those that wait for an instance of it.
        queue.call();
        drop(queue);
        match ready.readable().await {
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => return,
        }
        let _ = watched.drain();
    }
}

/// A watch on the folder of queues; a queue's own is watched as well once it exists.
fn start_watching(runtime: &RuntimeFolder) -> io::Result<(AsyncFd<OwnedFd>, WatchedFolder)> {
    runtime.make_queues().map_err(io::Error::other)?;
    let mut watched = WatchedFolder::new()?;
    watched.watch(&runtime.queues_path())?;
    let descriptor = watched.as_fd().try_clone_to_owned()?;
    Ok((readable(descriptor)?, watched))
}
