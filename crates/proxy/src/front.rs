//! The front: threads, listeners, the configuration they share, starting and stopping.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use ostler_delegation::QueueName;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_http1::Limits;
use ostler_model::ProxyModel;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::delegation::{QueueRegistry, Trust};
use crate::health::{self, ActiveHealthOptions, HealthSignal};
use crate::listener::{Endpoint, bind};

use crate::pipeline::Pipeline;
use crate::worker::Worker;

/// What a client may send, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct FrontLimits {
    /// Bounds of a request's head.
    pub http1: Limits,
    /// How long a connection may be idle between requests. 120 s by default.
    pub keep_alive_timeout: Duration,
    /// How long a head may take from its first byte to its last. 30 s by default.
    pub head_timeout: Duration,
    /// Most bytes of a request's body where its route does not say otherwise. 30,000,000 by
    /// default; `None` is any number.
    pub max_request_body_size: Option<u64>,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            http1: Limits::default(),
            keep_alive_timeout: Duration::from_secs(120),
            head_timeout: Duration::from_secs(30),
            max_request_body_size: Some(30_000_000),
        }
    }
}

/// How a front is set up.
#[derive(Debug, Clone)]
pub struct FrontOptions {
    /// Where to listen.
    pub endpoints: Vec<Endpoint>,
    /// Threads, each with its own connections; 0 is one a CPU.
    pub threads: usize,
    /// What clients may do.
    pub limits: FrontLimits,
    /// Where request queues are.
    pub runtime: RuntimeFolder,
    /// Users besides this process' own whose targets are handed client sockets.
    pub trusted_uids: Vec<u32>,
    /// Probes, where clusters do not say.
    pub active_health: ActiveHealthOptions,
}

/// How far the front is with stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Connections end with the exchange they are in.
    Draining,
    /// The time for that is over.
    Stopping,
}

/// What the threads share: each part is replaced whole or only counts.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) model: Arc<ProxyModel>,
    pub(crate) limits: FrontLimits,
    pub(crate) queues: Arc<QueueRegistry>,
    pub(crate) resets: Resets,
    pub(crate) health: HealthSignal,
    pipeline: ArcSwap<Pipeline>,
    pipeline_revision: AtomicU64,
}

impl Shared {
    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.load_full()
    }

    pub(crate) fn pipeline_revision(&self) -> u64 {
        self.pipeline_revision.load(Ordering::Acquire)
    }
}

/// Queues that are to be looked at afresh.
#[derive(Debug, Default)]
pub(crate) struct Resets {
    count: AtomicU64,
    names: Mutex<Vec<QueueName>>,
}

impl Resets {
    fn add(&self, name: QueueName) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|have| *have != name);
        names.push(name);
        self.count.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn current(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn apply(&self, reset: impl FnMut(&QueueName)) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .for_each(reset);
    }
}

/// A running front.
#[derive(Debug)]
pub struct Front {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
    urls: Vec<String>,
}

