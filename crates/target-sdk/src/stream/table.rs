//! The streams of one channel, by slot.

use std::sync::{Arc, Mutex, PoisonError};

use ostler_delegation::ChannelError;
use ostler_delegation::entry::ExchangeKey;
use ostler_delegation::stream_entry::BodyEntry;
use tokio::task::AbortHandle;

use super::halves::Stream;

/// Streams that are under way.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<Vec<Option<Entry>>>);

#[derive(Debug)]
struct Entry {
    stream: Arc<Stream>,
    task: Option<AbortHandle>,
}

impl Streams {
    /// A stream begins. False where its slot has one already.
    pub(super) fn insert(&self, stream: &Arc<Stream>) -> bool {
        let at = stream.key.slot as usize;
        let mut entries = self.lock();
        if entries.len() <= at {
            entries.resize_with(at + 1, || None);
        }
        let is_free = entries[at].is_none();
        if is_free {
            entries[at] = Some(Entry {
                stream: Arc::clone(stream),
                task: None,
            });
        }
        is_free
    }

    /// The task that a stream's exchange has become, unless it is over already.
    pub(crate) fn runs_as(&self, key: ExchangeKey, task: AbortHandle) {
        if let Some(entry) = find(&mut self.lock(), key) {
            entry.task = Some(task);
        }
    }

    /// A stream is over.
    pub(super) fn end(&self, key: ExchangeKey) {
        let mut entries = self.lock();
        if find(&mut entries, key).is_some() {
            let entry = entries[key.slot as usize].take();
            drop(entries);
            drop(entry);
        }
    }

    /// Takes in what the front says of a stream. Of one that is over it may not have heard so.
    pub(crate) fn arrive(&self, key: ExchangeKey, entry: BodyEntry) -> Result<(), ChannelError> {
        let stream = find(&mut self.lock(), key).map(|entry| Arc::clone(&entry.stream));
        stream.map_or(Ok(()), |stream| stream.arrive(entry))
    }

    /// Cancels a stream's exchange.
    pub(crate) fn cancel(&self, key: ExchangeKey) {
        let mut entries = self.lock();
        let entry = find(&mut entries, key);
        let found = entry.map(|entry| (Arc::clone(&entry.stream), entry.task.take()));
        // Outside the lock: aborting may drop the exchange, which takes it.
        drop(entries);
        if let Some((stream, task)) = found {
            stream.break_off();
            task.inspect(AbortHandle::abort);
        }
    }

    /// Cancels all of them: their front is gone, and their clients with it.
    pub(crate) fn cancel_all(&self) {
        let entries = std::mem::take(&mut *self.lock());
        for Entry { stream, task } in entries.into_iter().flatten() {
            stream.break_off();
            task.inspect(AbortHandle::abort);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(entries: &mut [Option<Entry>], key: ExchangeKey) -> Option<&mut Entry> {
    let entry = entries.get_mut(key.slot as usize)?.as_mut()?;
    (entry.stream.key == key).then_some(entry)
}
