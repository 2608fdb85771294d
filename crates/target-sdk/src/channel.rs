//! Serving one front thread: takes requests out of the ring, runs them, sleeps when there are none.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ostler_delegation::ChannelError;
use ostler_delegation::control::TargetMessage;
use ostler_delegation::entry::ExchangeKey;
use ostler_delegation::target::{Event, TargetChannel};
use ostler_readiness::readable;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::begin::begin;
use crate::builder::Timeouts;
use crate::client::Client;
use crate::clients::Clients;
use crate::exchange::ChannelContext;
use crate::handler::{Handler, ResponseBody};
use crate::info::TlsInfo;
use crate::stop::told;
use crate::stream::{self, Streams};

/// Most events taken at a stretch before other tasks get their turn.
const BURST: usize = 32;
/// A first poll that takes longer than this on average is worth a task of its own, so that other
/// threads can take part.
const INLINE_NS: u64 = 50_000;
/// How often completions are tried again that the front's ring had no room for.
const RETRY: Duration = Duration::from_millis(5);

/// Serves a channel until its front is gone or, once told to stop, until nothing is under way.
pub(crate) async fn serve<S, B>(
    mut channel: TargetChannel,
    service: S,
    timeouts: Timeouts,
    mut stop: watch::Receiver<bool>,
    mut url_prefixes: watch::Receiver<Vec<String>>,
    detached: Arc<AtomicU64>,
) -> io::Result<()>
where
    S: Handler<B>,
    B: ResponseBody,
{
    let context = Arc::new(ChannelContext {
        shared: Arc::clone(channel.shared()),
        timeouts,
        clients: Clients::default(),
        streams: Streams::default(),
        orphaned: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        detached,
    });
    let pace = Arc::new(Pace::default());
    let wake = readable(channel.wake_descriptor().try_clone_to_owned()?)?;
    let control = std::os::fd::AsFd::as_fd(channel.control()).try_clone_to_owned()?;
    let control = readable(control)?;
    let mut stopping = false;

    let ended = loop {
        let busy = match take_events(&mut channel, &context, &service, &pace, stopping) {
            Ok(busy) => busy,
            Err(error) => break error,
        };
        let flushed = context.shared.flush();
        if busy {
            tokio::task::yield_now().await;
            continue;
        }
        if stopping && flushed && context.shared.active() == 0 && context.shared.waiting() == 0 {
            return Ok(());
        }
        channel.announce_sleep();
        if context.shared.waiting() > 0 {
            channel.cancel_sleep();
            continue;
        }
        let woken = poll_fn(|cx| poll_wakes(cx, &wake, &control));
        let woken = tokio::select! {
            biased;
            woken = woken => woken,
            true = told(&mut stop), if !stopping => {
                stopping = true;
                context.stopping.store(true, Ordering::SeqCst);
                context.clients.hand_back_resting();
                channel.send(&TargetMessage::Draining);
                Ok(Woken::ByRing)
            }
            Ok(()) = url_prefixes.changed() => {
                let url_prefixes = url_prefixes.borrow_and_update().clone();
                channel.send(&TargetMessage::Prefixes { url_prefixes });
                Ok(Woken::ByRing)
            }
            () = tokio::time::sleep(RETRY), if stopping || !flushed => Ok(Woken::ByRing),
        };
        channel.cancel_sleep();
        if let Woken::ByControl = woken?
            && let Err(error) = take_control(&mut channel, &context)
        {
            break error;
        }
    };
    if !matches!(ended, ChannelError::Closed) {
        tracing::error!(
            error = &ended as &dyn std::error::Error,
            "a front misbehaves; its channel ends"
        );
    }
    // What is under way is finished and its connection closed; nobody would read the next request.
    context.orphaned.store(true, Ordering::SeqCst);
    context.clients.close_idle();
    context.streams.cancel_all();
    while stopping && context.shared.active() > 0 {
        tokio::time::sleep(RETRY).await;
    }
    Ok(())
}

enum Woken {
    ByRing,
    ByControl,
}

/// Neither descriptor is read here: the eventfd is registered edge-triggered, so each write to it
/// is one wake-up, and that saves a system call.
fn poll_wakes(
    cx: &mut Context<'_>,
    wake: &AsyncFd<OwnedFd>,
    control: &AsyncFd<OwnedFd>,
) -> Poll<io::Result<Woken>> {
    if let Poll::Ready(guard) = control.poll_read_ready(cx) {
        guard?.clear_ready();
        return Poll::Ready(Ok(Woken::ByControl));
    }
    if let Poll::Ready(guard) = wake.poll_read_ready(cx) {
        guard?.clear_ready();
        return Poll::Ready(Ok(Woken::ByRing));
    }
    Poll::Pending
}

