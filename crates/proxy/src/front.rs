//! The front: its threads and listeners, their start, what may be changed while they run, their end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ostler_delegation::QueueName;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_model::ProxyModel;
use tokio::sync::{mpsc, watch};

use crate::endpoint::{Endpoint, InheritedSockets, SocketOrigin};
use crate::front_options::FrontOptions;
use crate::front_thread;
use crate::health;
use crate::heartbeats::Heartbeats;
use crate::limits::FrontLimits;
use crate::listeners::Change;
use crate::measured::FrontMetrics;
use crate::open_endpoints::OpenEndpoints;
use crate::pipeline::Pipeline;
use crate::shared::{Phase, Shared};
use crate::support::{self, Missing};
use crate::under_way::UnderWay;
use crate::worker::Worker;

/// A running front.
#[derive(Debug)]
pub struct Front {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<()>>,
    /// Changed by whoever reloads or drains; threads do not come by.
    endpoints: Mutex<OpenEndpoints>,
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

impl From<Missing> for StartError {
    fn from(missing: Missing) -> Self {
        let Missing { what, source } = missing;
        Self::Unsupported {
            missing: what,
            source,
        }
    }
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
        Self::start_on(InheritedSockets::default(), model, pipeline, options)
    }

    /// The same, on sockets that are listened on already, as far as they are the endpoints'; the others are
    /// bound. Where a front is replaced, see [`take_over`](Self::take_over).
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_on(
        inherited: InheritedSockets,
        model: Arc<ProxyModel>,
        pipeline: Pipeline,
        options: &FrontOptions,
    ) -> Result<Self, StartError> {
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let (mut front, receivers) = Self::new(model, pipeline, options, threads)?;
        front.listen(&options.endpoints, inherited)?;
        for (number, changes) in receivers.into_iter().enumerate() {
            let shared = Arc::clone(&front.shared);
            let phase = front.phase.subscribe();
            let thread = start_worker(shared, number as u64, changes, phase);
            let thread = thread.map_err(StartError::Thread)?;
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

    /// A front whose threads are still to be started, each with one of the receivers.
    fn new(
        model: Arc<ProxyModel>,
        pipeline: Pipeline,
        options: &FrontOptions,
        threads: usize,
    ) -> Result<(Self, Vec<mpsc::UnboundedReceiver<Change>>), StartError> {
        if pipeline.delegates() {
            support::check(&options.runtime)?;
        }
        let (changes, receivers): (Vec<_>, Vec<_>) =
            (0..threads).map(|_| mpsc::unbounded_channel()).unzip();
        let shared = Arc::new(Shared::new(model, pipeline, options, threads));
        if !options.kernel_tls {
            shared.do_without_kernel_tls();
        } else if options.endpoints.iter().any(|to| to.tls.is_some()) {
            shared.kernel_tls();
        }
        let phase = watch::Sender::new(Phase::Running);
        let front = Self {
            shared,
            phase,
            threads: Vec::new(),
            endpoints: Mutex::new(OpenEndpoints::new(changes)),
        };
        Ok((front, receivers))
    }

    fn endpoints(&self) -> MutexGuard<'_, OpenEndpoints> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(
        &self,
        endpoints: &[Endpoint],
        inherited: InheritedSockets,
    ) -> Result<(), StartError> {
        let errors = self.endpoints().begin(endpoints, inherited);
        match errors.into_iter().next() {
            None => Ok(()),
            Some(error) => Err(StartError::Listen(error)),
        }
    }

    /// A front of one thread, which is whoever runs the future, on a runtime of its own.
    #[cfg(feature = "in-memory")]
    pub(crate) fn on_one_thread(
        model: Arc<ProxyModel>,
        pipeline: Pipeline,
        options: &FrontOptions,
    ) -> Result<(Self, impl Future<Output = ()> + use<>), StartError> {
        let (front, receivers) = Self::new(model, pipeline, options, 1)?;
        front.listen(&options.endpoints, InheritedSockets::default())?;
        let (shared, phase) = (Arc::clone(&front.shared), front.phase.subscribe());
        let run = async move {
            for changes in receivers {
                // Any seed does, as long as it is the same each time.
                let worker = Worker::new(Arc::clone(&shared), 1);
                front_thread::run(worker, changes, phase.clone()).await;
            }
        };
        Ok((front, run))
    }

    /// The addresses of TCP that are listened on, ports included.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.endpoints().tcp_addresses()
    }

