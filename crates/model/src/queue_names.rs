//! The request queues that destinations name, and how many destinations name each.

use std::collections::HashMap;

use crate::destination::DestinationModel;

/// Names of queues, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueNames(HashMap<String, usize>);

impl QueueNames {
    /// Each name.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A destination has come.
    pub(crate) fn add(&mut self, destination: &DestinationModel) {
        if let Some(name) = &destination.queue {
            *self.0.entry(name.clone()).or_default() += 1;
        }
    }

    /// A destination has gone.
    pub(crate) fn remove(&mut self, destination: &DestinationModel) {
        let Some(name) = &destination.queue else {
            return;
        };
        if let Some(count) = self.0.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(name);
            }
        }
    }

    /// Whether the names are the same, however many name each.
    pub(crate) fn are(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.keys().all(|name| other.0.contains_key(name))
    }
}
