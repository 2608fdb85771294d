//! What one thread counts. Its cells are written by it alone, so that no exchange waits for a cache line of
//! another thread's; who wants to know adds up.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::asked::{Asked, KnownMethod};
use super::connections::{ConnectionCells, ConnectionEnd, Refusal};
use super::histogram::increase;
use super::series::{Counted, Course, Held, Key, Manner, Series};
use crate::outcome::Outcome;

/// Most series of a thread. What there is no room for is counted as one.
const MOST_SERIES: usize = 4000;

/// The counts of a thread, in its own hands.
#[derive(Debug)]
pub(crate) struct ThreadMetrics {
    cells: Arc<ThreadCells>,
    /// The series of exchanges under the configuration in force, by the addresses of what they go by.
    held: RefCell<HashMap<(Manner, usize, usize), Held>>,
}

/// The same, for others to read.
#[derive(Debug, Default)]
pub(super) struct ThreadCells {
    /// By method, and whether it is https.
    begun: [[AtomicU64; 2]; KnownMethod::COUNT],
    ended: [[AtomicU64; 2]; KnownMethod::COUNT],
    pub(super) connections: ConnectionCells,
    /// Exchanges that went to another destination than the first.
    elsewhere: AtomicU64,
    /// Connections to destinations that are ready, by destination; seen once a second.
    pub(super) ready: Mutex<Vec<Ready>>,
    /// Locked when a series is new or somebody reads, not for an exchange.
    series: Mutex<HashMap<Key, Arc<Series>>>,
}

/// A destination's connections that are ready for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) is_https: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Idle, over HTTP/1.1.
    pub(crate) http1: usize,
    /// Open, over HTTP/2.
    pub(crate) http2: usize,
}

/// An exchange that is being measured.
#[derive(Debug)]
pub(crate) struct Measured {
    metrics: Rc<ThreadMetrics>,
    asked: Asked,
}

impl ThreadMetrics {
    pub(super) fn new(cells: Arc<ThreadCells>) -> Self {
        let held = RefCell::default();
        Self { cells, held }
    }

    /// An exchange begins.
    pub(crate) fn begin(self: &Rc<Self>, asked: Asked) -> Measured {
        increase(
            &self.cells.begun[asked.method.index()][usize::from(asked.is_https)],
            1,
        );
        Measured {
            metrics: Rc::clone(self),
            asked,
        }
    }

    /// A client's connection is over.
    pub(crate) fn connection_ended(&self, end: ConnectionEnd, lasted: Duration) {
        self.cells.connections.ended(end, lasted);
    }

    /// A client's connection is not let in.
    pub(crate) fn connection_refused(&self, refusal: Refusal) {
        self.cells.connections.refused(refusal);
    }

    /// These connections to destinations are ready.
    pub(crate) fn are_ready(&self, ready: Vec<Ready>) {
        *self
            .cells
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = ready;
    }

    /// Another configuration is in force: addresses may mean something else. Where there is no room for new
    /// series all begin anew, as those of a process that has just been started: some may be of routes and
    /// destinations that are no more.
    pub(crate) fn forget_addresses(&self) {
        self.held.borrow_mut().clear();
        let mut series = self.cells.lock();
        if series.len() >= MOST_SERIES {
            series.clear();
        }
    }

    fn end(&self, asked: Asked, outcome: &Outcome) {
        increase(
            &self.cells.ended[asked.method.index()][usize::from(asked.is_https)],
            1,
        );
        let manner = Manner::of(asked, outcome);
        let route = outcome
            .route
            .as_ref()
            .map_or(0, |route| Arc::as_ptr(route) as usize);
        let destination = outcome.destination.as_ref();
        let at = destination.map_or(0, |destination| Arc::as_ptr(destination) as usize);
        let mut held = self.held.borrow_mut();
        if held.len() >= MOST_SERIES && !held.contains_key(&(manner, route, at)) {
            self.cells.series(manner, outcome).add(outcome);
            return;
        }
        let held = held.entry((manner, route, at)).or_insert_with(|| Held {
            series: self.cells.series(manner, outcome),
            _route: outcome.route.clone(),
            _destination: outcome.destination.clone(),
        });
        held.series.add(outcome);
    }
}