/// A front did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(io::Error),
    /// A thread or its runtime cannot be made.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The pipeline delegates and this system lacks what that needs.
    #[error(
        "the pipeline has HttpSysDelegation, which this system cannot do: {missing} is missing"
    )]
    Unsupported {
        /// What is missing.
        missing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Front {
    /// Starts listening and serving.
    ///
    /// # Errors
    ///
    /// When an address is taken, a thread cannot be made, or the pipeline delegates on a system
    /// without what delegation needs.
    pub fn start(
        model: Arc<ProxyModel>,
        pipeline: Pipeline,
        options: &FrontOptions,
    ) -> Result<Self, StartError> {
        if pipeline.delegates() {
            crate::support::check(&options.runtime)?;
        }
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        ostler_shm::raise_open_file_limit();
        let mut listeners: Vec<Vec<(std::net::TcpListener, Endpoint)>> =
            (0..threads).map(|_| Vec::new()).collect();
        let (mut addresses, mut urls) = (Vec::new(), Vec::new());
        for endpoint in &options.endpoints {
            for bound in bind(&endpoint.url, threads).map_err(StartError::Listen)? {
                addresses.push(bound.address);
                let scheme = if endpoint.tls.is_some() {
                    "https"
                } else {
                    "http"
                };
                urls.push(format!("{scheme}://{}", bound.address));
                for (thread, socket) in listeners.iter_mut().zip(bound.sockets) {
                    thread.push((socket, endpoint.clone()));
                }
            }
        }
        let mut trusted = options.trusted_uids.clone();
        trusted.push(rustix::process::geteuid().as_raw());
        let ring_capacity = ring_capacity(&options.limits);
        let queues =
            QueueRegistry::new(options.runtime.clone(), Trust::new(trusted), ring_capacity);
        let shared = Arc::new(Shared {
            model,
            limits: options.limits,
            queues: Arc::new(queues),
            resets: Resets::default(),
            health: HealthSignal::default(),
            pipeline: ArcSwap::from_pointee(pipeline),
            pipeline_revision: AtomicU64::new(0),
        });
        let phase = watch::Sender::new(Phase::Running);
        let mut front = Self {
            shared,
            phase,
            threads: Vec::new(),
            addresses,
            urls,
        };
        for (number, listeners) in listeners.into_iter().enumerate() {
            let shared = Arc::clone(&front.shared);
            let phase = front.phase.subscribe();
            let thread = std::thread::Builder::new()
                .name(format!("front-{number}"))
                .spawn(move || run(shared, number as u64, listeners, phase))
                .map_err(StartError::Thread)?;
            front.threads.push(thread);
        }
        let checks = health::start(
            &front.shared,
            options.active_health,
            options.runtime.clone(),
            front.phase.subscribe(),
        );
        front.threads.push(checks.map_err(StartError::Thread)?);
        Ok(front)
    }

    /// The addresses listened on, ports included.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The same with their schemes: `https://127.0.0.1:443`.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Replaces the pipeline; exchanges under way keep the one they have.
    ///
    /// # Errors
    ///
    /// When it delegates and this system cannot.
    pub fn set_pipeline(
        &self,
        pipeline: Pipeline,
        runtime: &RuntimeFolder,
    ) -> Result<(), StartError> {
        if pipeline.delegates() {
            crate::support::check(runtime)?;
        }
        self.shared.pipeline.store(Arc::new(pipeline));
        self.shared
            .pipeline_revision
            .fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Lets go of a queue's instances; they are connected to anew by the next request (YARP's
    /// `IHttpSysDelegator.ResetQueue`).
    pub fn reset_queue(&self, name: &QueueName) {
        self.shared.resets.add(name.clone());
    }

    /// Requests of this front that no instance has taken, by the queue's folder name.
    pub fn queue_depths(&self) -> Vec<(String, usize)> {
        self.shared.queues.depths()
    }

    /// Stops accepting and ends every connection with the exchange it is in.
    pub fn drain(&self) {
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Draining;
            }
            running
        });
    }

    /// Ends what draining has not.
    pub fn stop(&self) {
        self.phase.send_replace(Phase::Stopping);
    }

    /// Waits until every thread has ended. Requests that targets have taken are theirs to answer,
    /// and do not keep the front.
    pub fn join(self) {
        for thread in self.threads {
            // A thread's panic has been printed; the others may still end well.
            let _ = thread.join();
        }
    }
}

/// A ring must hold the largest head, its index and what was read behind it, four times.
fn ring_capacity(limits: &FrontLimits) -> usize {
    let index = limits.http1.fields * 8;
    let entry = limits.http1.head + index + crate::client::READ + 2 * 1024;
    (4 * entry).next_power_of_two()
}

fn run(
    shared: Arc<Shared>,
    number: u64,
    listeners: Vec<(std::net::TcpListener, Endpoint)>,
    phase: watch::Receiver<Phase>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(crate::flush::before_waiting)
        .build_local(tokio::runtime::LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start a thread's runtime");
            return;
        }
    };
    runtime.block_on(async move {
        let listeners: io::Result<Vec<_>> = listeners
            .into_iter()
            .map(|(listener, endpoint)| Ok((TcpListener::from_std(listener)?, endpoint)))
            .collect();
        match listeners {
            Ok(listeners) => {
                let seed = ostler_shm::monotonic_nanoseconds() ^ (number << 48);
                Worker::new(shared, seed).run(listeners, phase).await;
            }
            Err(error) => tracing::error!(%error, "cannot wait on a listener"),
        }
    });
}
