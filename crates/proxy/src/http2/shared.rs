//! What the streams of a connection share.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::queues::RelayPlaces;
use crate::tls::ClientFacts;
use crate::watch::Watch;
use crate::worker::Worker;

/// A connection, as its streams see it.
#[derive(Debug)]
pub(crate) struct Http2Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) facts: ClientFacts,
    pub(super) relays: RelayPlaces,
    pub(super) watch: Rc<Watch>,
    /// Exchanges under way.
    pub(super) open: Cell<usize>,
    pub(super) is_closing: Cell<bool>,
    /// When one last ended.
    pub(super) last_exchange: Rc<Cell<Option<Instant>>>,
    pub(super) resets: Resets,
}

/// Counts exchanges that the client has taken back: it costs it less to open a stream and reset it
/// than it costs to begin the exchange (CVE-2023-44487).
#[derive(Debug)]
pub(super) struct Resets {
    since: Cell<Instant>,
    count: Cell<u32>,
    most: u32,
}

impl Resets {
    /// None yet, and so many within a second at most.
    pub(super) fn new(since: Instant, most: u32) -> Self {
        Self {
            since: Cell::new(since),
            count: Cell::new(0),
            most,
        }
    }

    /// Takes one in; true when there have been too many within a second.
    pub(super) fn add(&self, now: Instant) -> bool {
        const WINDOW: Duration = Duration::from_secs(1);
        if now.saturating_duration_since(self.since.get()) >= WINDOW {
            self.since.set(now);
            self.count.set(0);
        }
        self.count.set(self.count.get().saturating_add(1));
        self.is_flood()
    }

    pub(super) fn is_flood(&self) -> bool {
        self.count.get() > self.most
    }
}

impl Http2Connection {
    /// From here on how the client takes what is left is judged, whether or not an exchange is under
    /// way: the connection stays for as long as that takes.
    pub(super) fn close(&self) {
        self.is_closing.set(true);
        self.watch.set_deadline(None);
        if self.open.get() == 0 {
            self.watch.data_rates.begin();
        }
    }
}
