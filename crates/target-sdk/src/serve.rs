//! Serving a queue: accepting fronts, and stopping gracefully.

use std::future::{Future, IntoFuture, Pending, pending};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ostler_delegation::accounts::user_name;
use ostler_delegation::control::TargetMessage;
use ostler_delegation::target::{Accepted, Greeting, TargetShared, accept};
use ostler_readiness::readable;
use ostler_shm::{ControlSocket, ReceiveError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::application::Application;
use crate::builder::RequestQueue;
use crate::error::BoxError;
use crate::handler::{Handler, ResponseBody};
use crate::{channel, relay};

/// How long whoever connects may take to say what it wants.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a queue with a service: an axum `Router`, or any other [`tower_service::Service`] of
/// requests with a [`Body`](crate::Body). What `Router::into_make_service_with_connect_info` makes is
/// served, too; handlers find their client's address (`ConnectInfo<SocketAddr>`) with and without it.
///
/// The future ends when the shutdown signal of
/// [`with_graceful_shutdown`](Serve::with_graceful_shutdown) has come and everything begun is
/// answered; without one, only by an error of the queue's socket.
///
/// Works on a current-thread and on a multi-thread runtime. Handlers that answer quickly run where
/// the request arrives; those that wait or compute become tasks, which all threads share.
pub fn serve<A, By>(queue: RequestQueue, application: A) -> Serve<A::Service, Pending<()>>
where
    A: Application<By>,
{
    Serve {
        queue,
        service: application.into_service(),
        signal: pending(),
    }
}

/// A queue about to be served; `.await` serves it.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Serve<S, F> {
    queue: RequestQueue,
    service: S,
    signal: F,
}

impl<S> Serve<S, Pending<()>> {
    /// Stops when `signal` completes: the queue is left, requests not begun go back to the front,
    /// those begun are answered.
    pub fn with_graceful_shutdown<F: Future<Output = ()>>(self, signal: F) -> Serve<S, F> {
        Serve {
            queue: self.queue,
            service: self.service,
            signal,
        }
    }
}

impl<S, B, F> IntoFuture for Serve<S, F>
where
    S: tower_service::Service<http::Request<crate::Body>, Response = http::Response<B>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(run(self.queue, self.service, self.signal))
    }
}

async fn run<S, B>(
    queue: RequestQueue,
    service: S,
    signal: impl Future<Output = ()> + Send,
) -> io::Result<()>
where
    S: Handler<B>,
    B: ResponseBody,
{
    let RequestQueue {
        handle,
        trusted_fronts,
        timeouts,
        max_connections,
        ..
    } = queue;
    let listener = {
        let instance = handle.lock();
        let descriptor = instance.listener().as_fd().try_clone_to_owned()?;
        readable(descriptor)?
    };
    let stop = watch::Sender::new(false);
    let registry = Registry::default();
    let mut fronts = JoinSet::new();
    let mut signal = std::pin::pin!(signal);
    loop {
        let accepted = handle.lock().listener().accept();
        match accepted {
            Ok(control) => {
                let greeting = {
                    let instance = handle.lock();
                    let description = instance.description();
                    Greeting {
                        label: description.label.clone(),
                        url_prefixes: description.url_prefixes.clone(),
                        max_connections,
                    }
                };
                let (service, stop) = (service.clone(), stop.subscribe());
                let url_prefixes = handle.url_prefixes.subscribe();
                let registry = registry.clone();
                let trusted_fronts = trusted_fronts.clone();
                fronts.spawn(async move {
                    match welcome(control, &greeting, &trusted_fronts).await {
                        Ok(Accepted::Rings(channel)) => {
                            registry.add(channel.shared());
                            let detached = Arc::clone(&registry.detached);
                            channel::serve(
                                *channel,
                                service,
                                timeouts,
                                stop,
                                url_prefixes,
                                detached,
                            )
                            .await
                        }
                        Ok(Accepted::Relay(channel)) => relay::serve(channel, service, stop).await,
                        Ok(Accepted::Query(control)) => {
                            for message in registry.info() {
                                let _ = control.send(&message.encode(), &[]);
                            }
                            Ok(())
                        }
                        Ok(Accepted::NotYet(_)) | Err(_) => Ok(()),
                    }
                });
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Out of descriptors, say: others give some back.
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot accept a front"
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        }
        tokio::select! {
            ready = listener.readable() => ready?.clear_ready(),
            () = signal.as_mut() => break,
            Some(ended) = fronts.join_next() => report(ended),
        }
    }
    // No front finds this instance any more; those connected learn that it drains.
    handle.lock().close();
    stop.send_replace(true);
    while let Some(ended) = fronts.join_next().await {
        report(ended);
    }
    Ok(())
}

fn report(ended: Result<io::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a front's channel failed"
            );
        }
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a front's channel failed"
            );
        }
    }
}

