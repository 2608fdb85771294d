//! Waits that may last up to a tick too long and cost nearly nothing: a place in a list that the
//! worker looks through once a tick, instead of a timer of the runtime's for each exchange.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often a worker's clock advances.
pub(crate) const TICK: Duration = Duration::from_millis(100);

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    static SLEEPERS: RefCell<slab::Slab<Sleeper>> = const { RefCell::new(slab::Slab::new()) };
}

#[derive(Debug)]
struct Sleeper {
    until: Instant,
    waker: Waker,
}

/// The time of this thread's last tick: at most a tick ago.
pub(crate) fn now() -> Instant {
    NOW.get().unwrap_or_else(crate::clock::now)
}

/// A tick: wakes those whose time has come.
pub(crate) fn advance(now: Instant) {
    NOW.set(Some(now));
    SLEEPERS.with_borrow(|sleepers| {
        for (_, sleeper) in sleepers {
            if sleeper.until <= now {
                sleeper.waker.wake_by_ref();
            }
        }
    });
}

/// A wait on this thread; dropping it ends it.
#[derive(Debug, Default)]
pub(crate) struct SlowTimer {
    at: Option<usize>,
}

impl SlowTimer {
    /// Ready once a tick has come at `until` or later. Another `until` takes the place of the one
    /// before.
    pub(crate) fn poll_until(&mut self, until: Instant, cx: &Context<'_>) -> Poll<()> {
        if now() >= until {
            return Poll::Ready(());
        }
        SLEEPERS.with_borrow_mut(
            |sleepers| match self.at.and_then(|at| sleepers.get_mut(at)) {
                Some(sleeper) => {
                    sleeper.until = until;
                    sleeper.waker.clone_from(cx.waker());
                }
                None => {
                    let waker = cx.waker().clone();
                    self.at = Some(sleepers.insert(Sleeper { until, waker }));
                }
            },
        );
        Poll::Pending
    }
}

impl Drop for SlowTimer {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            // A thread that ends has dropped the list.
            let _ = SLEEPERS.try_with(|sleepers| sleepers.borrow_mut().try_remove(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_by_the_first_tick_at_its_time() {
        let begun = crate::clock::now();
        let at = |ticks: u32| begun + ticks * TICK;
        advance(begun);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let (mut early, mut late) = (SlowTimer::default(), SlowTimer::default());
        assert!(early.poll_until(at(2), &cx).is_pending());
        assert!(late.poll_until(at(9), &cx).is_pending());
        advance(at(1));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        advance(at(2));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(early.poll_until(at(2), &cx).is_ready());
        // What happens meanwhile puts it off.
        assert!(early.poll_until(at(5), &cx).is_pending());
        drop(late);
        advance(at(9));
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(SLEEPERS.with_borrow(slab::Slab::len), 1);
        drop(early);
        assert_eq!(SLEEPERS.with_borrow(slab::Slab::len), 0);
    }
}
