//! A front whose one thread is the caller's and whose clock the caller sets, for tests that choose the order
//! in which things happen. Absent from builds without the feature `in-memory`.
//!
//! The clock is that of the paused runtime. It stands still but in [`InMemoryFront::advance`]: the runtime
//! would put it forward by itself whenever it has nothing to do, and not only when nothing is left to be
//! read, so it is never let go to sleep. Stamps that front and target compare (`CLOCK_MONOTONIC`) and the
//! wall clock go on; nothing waits for them.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use ostler_model::ProxyModel;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::front::{Front, StartError};
use crate::front_options::FrontOptions;
use crate::pipeline::Pipeline;

/// How often everything that is ready is run before nothing is taken to be left. What happens within the
/// front goes through two or three sockets at most before it arrives at an end that a test holds.
const ROUNDS: usize = 12;

/// The longest step of the clock: half a tick of the slow timers.
const STEP: Duration = Duration::from_millis(50);

thread_local! {
    /// Who waits until the runtime has nothing to do.
    static AT_REST: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// A front and the runtime it runs on. It moves in [`settle`](Self::settle) and
/// [`advance`](Self::advance) alone. No active health checks are made: those have a thread.
pub struct InMemoryFront {
    runtime: LocalRuntime,
    front: Front,
}

impl InMemoryFront {
    /// Starts listening where the options say, and stops the clock.
    ///
    /// # Errors
    ///
    /// As [`Front::start`].
    pub fn start(
        model: Arc<ProxyModel>,
        pipeline: Pipeline,
        options: &FrontOptions,
    ) -> Result<Self, StartError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .on_thread_unpark(crate::queues::after_waiting)
            .on_thread_park(|| {
                crate::queues::before_waiting();
                if let Some(waker) = AT_REST.take() {
                    waker.wake();
                }
            })
            .build_local(LocalOptions::default())
            .map_err(StartError::Thread)?;
        let (front, run) = Front::on_one_thread(model, pipeline, options)?;
        runtime.spawn_local(run);
        let front = Self { runtime, front };
        front.settle();
        Ok(front)
    }

    /// The front, to be drained, stopped or configured anew.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Runs something beside the front, on its thread and by its clock.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.runtime.spawn_local(task);
        self.settle();
    }

    /// Does all that can be done without time passing.
    pub fn settle(&self) {
        self.runtime.block_on(at_rest());
    }

    /// Lets so much time pass, with all that happens meanwhile.
    pub fn advance(&self, by: Duration) {
        self.runtime.block_on(async {
            let mut left = by;
            while !left.is_zero() {
                let step = left.min(STEP);
                tokio::time::advance(step).await;
                at_rest().await;
                left -= step;
            }
        });
    }
}

impl fmt::Debug for InMemoryFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryFront")
            .field("front", &self.front)
            .finish_non_exhaustive()
    }
}

/// Completes when the runtime has had nothing to do some times in a row, and has looked at every
/// descriptor in between. Being woken keeps it from sleeping, and so from putting its clock forward.
async fn at_rest() {
    for _ in 0..ROUNDS {
        let mut asked = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            AT_REST.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