impl Measured {
    /// It goes to another destination than it was to.
    pub(crate) fn goes_elsewhere(&self) {
        increase(&self.metrics.cells.elsewhere, 1);
    }

    /// It is over.
    pub(crate) fn end(self, outcome: &Outcome) {
        self.metrics.end(self.asked, outcome);
    }
}

impl ThreadCells {
    fn series(&self, manner: Manner, outcome: &Outcome) -> Arc<Series> {
        let mut key = Key {
            manner,
            course: Course::of(outcome.route.as_deref(), outcome.destination.as_deref()),
        };
        let mut series = self.lock();
        if series.len() >= MOST_SERIES && !series.contains_key(&key) {
            key = Key {
                manner: Manner::of_the_rest(outcome.mode),
                course: Course::of_the_rest(),
            };
        }
        Arc::clone(series.entry(key).or_default())
    }

    /// What there is of each kind of exchange.
    pub(super) fn read(&self) -> Vec<(Key, Counted)> {
        let series = self.lock();
        let series = series.iter();
        series
            .map(|(key, series)| (key.clone(), series.read()))
            .collect()
    }

    /// How many exchanges went to another destination than the first.
    pub(super) fn elsewhere(&self) -> u64 {
        self.elsewhere.load(Ordering::Relaxed)
    }

    /// How many exchanges are under way.
    pub(super) fn active(&self, method: KnownMethod, is_https: bool) -> u64 {
        let count = |cells: &[[AtomicU64; 2]; KnownMethod::COUNT]| {
            cells[method.index()][usize::from(is_https)].load(Ordering::Relaxed)
        };
        // In this order, so that what ends between the two is not less than nothing.
        let ended = count(&self.ended);
        count(&self.begun).saturating_sub(ended)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Series>>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16) -> Outcome {
        Outcome::local(status, 10, Duration::from_millis(1))
    }

    fn get() -> Asked {
        Asked::request("GET", http::Version::HTTP_11, false)
    }

    #[test]
    fn exchanges_that_are_alike_are_one_series() {
        let cells = Arc::<ThreadCells>::default();
        let metrics = Rc::new(ThreadMetrics::new(Arc::clone(&cells)));
        let under_way = metrics.begin(get());
        for status in [200, 200, 404] {
            metrics.begin(get()).end(&outcome(status));
            // The cells of before are found again.
            metrics.forget_addresses();
        }
        let mut counts: Vec<_> = cells
            .read()
            .into_iter()
            .map(|(key, counted)| {
                (
                    key.manner.status,
                    counted.whole.count(),
                    counted.response_bytes,
                )
            })
            .collect();
        counts.sort_unstable();
        assert_eq!(counts, [(200, 2, 20), (404, 1, 10)]);
        assert_eq!(cells.active(get().method, false), 1);
        under_way.end(&outcome(200));
        assert_eq!(cells.active(get().method, false), 0);
    }

    #[test]
    fn what_is_too_much_to_be_told_apart_is_counted_as_one() {
        let cells = Arc::<ThreadCells>::default();
        let metrics = Rc::new(ThreadMetrics::new(Arc::clone(&cells)));
        let more = 50;
        for status in 0..(MOST_SERIES + more) {
            metrics
                .begin(get())
                .end(&outcome(u16::try_from(status).unwrap()));
        }
        let read = cells.read();
        assert_eq!(read.len(), MOST_SERIES + 1);
        let rest = read
            .iter()
            .find(|(key, _)| key.course == Course::of_the_rest());
        assert_eq!(rest.unwrap().1.whole.count(), more as u64);
    }
}
