//! What a front has under way, for whoever waits for its end and wants to say what for.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::shared::Shared;

/// Connections and requests of a front: its text is what there is of them at that moment.
#[derive(Debug, Clone)]
pub struct UnderWay(pub(crate) Arc<Shared>);

impl UnderWay {
    /// Requests that no instance has taken, by the queue's folder name.
    pub fn queue_depths(&self) -> Vec<(String, usize)> {
        self.0.queues.depths()
    }

    /// Changes whenever a request waits at a queue where none did.
    pub fn queue_waits(&self) -> watch::Receiver<()> {
        self.0.queues.waits()
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, upgraded) = self.0.connections.counts();
        write!(f, "connections: {open}")?;
        if upgraded > 0 {
            write!(f, ", upgraded: {upgraded}")?;
        }
        let queues = self.queue_depths();
        for (queue, requests) in queues.iter().filter(|(_, requests)| *requests > 0) {
            write!(f, ", not taken from queue {queue}: {requests}")?;
        }
        Ok(())
    }
}
