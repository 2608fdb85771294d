//! The thread that sends spans, and the spans that wait for it: so many at most.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::Notify;

use super::send::{Collector, NotSent};

/// Spans that wait to be sent.
const ROOM: usize = 4096;
/// Most spans of a request.
const BATCH: usize = 512;
/// How long spans are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
type Pauses = [Duration; 4];

/// Pauses between attempts to send the same spans; then they are given up.
const PAUSES: Pauses = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// What becomes of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Sent,
    /// There was no room.
    Dropped,
    /// The collector did not take it.
    Failed,
}

/// What waits for the thread.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    items: Mutex<Items<T>>,
    /// So many items, to be looked at without the lock.
    length: AtomicUsize,
    /// There is a batch, or it is to end.
    changed: Notify,
    ended: Condvar,
    fates: [AtomicU64; 3],
}

#[derive(Debug)]
struct Items<T> {
    items: Vec<T>,
    is_closing: bool,
    has_ended: bool,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            items: Mutex::new(Items {
                items: Vec::new(),
                is_closing: false,
                has_ended: false,
            }),
            length: AtomicUsize::new(0),
            changed: Notify::new(),
            ended: Condvar::new(),
            fates: Default::default(),
        }
    }
}

impl<T> Waiting<T> {
    /// Whether one more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.length.load(Ordering::Relaxed) < ROOM
    }

    pub(super) fn push(&self, item: T) {
        let mut items = self.lock();
        if items.is_closing || items.items.len() >= ROOM {
            drop(items);
            return self.drop_one();
        }
        items.items.push(item);
        let length = items.items.len();
        self.length.store(length, Ordering::Relaxed);
        drop(items);
        if length == BATCH {
            self.changed.notify_one();
        }
    }

    pub(super) fn drop_one(&self) {
        self.add(Fate::Dropped, 1);
    }

    pub(super) fn count(&self, fate: Fate) -> u64 {
        self.fates[fate as usize].load(Ordering::Relaxed)
    }

    fn add(&self, fate: Fate, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.fates[fate as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Has the thread send what is there, and waits for its end for so long.
    pub(super) fn close(&self, patience: Duration) {
        let mut items = self.lock();
        items.is_closing = true;
        self.changed.notify_one();
        let waited = self
            .ended
            .wait_timeout_while(items, patience, |items| !items.has_ended);
        let (items, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            let left = items.items.len();
            tracing::warn!(
                left,
                "spans are lost: the collector does not take the last ones"
            );
        }
    }

    /// The next batch, once there is one or some time is over; `None` at the end.
    async fn next(&self) -> Option<Vec<T>> {
        loop {
            let _ = tokio::time::timeout(GATHER, self.changed.notified()).await;
            let mut items = self.lock();
            let count = items.items.len().min(BATCH);
            let batch: Vec<T> = items.items.drain(..count).collect();
            self.length.store(items.items.len(), Ordering::Relaxed);
            if items.is_closing || items.items.len() >= BATCH {
                // The next turn does not wait.
                self.changed.notify_one();
            }
            match (batch.is_empty(), items.is_closing) {
                (false, _) => return Some(batch),
                (true, true) => return None,
                (true, false) => {}
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.lock().is_closing
    }

    fn end(&self) {
        self.lock().has_ended = true;
        self.ended.notify_all();
    }

    /// A thread that panicked has left whole items behind.
    fn lock(&self) -> MutexGuard<'_, Items<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread.
pub(super) fn start(waiting: Arc<Waiting<Span>>, mut collector: Collector) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = move || {
        runtime.block_on(async {
            let mut is_failing = false;
            while let Some(batch) = waiting.next().await {
                send(&waiting, batch, &mut is_failing, PAUSES, async |spans| {
                    collector.send(spans).await
                })
                .await;
            }
        });
        waiting.end();
    };
    std::thread::Builder::new()
        .name("traces".to_owned())
        .spawn(run)?;
    Ok(())
}

/// Sends a batch, again for a while where that may help; not once the front ends.
async fn send<T: Clone>(
    waiting: &Waiting<T>,
    batch: Vec<T>,
    is_failing: &mut bool,
    pauses: Pauses,
    mut attempt: impl AsyncFnMut(Vec<T>) -> Result<usize, NotSent>,
) {
    let count = batch.len();
    let mut pauses = pauses.into_iter();
    loop {
        let sent = in_time(attempt(batch.clone())).await;
        let error = match sent {
            Ok(refused) => {
                if std::mem::take(is_failing) {
                    tracing::info!("the collector takes spans again");
                }
                waiting.add(Fate::Failed, refused);
                return waiting.add(Fate::Sent, count.saturating_sub(refused));
            }
            Err(error) => error,
        };
        if !std::mem::replace(is_failing, true) {
            tracing::warn!(%error, "the collector does not take spans");
        }
        match pauses.next() {
            Some(pause) if error.may_pass() && !waiting.is_closing() => {
                tokio::time::sleep(pause).await;
            }
            _ => return waiting.add(Fate::Failed, count),
        }
    }
}

async fn in_time(sent: impl Future<Output = Result<usize, NotSent>>) -> Result<usize, NotSent> {
    let sent = tokio::time::timeout(TIMEOUT, sent).await;
    sent.unwrap_or_else(|_elapsed| Err(NotSent::Transient("no answer in time".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> NotSent {
        NotSent::Transient("down".to_owned())
    }

    #[tokio::test]
    async fn what_a_collector_does_not_take_is_sent_again_and_then_given_up() {
        let waiting = Waiting::<u8>::default();
        for (answers, attempts, sent) in [
            (vec![Ok(0)], 1, 3),
            (vec![Err(down()), Err(down()), Ok(0)], 3, 3),
            (vec![Err(NotSent::Refused("no".to_owned()))], 1, 0),
            ((0..5).map(|_| Err(down())).collect(), 5, 0),
            // Two of them were refused.
            (vec![Ok(2)], 1, 1),
        ] {
            let (before, mut asked) = (waiting.count(Fate::Sent), 0);
            let mut answers = answers.into_iter();
            let attempt = async |batch: Vec<u8>| {
                assert_eq!(batch, [1, 2, 3]);
                asked += 1;
                answers.next().expect("it is not asked more often")
            };
            send(
                &waiting,
                vec![1, 2, 3],
                &mut false,
                [Duration::ZERO; 4],
                attempt,
            )
            .await;
            assert_eq!(asked, attempts);
            assert_eq!(waiting.count(Fate::Sent) - before, sent);
        }
        assert_eq!(waiting.count(Fate::Failed), 8);
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_dropped_and_the_rest_goes_in_batches() {
        let waiting = Waiting::<usize>::default();
        for item in 0..ROOM + 7 {
            waiting.push(item);
        }
        assert!(!waiting.has_room());
        assert_eq!(waiting.count(Fate::Dropped), 7);
        let mut next = 0;
        while next < ROOM {
            let batch = waiting.next().await.unwrap();
            assert_eq!(batch, (next..next + BATCH).collect::<Vec<_>>());
            next += BATCH;
        }
        waiting.push(1);
        waiting.lock().is_closing = true;
        waiting.changed.notify_one();
        assert_eq!(waiting.next().await, Some(vec![1]));
        assert_eq!(waiting.next().await, None);
        waiting.push(2);
        assert_eq!(waiting.count(Fate::Dropped), 8);
    }

    #[tokio::test]
    async fn a_front_that_ends_does_not_wait_for_a_collector_that_is_down() {
        let waiting = Waiting::<u8>::default();
        waiting.lock().is_closing = true;
        let mut asked = 0;
        send(&waiting, vec![1], &mut false, PAUSES, async |_| {
            asked += 1;
            Err(down())
        })
        .await;
        assert_eq!(asked, 1);
    }
}
