//! What a front counts and measures of exchanges. Each thread has cells of its own; an exchange is told of
//! where its account ends.

mod asked;
pub(crate) mod catalog;
mod connections;
mod exchanges;
mod family;
mod histogram;
mod queues;
mod series;
mod thread;
mod totals;

use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use asked::Asked;
pub(crate) use connections::{ConnectionEnd, Refusal};
pub use family::{Attributes, Description, Family, Kind, Point, Value};
pub use histogram::Durations;
pub(crate) use queues::{QueueCells, QueueCounts, QueueEvent};
pub(crate) use thread::{Measured, Ready, ThreadMetrics};

use thread::ThreadCells;

/// What all threads have counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Vec<Arc<ThreadCells>>>);

impl Metrics {
    /// A thread begins to count.
    pub(crate) fn thread(&self) -> ThreadMetrics {
        let cells = Arc::<ThreadCells>::default();
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(Arc::clone(&cells));
        ThreadMetrics::new(cells)
    }

    fn threads(&self) -> Vec<Arc<ThreadCells>> {
        let threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.clone()
    }
}