    /// What is listened on, with schemes: `https://127.0.0.1:443`, `http://unix:/run/http.sock`.
    pub fn urls(&self) -> Vec<String> {
        self.endpoints().urls()
    }

    /// What is listened on, without schemes: `127.0.0.1:443`, `unix:/run/http.sock`.
    pub fn listen_addresses(&self) -> Vec<String> {
        self.endpoints().addresses()
    }

    /// Copies of the sockets that are listened on, for a front that replaces this one.
    ///
    /// # Errors
    ///
    /// When descriptors are short.
    pub fn sockets(&self) -> io::Result<Vec<(OwnedFd, SocketOrigin)>> {
        self.endpoints().sockets()
    }

    /// Another process listens on these of [`listen_addresses`](Self::listen_addresses) from now on: what
    /// waits there when this front is drained is left to it, and so are files of sockets.
    pub fn hand_over(&self, addresses: &[String]) {
        self.endpoints().hand_over(addresses);
    }

    /// The front whose sockets this one was started on has let go of them: files of sockets are removed
    /// when this front ends.
    pub fn take_over(&self) {
        self.endpoints().take_over();
    }

    /// Listens on these endpoints and no others from now on. An endpoint that is the same (URL,
    /// protocols, and the very [`TlsEndpoint`](crate::TlsEndpoint)) goes on as it is. The connections
    /// of one that is no longer there have five seconds to end; another one at the same address has its
    /// sockets, so that no connection is refused meanwhile.
    ///
    /// # Errors
    ///
    /// For each endpoint that cannot be listened on; the others are.
    pub fn set_endpoints(&mut self, endpoints: &[Endpoint]) -> Vec<StartError> {
        let errors = self.endpoints().set(endpoints).into_iter();
        errors.map(StartError::Listen).collect()
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
            support::check(runtime)?;
        }
        self.shared.set_pipeline(pipeline);
        Ok(())
    }

    /// Replaces the limits, within a tenth of a second: connections and requests that come then are
    /// bound by them. Those of heads stay as they were, since what carries heads has been made for
    /// them; HTTP/2's hold for new connections.
    pub fn set_limits(&self, limits: FrontLimits) {
        self.shared.set_limits(limits);
    }

    /// Lets go of a queue's instances; they are connected to anew by the next request (YARP's
    /// `IHttpSysDelegator.ResetQueue`).
    pub fn reset_queue(&self, name: &QueueName) {
        self.shared.resets.add(name.clone());
    }

    /// Whether the threads go on.
    pub fn heartbeats(&self) -> Heartbeats {
        Heartbeats::new(Arc::clone(&self.shared.heartbeats))
    }

    /// What has been measured.
    pub fn metrics(&self) -> FrontMetrics {
        FrontMetrics(Arc::clone(&self.shared))
    }

    /// What is under way, to be looked at also once the front is being joined.
    pub fn under_way(&self) -> UnderWay {
        UnderWay(Arc::clone(&self.shared))
    }

    /// Stops accepting and ends every connection with the exchange it is in.
    pub fn drain(&self) {
        // The threads' copies of the sockets are to be the last, if nobody else has any.
        self.endpoints().close();
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

fn start_worker(
    shared: Arc<Shared>,
    number: u64,
    changes: mpsc::UnboundedReceiver<Change>,
    phase: watch::Receiver<Phase>,
) -> io::Result<JoinHandle<()>> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.on_thread_park(crate::queues::before_waiting);
    builder.on_thread_unpark(crate::queues::after_waiting);
    crate::runtime_thread::start(format!("front-{number}"), builder, move |runtime| {
        runtime.block_on(async move {
            let seed = ostler_shm::monotonic_nanoseconds() ^ (number << 48);
            front_thread::run(Worker::new(shared, seed), changes, phase).await;
        });
    })
}
