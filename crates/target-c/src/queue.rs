//! A request queue that a program serves by events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ostler_target::{Builder, QueueHandle, RequestQueue};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};

use crate::error::Error;
use crate::events::{Callback, Event, EventKind, Events, Means};
use crate::service::Exchanges;
use crate::signals::without_broken_pipe;

pub use crate::events::Notice;

/// An open request queue. It is served once [`serve_on_a_thread`](Self::serve_on_a_thread) or
/// [`serve_here`](Self::serve_here) is called; until then requests wait in fronts.
#[derive(Debug)]
pub struct Queue {
    events: Arc<Events>,
    handle: QueueHandle,
    phase: watch::Sender<Phase>,
    serving: Mutex<Serving>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Nothing new is taken; what was is finished.
    Stopping,
    /// What is not finished is cut off.
    Closed,
}

#[derive(Debug)]
enum Serving {
    NotYet(Box<RequestQueue>),
    OnAThread(JoinHandle<()>),
    /// By the thread that has called [`Queue::serve_here`].
    Here,
    Over,
}

impl Queue {
    /// Opens a queue.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`].
    pub fn open(builder: Builder) -> Result<Self, Error> {
        let queue = builder.bind()?;
        Ok(Self {
            events: Arc::default(),
            handle: queue.handle(),
            phase: watch::Sender::new(Phase::Serving),
            serving: Mutex::new(Serving::NotYet(Box::new(queue))),
        })
    }

    /// To change its URL prefixes.
    pub fn handle(&self) -> &QueueHandle {
        &self.handle
    }

    /// Serves it on a thread of its own from now on; `notice` says when [`take`](Self::take) has events.
    ///
    /// # Errors
    ///
    /// [`Error::State`] where it is served or has been; [`Error::Io`] where the system has no thread.
    pub fn serve_on_a_thread(&self, notice: Box<dyn Notice>) -> Result<(), Error> {
        let runtime = runtime()?;
        let mut serving = self.lock();
        let queue = begin(&mut serving)?;
        self.events.tell_by(Means::Notice(notice));
        let (events, phase) = (Arc::clone(&self.events), self.phase.subscribe());
        let thread = std::thread::Builder::new()
            .name("ostler-queue".to_owned())
            .spawn(move || {
                without_broken_pipe(|| {
                    runtime.block_on(async {
                        let stopped = serve(queue, &events, phase.clone()).await;
                        events.push(stopped);
                        // Switched connections go on until the program closes the queue.
                        reached(phase, Phase::Closed).await;
                    });
                    runtime.shutdown_background();
                });
            })?;
        *serving = Serving::OnAThread(thread);
        Ok(())
    }

    /// Serves it on the calling thread until it is stopped and everything is answered, and calls `callback` for
    /// each event, on this thread. A request that the callback answers at once costs no thread a wake-up.
    /// Switched connections end when this returns.
    ///
    /// # Errors
    ///
    /// As [`serve_on_a_thread`](Self::serve_on_a_thread).
    pub fn serve_here(
        &self,
        callback: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let runtime = runtime()?;
        let queue = {
            let mut serving = self.lock();
            let queue = begin(&mut serving)?;
            *serving = Serving::Here;
            queue
        };
        let callback: Callback = Arc::new(callback);
        let listed = Arc::new(Notify::new());
        let notice = Box::new(Listed(Arc::clone(&listed)));
        self.events
            .tell_by(Means::Callback(Arc::clone(&callback), notice));
        without_broken_pipe(|| {
            let stopped = runtime.block_on(async {
                tokio::select! {
                    stopped = serve(queue, &self.events, self.phase.subscribe()) => stopped,
                    never = self.call_for_each(&callback, &listed) => match never {},
                }
            });
            drop(runtime);
            self.events.push(stopped);
            while let Some(event) = self.events.take() {
                callback(event);
            }
        });
        *self.lock() = Serving::Over;
        Ok(())
    }

    async fn call_for_each(
        &self,
        callback: &Callback,
        listed: &Notify,
    ) -> std::convert::Infallible {
        loop {
            while let Some(event) = self.events.take() {
                callback(event);
            }
            listed.notified().await;
        }
    }

    /// The next event, if there is one.
    pub fn take(&self) -> Option<Event> {
        self.events.take()
    }

    /// Takes no new requests; those that have not begun go back to the fronts. [`EventKind::Stopped`] follows
    /// once all others are answered.
    pub fn stop(&self) {
        self.advance(Phase::Stopping);
    }

    /// Ends it at once: what is not answered is cut off. Waits until its thread is gone.
    ///
    /// # Errors
    ///
    /// [`Error::State`] while [`serve_here`](Self::serve_here) has not returned.
    pub fn close(&self) -> Result<(), Error> {
        let mut serving = self.lock();
        if let Serving::Here = *serving {
            return Err(Error::State("the queue is being served; stop it first"));
        }
        let was = std::mem::replace(&mut *serving, Serving::Over);
        drop(serving);
        self.advance(Phase::Closed);
        if let Serving::OnAThread(thread) = was {
            // A panic of it has been told by the panic's own message.
            let _ = thread.join();
        }
        Ok(())
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let advances = *phase < to;
            *phase = to.max(*phase);
            advances
        });
    }

    fn lock(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Whoever serves here holds it.
        let _ = self.close();
    }
}

/// There are events to call for.
struct Listed(Arc<Notify>);

impl Notice for Listed {
    fn raise(&self) {
        self.0.notify_one();
    }

    fn lower(&self) {}
}

fn begin(serving: &mut Serving) -> Result<RequestQueue, Error> {
    match std::mem::replace(serving, Serving::Over) {
        Serving::NotYet(queue) => Ok(*queue),
        other => {
            *serving = other;
            Err(Error::State("the queue is served already, or was"))
        }
    }
}

fn runtime() -> Result<Runtime, Error> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_io().enable_time().build()?)
}

/// Serves until told to stop and everything is answered, or told to close.
async fn serve(queue: RequestQueue, events: &Arc<Events>, phase: watch::Receiver<Phase>) -> Event {
    let service = Exchanges(Arc::clone(events));
    let stopping = reached(phase.clone(), Phase::Stopping);
    let served = ostler_target::serve(queue, service).with_graceful_shutdown(stopping);
    let failed = tokio::select! {
        served = served => served.is_err(),
        () = reached(phase, Phase::Closed) => false,
    };
    Event {
        kind: EventKind::Stopped { failed },
        exchange: None,
    }
}

/// Completes when this phase, or a later one, is there; the end of the queue is the last one's.
async fn reached(mut phase: watch::Receiver<Phase>, at_least: Phase) {
    let _ = phase.wait_for(|phase| *phase >= at_least).await;
}
