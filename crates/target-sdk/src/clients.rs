//! The client connections of one channel, by slot, and the exchange each is in.

use std::sync::{Arc, Mutex, PoisonError};

use ostler_delegation::entry::ExchangeKey;
use tokio::task::AbortHandle;

use crate::client::Client;
use crate::lease_state::LeaseState;

/// A table by slot. Dropping a client here closes it unless an exchange, or an application it was
/// detached to, still holds it.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<Vec<Option<Entry>>>);

#[derive(Debug)]
struct Entry {
    generation: u32,
    client: Arc<Client>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    exchange: u32,
    task: Option<AbortHandle>,
    /// The lease that it has begun, or may begin.
    lease: Option<Arc<LeaseState>>,
}

impl Running {
    /// Whether it waits for a next request under a lease, and has just been told not to.
    fn rested(&self) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.end_if_resting())
    }
}

impl Clients {
    /// Takes a connection in; one that had the slot is over.
    pub(crate) fn insert(&self, slot: u32, generation: u32, client: Client) {
        let at = slot as usize;
        let mut entries = self.lock();
        if entries.len() <= at {
            entries.resize_with(at + 1, || None);
        }
        entries[at] = Some(Entry {
            generation,
            client: Arc::new(client),
            running: None,
        });
    }

    /// The connection of an exchange that begins.
    pub(crate) fn begin(&self, key: ExchangeKey) -> Option<Arc<Client>> {
        let mut entries = self.lock();
        let entry = find(&mut entries, key.slot, key.generation)?;
        entry.running = Some(Running {
            exchange: key.exchange,
            task: None,
            lease: None,
        });
        Some(Arc::clone(&entry.client))
    }

    /// The task that an exchange has become, unless it is over already.
    pub(crate) fn runs_as(&self, key: ExchangeKey, task: AbortHandle) {
        let mut entries = self.lock();
        let entry = find(&mut entries, key.slot, key.generation);
        if let Some(running) = entry.and_then(|entry| entry.running.as_mut())
            && running.exchange == key.exchange
        {
            running.task = Some(task);
        }
    }

    /// The lease that an exchange may begin.
    pub(crate) fn leases(&self, key: ExchangeKey, lease: &Arc<LeaseState>) {
        let mut entries = self.lock();
        let entry = find(&mut entries, key.slot, key.generation);
        if let Some(running) = entry.and_then(|entry| entry.running.as_mut())
            && running.exchange == key.exchange
        {
            running.lease = Some(Arc::clone(lease));
        }
    }

    /// Ends every lease whose connection waits for a request, which goes back to the front.
    pub(crate) fn hand_back_resting(&self) {
        let mut entries = self.lock();
        let running = entries.iter_mut().flatten();
        let rested = running.filter_map(|entry| entry.running.as_mut());
        let rested = rested.filter(|running| running.rested());
        let tasks: Vec<_> = rested.filter_map(|running| running.task.take()).collect();
        // Outside the lock: aborting may drop the task, which takes it.
        drop(entries);
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// An exchange is over; its connection stays if `keep` says so.
    pub(crate) fn end(&self, key: ExchangeKey, keep: impl FnOnce() -> bool) {
        let mut entries = self.lock();
        let Some(entry) = find(&mut entries, key.slot, key.generation) else {
            return;
        };
        entry.running = None;
        let gone = if keep() {
            None
        } else {
            entries[key.slot as usize].take()
        };
        drop(entries);
        drop(gone);
    }

    /// Cancels an exchange if it is the one under way.
    pub(crate) fn cancel(&self, key: ExchangeKey) {
        let mut entries = self.lock();
        let entry = find(&mut entries, key.slot, key.generation);
        let running = entry.and_then(|entry| entry.running.as_mut());
        let task = running.filter(|running| running.exchange == key.exchange);
        let task = task.and_then(|running| running.task.take());
        // Outside the lock: aborting may drop the exchange, which takes it.
        drop(entries);
        if let Some(task) = task {
            task.abort();
        }
    }

    /// A connection is over, and the exchange on it, if any, with it.
    pub(crate) fn close(&self, slot: u32, generation: u32) {
        let mut entries = self.lock();
        if find(&mut entries, slot, generation).is_none() {
            return;
        }
        let entry = entries[slot as usize].take();
        drop(entries);
        if let Some(task) = entry
            .and_then(|entry| entry.running)
            .and_then(|running| running.task)
        {
            task.abort();
        }
    }

    /// Closes every connection that is in no exchange.
    pub(crate) fn close_idle(&self) {
        let mut idle = Vec::new();
        for entry in self.lock().iter_mut() {
            let is_idle = |entry: &Entry| entry.running.as_ref().is_none_or(Running::rested);
            if entry.as_ref().is_some_and(is_idle) {
                idle.push(entry.take());
            }
        }
        for entry in idle.into_iter().flatten() {
            entry.client.close_notify_now();
            // Who holds the socket for a next request lets go of it.
            let task = entry.running.and_then(|running| running.task);
            task.iter().for_each(AbortHandle::abort);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(entries: &mut [Option<Entry>], slot: u32, generation: u32) -> Option<&mut Entry> {
    let entry = entries.get_mut(slot as usize)?.as_mut()?;
    (entry.generation == generation).then_some(entry)
}
