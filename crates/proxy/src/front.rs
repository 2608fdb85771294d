//! The front: threads, listeners, the configuration they share, starting and stopping.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use ostler_config::{AllowedHosts, DataRate, Http2Limits};
use ostler_delegation::QueueName;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_http1::Limits;
use ostler_model::ProxyModel;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::connections::Connections;
use crate::delegation::{QueueRegistry, Trust};
use crate::forwarder::ConnectionLimits;
use crate::health::{self, ActiveHealthOptions, HealthSignal};
use crate::listener::{ListenUrl, bind};
use crate::pipeline::Pipeline;
use crate::static_files::{StaticFileOptions, StaticFiles};
use crate::worker::Worker;

/// What a client may send, and how long it may take.
#[derive(Debug, Clone)]
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
    /// The least a client must send of a body that is waited for; `None` is nothing.
    pub min_request_body_data_rate: Option<DataRate>,
    /// The least a client must take of a response; `None` is nothing.
    pub min_response_data_rate: Option<DataRate>,
    /// How long a body that is waited for may be silent, whatever the rate; `None` is for ever.
    pub entity_body_timeout: Option<Duration>,
    /// Most connections, upgraded ones excepted; one more is closed at once. `None` is any number.
    pub max_concurrent_connections: Option<usize>,
    /// Most upgraded connections; one more is not upgraded. Those that a target has taken over are
    /// not known here and do not count. `None` is any number.
    pub max_concurrent_upgraded_connections: Option<usize>,
    /// Most connections of one IPv4 address or one /64 of IPv6, of those that came since there is
    /// this limit. `None` is any number.
    pub max_connections_per_address: Option<usize>,
    /// The hosts that requests may name; another is answered 400.
    pub allowed_hosts: AllowedHosts,
    /// What a client may ask of an HTTP/2 connection.
    pub http2: Http2Limits,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            http1: Limits::default(),
            keep_alive_timeout: Duration::from_secs(120),
            head_timeout: Duration::from_secs(30),
            max_request_body_size: Some(30_000_000),
            min_request_body_data_rate: Some(DataRate::default()),
            min_response_data_rate: Some(DataRate::default()),
            entity_body_timeout: None,
            max_concurrent_connections: None,
            max_concurrent_upgraded_connections: None,
            max_connections_per_address: None,
            allowed_hosts: AllowedHosts::default(),
            http2: Http2Limits::default(),
        }
    }
}

/// How a front is set up.
#[derive(Debug, Clone)]
pub struct FrontOptions {
    /// Where to listen.
    pub urls: Vec<ListenUrl>,
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
    /// Files to answer from, if any.
    pub static_files: Option<StaticFileOptions>,
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
    pub(crate) connections: Arc<Connections>,
    pub(crate) queues: Arc<QueueRegistry>,
    pub(crate) resets: Resets,
    pub(crate) health: HealthSignal,
    pub(crate) static_files: Option<StaticFiles>,
    pub(crate) connection_limits: Arc<ConnectionLimits>,
    pipeline: ArcSwap<Pipeline>,
    pipeline_revision: AtomicU64,
    limits: ArcSwap<FrontLimits>,
}

impl Shared {
    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.load_full()
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> Arc<FrontLimits> {
        self.limits.load_full()
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
        let mut listeners: Vec<Vec<std::net::TcpListener>> =
            (0..threads).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for url in &options.urls {
            for bound in bind(url, threads).map_err(StartError::Listen)? {
                addresses.push(bound.address);
                for (thread, socket) in listeners.iter_mut().zip(bound.sockets) {
                    thread.push(socket);
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
            connections: Arc::default(),
            queues: Arc::new(queues),
            resets: Resets::default(),
            health: HealthSignal::default(),
            static_files: options.static_files.clone().map(StaticFiles::new),
            connection_limits: Arc::default(),
            pipeline: ArcSwap::from_pointee(pipeline),
            pipeline_revision: AtomicU64::new(0),
            limits: ArcSwap::from_pointee(options.limits.clone()),
        });
        let phase = watch::Sender::new(Phase::Running);
        let mut front = Self {
            shared,
            phase,
            threads: Vec::new(),
            addresses,
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

    /// Replaces the limits, within a tenth of a second: connections and requests that come then are
    /// bound by them. Those of heads stay as they were, since what carries heads has been made for
    /// them; HTTP/2's hold for new connections.
    pub fn set_limits(&self, limits: FrontLimits) {
        let http1 = self.shared.limits.load().http1;
        let limits = FrontLimits { http1, ..limits };
        self.shared.limits.store(Arc::new(limits));
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
    listeners: Vec<std::net::TcpListener>,
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
        let listeners: io::Result<Vec<_>> =
            listeners.into_iter().map(TcpListener::from_std).collect();
        match listeners {
            Ok(listeners) => {
                let seed = ostler_shm::monotonic_nanoseconds() ^ (number << 48);
                Worker::new(shared, seed).run(listeners, phase).await;
            }
            Err(error) => tracing::error!(%error, "cannot wait on a listener"),
        }
    });
}
