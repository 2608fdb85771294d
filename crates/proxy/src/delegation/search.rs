//! An exchange that looks for an instance of a queue: what it has tried, and how long it may wait.

use std::time::Instant;

use crate::queues::{Passed, Rule, Ticket};
use crate::worker::Worker;

/// It outlasts an attempt that comes to nothing.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) passed: Passed,
    /// Its place in the line, while it has one.
    pub(crate) ticket: Option<Ticket>,
    /// Since when no instance has been there.
    pub(super) alone_since: Option<Instant>,
    /// It has found room within the queue's limit, and keeps it.
    pub(super) is_admitted: bool,
    /// When it has waited for too long.
    pub(crate) deadline: Instant,
}

impl Search {
    pub(crate) fn new(worker: &Worker, rule: &Rule) -> Self {
        Self {
            passed: Passed::default(),
            ticket: None,
            alone_since: None,
            is_admitted: false,
            deadline: worker.now() + rule.queue.properties().wait_timeout(),
        }
    }
}