/// Waits for the first message of whoever connected; a stranger is turned away.
async fn welcome(
    control: ControlSocket,
    greeting: &Greeting,
    trusted: &[u32],
) -> Result<Accepted, BoxError> {
    let peer = control.peer_credentials()?;
    let own = std::fs::metadata("/proc/self")?.uid();
    if peer.uid != 0 && peer.uid != own && !trusted.contains(&peer.uid) {
        let reason = stranger(peer.uid, own, trusted);
        tell_stranger(peer.uid, peer.pid);
        let _ = control.send(&TargetMessage::Refused { reason }.encode(), &[]);
        // To close with its hello unread would take the answer from it.
        let _ = tokio::time::timeout(HELLO_TIMEOUT, until_closed(&control)).await;
        return Err("a stranger".into());
    }
    let ready = readable(control.as_fd().try_clone_to_owned()?)?;
    let hello = async {
        let mut control = control;
        loop {
            match accept(control, greeting)? {
                Accepted::NotYet(again) => control = again,
                accepted => return Ok(accepted),
            }
            ready.readable().await?.clear_ready();
        }
    };
    let accepted: Result<Accepted, BoxError> = tokio::time::timeout(HELLO_TIMEOUT, hello).await?;
    if let Err(error) = &accepted
        && !matches!(
            error.downcast_ref(),
            Some(ostler_delegation::ChannelError::Closed)
        )
    {
        tracing::warn!(pid = peer.pid, uid = peer.uid, error, "no front says this");
    }
    accepted
}

/// Takes in what is said, until the other end closes.
async fn until_closed(control: &ControlSocket) -> io::Result<()> {
    let ready = readable(control.as_fd().try_clone_to_owned()?)?;
    let mut said = Vec::new();
    loop {
        match control.receive(&mut said) {
            Ok(_) => tokio::task::yield_now().await,
            Err(ReceiveError::WouldBlock) => ready.readable().await?.clear_ready(),
            Err(_) => return Ok(()),
        }
    }
}

/// Warns of a user's first attempt: fronts try again each second.
fn tell_stranger(uid: u32, pid: i32) {
    static TOLD: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.contains(&uid) {
        tracing::debug!(pid, uid, "a stranger is turned away");
    } else {
        tracing::warn!(pid, uid, "a stranger is turned away");
        told.push(uid);
    }
}

/// Why a user is no front of this queue, for the front's log.
fn stranger(peer: u32, own: u32, trusted: &[u32]) -> String {
    let mut fronts = vec![0, own];
    fronts.extend(trusted);
    fronts.sort_unstable();
    fronts.dedup();
    let fronts: Vec<_> = fronts.into_iter().map(user_name).collect();
    format!(
        "user {} is no front of this queue; its fronts run as {} (its own user, the owner of the \
         runtime folder, and whom the application trusts)",
        user_name(peer),
        fronts.join(", ")
    )
}

/// The channels of this instance, for its counts.
#[derive(Debug, Default, Clone)]
struct Registry {
    channels: Arc<Mutex<Vec<Weak<TargetShared>>>>,
    /// Connections that have become the application's alone and last.
    detached: Arc<AtomicU64>,
}

impl Registry {
    fn add(&self, shared: &Arc<TargetShared>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|channel| channel.strong_count() > 0);
        channels.push(Arc::downgrade(shared));
    }

    fn info(&self) -> [TargetMessage; 2] {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channels: Vec<_> = channels.iter().filter_map(Weak::upgrade).collect();
        let sum =
            |count: fn(&TargetShared) -> u64| channels.iter().map(|shared| count(shared)).sum();
        let resting: u64 = sum(TargetShared::resting);
        let active: u64 = sum(TargetShared::active);
        let info = TargetMessage::Info {
            waiting: sum(TargetShared::waiting),
            active: active.saturating_sub(resting) + self.detached.load(Ordering::Relaxed),
            completed: sum(TargetShared::completed),
            fronts: channels.len() as u32,
        };
        let leases = TargetMessage::Leases {
            resting,
            completed: sum(TargetShared::leased),
        };
        [info, leases]
    }
}