/// Takes what is in the ring; true when there may be more.
fn take_events<S, B>(
    channel: &mut TargetChannel,
    context: &Arc<ChannelContext>,
    service: &S,
    pace: &Arc<Pace>,
    stopping: bool,
) -> Result<bool, ChannelError>
where
    S: Handler<B>,
    B: ResponseBody,
{
    // What is said meanwhile wakes the front once, when the channel is flushed.
    let _held = context.shared.hold_wakes();
    for _ in 0..BURST {
        match channel.poll_event()? {
            None => return Ok(false),
            Some(Event::Connection {
                slot,
                generation,
                client,
                facts,
                tls,
            }) => {
                let client = Client::new(client, facts, tls.map(TlsInfo::new));
                context.clients.insert(slot, generation, client);
            }
            Some(Event::Request(key, entry, lease)) => {
                let Some(client) = context.clients.begin(key) else {
                    let ExchangeKey { slot, exchange, .. } = key;
                    return Err(ChannelError::UnknownExchange { slot, exchange });
                };
                if stopping {
                    hand_back(context, key);
                } else if let Some(exchange) = begin(
                    context,
                    &client,
                    key,
                    &entry,
                    lease.map(|lease| *lease),
                    service,
                ) {
                    start(exchange, pace, |task| context.clients.runs_as(key, task));
                } else {
                    context.clients.end(key, || true);
                }
            }
            Some(Event::Stream(key, _)) if stopping => {
                if context.shared.begin(key) {
                    context.shared.give_back(key);
                }
            }
            Some(Event::Stream(key, entry)) => {
                if let Some(exchange) = stream::begin(context, key, &entry, service)? {
                    start(exchange, pace, |task| context.streams.runs_as(key, task));
                }
            }
            Some(Event::Body(key, entry)) => context.streams.arrive(key, entry)?,
            Some(Event::Unreceived(key)) => {
                tracing::warn!("no room for a client's socket: its request goes back to the front");
                if context.shared.begin(key) {
                    context.shared.give_back(key);
                }
            }
            Some(Event::ClientGone(key)) => {
                context.clients.cancel(key);
                context.streams.cancel(key);
            }
            Some(Event::Closed { slot, generation }) => context.clients.close(slot, generation),
            Some(Event::Goodbye) => {}
        }
    }
    Ok(true)
}

/// A request that came while this process stops goes back untouched.
fn hand_back(context: &ChannelContext, key: ExchangeKey) {
    context.clients.end(key, || true);
    if context.shared.begin(key) {
        context.shared.give_back(key);
    }
}

fn take_control(channel: &mut TargetChannel, context: &ChannelContext) -> Result<(), ChannelError> {
    while let Some(event) = channel.poll_control()? {
        if let Event::Connection {
            slot,
            generation,
            client,
            facts,
            tls,
        } = event
        {
            let client = Client::new(client, facts, tls.map(TlsInfo::new));
            context.clients.insert(slot, generation, client);
        }
    }
    Ok(())
}

/// Polls an exchange once here; one that has to wait, or whose kind takes long, becomes a task.
fn start(
    mut exchange: Pin<Box<dyn Future<Output = ()> + Send>>,
    pace: &Arc<Pace>,
    runs_as: impl FnOnce(AbortHandle),
) {
    if pace.is_quick() {
        let begun = ostler_shm::monotonic_nanoseconds();
        // The task polls it again as soon as it runs, so this waker has nobody to wake.
        let polled = exchange
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        pace.record(begun);
        if polled.is_ready() {
            return;
        }
        return runs_as(tokio::spawn(exchange).abort_handle());
    }
    let pace = Arc::clone(pace);
    let task = tokio::spawn(async move {
        let begun = ostler_shm::monotonic_nanoseconds();
        let mut first = true;
        poll_fn(|cx| {
            let polled = exchange.as_mut().poll(cx);
            if std::mem::take(&mut first) {
                pace.record(begun);
            }
            polled
        })
        .await;
    });
    runs_as(task.abort_handle());
}

/// How long first polls take: a moving average in nanoseconds.
#[derive(Debug, Default)]
struct Pace(AtomicU64);

impl Pace {
    fn is_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) < INLINE_NS
    }

    /// A lost update of two threads at once only delays the average.
    fn record(&self, begun: u64) {
        let took = ostler_shm::monotonic_nanoseconds().saturating_sub(begun);
        let average = self.0.load(Ordering::Relaxed);
        self.0
            .store(average - average / 8 + took / 8, Ordering::Relaxed);
    }
}
