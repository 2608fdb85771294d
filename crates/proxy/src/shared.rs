//! The state that a front's threads share: the configuration in force, counts, and the queues.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use ostler_delegation::QueueName;
use ostler_http1::ResponseTransforms;
use ostler_model::ProxyModel;
use ostler_shm::kernel_tls::KernelTls;

use crate::access_log::{AccessLog, TraceOptions};
use crate::connection_counts::ConnectionCounts;
use crate::descriptors::Descriptors;
use crate::destinations::ConnectionLimits;
use crate::error_chain::Chain;
use crate::front_options::FrontOptions;
use crate::health::HealthSignal;
use crate::heartbeats::Threads;
use crate::limits::{FrontLimits, longest_head};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::queues::{QueueRegistry, Trust};
use crate::static_files::StaticFiles;

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
    pub(crate) connections: Arc<ConnectionCounts>,
    pub(crate) descriptors: Descriptors,
    pub(crate) heartbeats: Arc<Threads>,
    pub(crate) queues: Arc<QueueRegistry>,
    pub(crate) resets: Resets,
    pub(crate) health: HealthSignal,
    pub(crate) connection_limits: Arc<ConnectionLimits>,
    pub(crate) static_files: Option<StaticFiles>,
    pub(crate) access_log: Option<Arc<dyn AccessLog>>,
    pub(crate) traces: Option<TraceOptions>,
    /// What is counted of exchanges, if anything is.
    pub(crate) metrics: Option<Metrics>,
    /// What the kernel does of TLS, once somebody has asked; `None` if nothing, or if it may not.
    kernel_tls: OnceLock<Option<KernelTls>>,
    pipeline: ArcSwap<Pipeline>,
    pipeline_revision: AtomicU64,
    limits: ArcSwap<FrontLimits>,
}

impl Shared {
    pub(crate) fn new(
        model: Arc<ProxyModel>,
        pipeline: Pipeline,
        options: &FrontOptions,
        threads: usize,
    ) -> Self {
        let mut trusted = options.trusted_uids.clone();
        trusted.push(rustix::process::geteuid().as_raw());
        let ring_capacity = ring_capacity(&options.limits);
        let queues =
            QueueRegistry::new(options.runtime.clone(), Trust::new(trusted), ring_capacity);
        queues.set_retention(options.limits.queue_retention);
        let queues = Arc::new(queues);
        let told = Arc::downgrade(&queues);
        model.on_change(move || {
            let queues = told.upgrade();
            queues.is_some_and(|queues| {
                queues.end_leases();
                true
            })
        });
        Self {
            model,
            connections: Arc::default(),
            descriptors: Descriptors::new(ostler_shm::raise_open_file_limit(), threads),
            queues,
            resets: Resets::default(),
            health: HealthSignal::default(),
            heartbeats: Arc::default(),
            connection_limits: Arc::default(),
            static_files: options.static_files.clone().map(StaticFiles::new),
            access_log: options.access_log.clone(),
            traces: options.traces.clone(),
            metrics: options.metrics.then(Metrics::default),
            kernel_tls: OnceLock::new(),
            pipeline: ArcSwap::from_pointee(pipeline),
            pipeline_revision: AtomicU64::new(0),
            limits: ArcSwap::from_pointee(options.limits.clone()),
        }
    }

    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.load_full()
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> Arc<FrontLimits> {
        self.limits.load_full()
    }

    /// What the kernel does of TLS, for clients whose sockets are handed over; `None` if nothing. Tried
    /// out when it is first asked for.
    pub(crate) fn kernel_tls(&self) -> Option<KernelTls> {
        *self.kernel_tls.get_or_init(try_kernel_tls)
    }

    /// Replaces the pipeline; exchanges under way keep the one they have.
    pub(crate) fn set_pipeline(&self, pipeline: Pipeline) {
        self.pipeline.store(Arc::new(pipeline));
        self.pipeline_revision.fetch_add(1, Ordering::Release);
        self.queues.end_leases();
    }

    /// Replaces the limits, those of heads excepted: what carries heads has been made for them.
    pub(crate) fn set_limits(&self, limits: FrontLimits) {
        let http1 = self.limits.load().http1;
        let limits = FrontLimits { http1, ..limits };
        self.queues.set_retention(limits.queue_retention);
        self.limits.store(Arc::new(limits));
        self.queues.end_leases();
    }

    /// Has every exchange over TLS relayed, whatever the kernel can do.
    pub(crate) fn do_without_kernel_tls(&self) {
        let _ = self.kernel_tls.set(None);
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
    pub(crate) fn add(&self, name: QueueName) {
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

fn try_kernel_tls() -> Option<KernelTls> {
    match KernelTls::probe() {
        Ok(offered) => {
            tracing::info!("the kernel does TLS: exchanges over TLS can be delegated");
            Some(offered)
        }
        Err(error) => {
            let reason = Chain(&error).to_string();
            tracing::info!(
                reason,
                "exchanges over TLS are not delegated: their bytes pass through the front"
            );
            None
        }
    }
}

/// A ring must hold the largest head that is delegated, its index, a route's response transforms and what was read
/// behind the head, four times.
fn ring_capacity(limits: &FrontLimits) -> usize {
    let index = limits.http1.fields * 8;
    let transforms = ResponseTransforms::MAX_ENCODED;
    let head = longest_head(&limits.http1);
    let entry = head + index + transforms + crate::client_socket::READ + 2 * 1024;
    (4 * entry).next_power_of_two()
}
