//! `ostler run`: starts the front, reloads it, stops it.

use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler_config::{KernelTls, Settings};
use ostler_delegation::accounts;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_model::health::TransportFailureRateOptions;
use ostler_model::{PolicyRegistry, ProxyModel};
use ostler_proxy::{
    ActiveHealthOptions, Endpoint, Front, FrontLimits, FrontOptions, InheritedSockets, Pipeline,
    Sampling, StaticFileOptions, StepRegistry, TraceOptions, UnderWay,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::access_log::AccessLogFile;
use crate::admin::{self, Admin, AdminState, Readiness};
use crate::args::{ProcessArgs, RunArgs};
use crate::configuration::{self, Sources};
use crate::endpoints::{self, Endpoints};
use crate::error_pages::{self, FollowedPages};
use crate::etcd::Etcd;
use crate::exit::EXIT_CONFIGURATION;
use crate::front_configuration::{front_limits, pipeline, runtime_folder};
use crate::in_force::InForce;
use crate::membership::Membership;
use crate::metrics::Registry;
use crate::protection_keys;
use crate::reload::FileChanges;
use crate::replacement::{self, Desk, Successor};
use crate::rules::Rules;
use crate::service_manager;
use crate::signing_keys::SigningKeys;
use crate::traces::Traces;

/// How long exchanges under way may take when the front is stopped, if nobody says.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the front until a signal stops it.
pub(crate) fn run(args: &RunArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let settings = args.all_settings();
    let sources = Sources::new(&args.configuration, settings, Rules::new(steps));
    run_by(sources, &args.process)
}

/// The same, wherever the configuration comes from.
pub(crate) fn run_by(sources: Sources, args: &ProcessArgs) -> anyhow::Result<ExitCode> {
    // Before anything else that takes a descriptor, while there is one thread.
    let sockets = service_manager::passed_sockets()?;
    // Made before the files are read, it misses no change.
    let changes = FileChanges::new(&sources.files());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Some(ready) = runtime.block_on(Ready::read(sources))? else {
        return Ok(ExitCode::from(EXIT_CONFIGURATION));
    };
    let pipeline = pipeline(&ready.settings, ready.sources.steps())?;
    let start = Start { changes, sockets };
    let ended = runtime.block_on(serve(args, ready, pipeline, start));
    // What has been cut short is not waited for: the thread that joins the front's would be.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// What was there before a configuration was read.
struct Start {
    changes: FileChanges,
    sockets: InheritedSockets,
}

/// A configuration that a front can be started with, everything it names read.
struct Ready {
    sources: Sources,
    settings: Settings,
    model: Arc<ProxyModel>,
    endpoints: Vec<Endpoint>,
    certificate_changes: FileChanges,
}

impl Ready {
    /// Reads all of it. `None` where it has mistakes, which have been printed.
    async fn read(mut sources: Sources) -> anyhow::Result<Option<Self>> {
        let mut settings = loaded(&sources);
        let etcd = settings.as_ref().and_then(|read| read.ostler.etcd.as_ref());
        if let Some(config) = etcd {
            let etcd = Etcd::open(config).await?;
            sources.share(etcd);
            settings = loaded(&sources);
            let falls_back = || sources.etcd().is_some_and(|etcd| etcd.fall_back());
            if settings.is_none() && falls_back() {
                settings = loaded(&sources);
            }
        }
        let Some(settings) = settings else {
            return Ok(None);
        };
        let model = Arc::new(ProxyModel::with_policies(policies(&settings)));
        let keys = match protection_keys::read(&settings) {
            Ok(keys) => keys,
            Err(error) => {
                eprintln!("error: {error:#}");
                return Ok(None);
            }
        };
        protection_keys::put_in_force(&model, keys);
        let certificate_changes = endpoints::changes(&settings);
        let endpoints = match endpoints::build(&settings) {
            Ok(endpoints) => endpoints,
            Err(mistakes) => {
                // Not there when the configuration was checked: a file has changed since.
                for mistake in mistakes {
                    eprintln!("error: {mistake}");
                }
                return Ok(None);
            }
        };
        Ok(Some(Self {
            sources,
            settings,
            model,
            endpoints,
            certificate_changes,
        }))
    }
}

/// Reads the sources; `None` where there are mistakes, which are printed.
fn loaded(sources: &Sources) -> Option<Settings> {
    let loaded = match sources.read() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error:#}");
            return None;
        }
    };
    configuration::print(&loaded.diagnostics);
    (!loaded.diagnostics.has_errors()).then_some(loaded.settings)
}

/// Signals that end the front.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A front, and what is kept up to date beside it.
struct Running {
    front: Front,
    in_force: InForce,
    endpoints: Endpoints,
    keys: SigningKeys,
    model: Arc<ProxyModel>,
    access_log: Option<Arc<AccessLogFile>>,
    membership: Option<Membership>,
    traces: Option<Arc<Traces>>,
    operator: Option<ForOperator>,
}

/// What the operator is told by.
struct ForOperator {
    admin: Admin,
    readiness: Arc<Readiness>,
    follows: JoinHandle<()>,
}

impl ForOperator {
    fn start(listener: admin::Listener, front: &Front, registry: Registry) -> Self {
        let readiness = Readiness::new();
        let follows = Arc::clone(&readiness).follow(front.heartbeats());
        let state = AdminState {
            registry,
            readiness: Arc::clone(&readiness),
        };
        Self {
            admin: Admin::serve(listener, state),
            readiness,
            follows: tokio::spawn(follows),
        }
    }
}

impl Drop for ForOperator {
    fn drop(&mut self) {
        self.follows.abort();
    }
}

impl Running {
    fn reopen_access_log(&self) {
        if let Some(access_log) = &self.access_log {
            access_log.reopen();
        }
    }

    fn reload(&mut self, runtime: &RuntimeFolder) {
        service_manager::telling_of_reload(|| {
            self.in_force.reload(&self.front, runtime);
            let settings = self.in_force.settings();
            self.endpoints.reload(settings, &mut self.front);
            self.keys.follow(self.model.bearer_scheme());
        });
        self.say();
    }

    /// Tells the fronts that share the configuration what is in force here.
    fn say(&self) {
        if let Some(membership) = &self.membership {
            let (revision, refused) = self.in_force.shared();
            membership.say(self.in_force.settings(), revision, refused);
        }
    }

    /// Follows what stands in etcd, and takes a place among those who do; a front without etcd is told
    /// nothing.
    fn share(&mut self) -> mpsc::Receiver<()> {
        let Some(etcd) = self.in_force.etcd().cloned() else {
            return mpsc::channel(1).1;
        };
        let model = Arc::clone(&self.model);
        self.membership = Some(Membership::begin(&etcd, self.front.urls(), model));
        let changes = etcd.follow();
        self.say();
        changes
    }
}

async fn serve(
    args: &ProcessArgs,
    ready: Ready,
    pipeline: Pipeline,
    start: Start,
) -> anyhow::Result<()> {
    // Before the listeners are told of, so that no signal finds the default action.
    let mut ends = Ends {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    let mut hang_up = signal(SignalKind::hangup())?;
    // Whoever rotates logs sends it, whether there is an access log or not.
    let mut reopen = signal(SignalKind::user_defined1())?;
    let mut replace = signal(SignalKind::user_defined2())?;
    let mut changes = start.changes.watch();
    let (mut running, runtime) = running(args, ready, pipeline, start.sockets).await?;
    let desk = Desk::open(&runtime, running.front.under_way());
    let mut successor = Successor::new(desk, &runtime);
    let urls = running.front.urls();
    for url in &urls {
        println!("listening on {url}");
    }
    if let Some(operator) = &running.operator {
        println!("admin endpoint on {}", operator.admin.url());
    }
    service_manager::tell_ready(&urls);
    let mut shared_changes = running.share();
    let watchdog = tokio::spawn(service_manager::watchdog(running.front.heartbeats()));
    let replaced_by = loop {
        tokio::select! {
            () = ends.recv() => break None,
            _ = hang_up.recv() => running.reload(&runtime),
            Some(()) = changes.recv() => running.reload(&runtime),
            Some(()) = shared_changes.recv() => running.reload(&runtime),
            _ = reopen.recv() => running.reopen_access_log(),
            _ = replace.recv() => successor.start(),
            other = successor.ready(&running.front) => break Some(other),
        }
    };
    watchdog.abort();
    drop(running.membership);
    successor.close().await;
    let given = args.drain_timeout.map(Duration::from_secs);
    let configured = running.in_force.settings().shutdown_timeout;
    let patience = given.or(configured).unwrap_or(DRAIN_TIMEOUT);
    let drain = Drain {
        front: running.front,
        access_log: running.access_log,
        traces: running.traces,
        operator: running.operator,
        patience,
    };
    match replaced_by {
        // Nobody waits for the end of this process.
        Some(other) => {
            give_way(&drain.front, &other);
            // The other one has its address.
            let drain = Drain {
                operator: None,
                ..drain
            };
            drain.when_asked(given, ends, reopen).await
        }
        None => {
            service_manager::tell_stopping(patience);
            drain.now(ends, reopen).await
        }
    }
}

/// Lets another front serve in this one's place.
fn give_way(front: &Front, other: &replacement::Ready) {
    tracing::info!(
        pid = other.pid(),
        "another front has taken this one's place"
    );
    front.hand_over(&other.addresses);
    // Before the other says anything, which is to be heard as the main process' word.
    if other.is_child() {
        service_manager::tell_main_process(other.pid());
    }
    other.release();
}

/// A front that ends with what it has begun.
struct Drain {
    front: Front,
    access_log: Option<Arc<AccessLogFile>>,
    traces: Option<Arc<Traces>>,
    operator: Option<ForOperator>,
    /// How long it may take from when it was asked to end.
    patience: Duration,
}

impl Drain {
    /// It has been asked to end; whoever asks again ends it at once.
    async fn now(self, ends: Ends, reopen: Signal) -> anyhow::Result<()> {
        let limit = Some(self.patience);
        self.run(limit, true, ends, reopen).await
    }

    /// Another front serves: it takes its time, within `limit` if there is one, until it is asked to end.
    async fn when_asked(
        self,
        limit: Option<Duration>,
        ends: Ends,
        reopen: Signal,
    ) -> anyhow::Result<()> {
        self.run(limit, false, ends, reopen).await
    }

    async fn run(
        self,
        limit: Option<Duration>,
        mut is_asked: bool,
        mut ends: Ends,
        mut reopen: Signal,
    ) -> anyhow::Result<()> {
        tracing::info!("draining");
        if let Some(operator) = &self.operator {
            operator.readiness.drains();
        }
        let under_way = self.front.under_way();
        self.front.drain();
        let mut time_is_up = pin!(after(limit));
        let mut keeps = pin!(say_what_keeps(&under_way));
        let mut ended = pin!(join(self.front));
        let drained = loop {
            tokio::select! {
                joined = &mut ended => break joined,
                () = &mut keeps => {}
                () = &mut time_is_up => {
                    tracing::warn!(%under_way, "exchanges are cut short: the drain timeout is over");
                    break Ok(());
                }
                () = ends.recv() => {
                    if is_asked {
                        tracing::warn!(%under_way, "exchanges are cut short: asked to end again");
                        break Ok(());
                    }
                    is_asked = true;
                    if limit.is_none() {
                        time_is_up.set(after(Some(self.patience)));
                    }
                }
                _ = reopen.recv() => {
                    if let Some(access_log) = &self.access_log {
                        access_log.reopen();
                    }
                }
            }
        };
        if let Some(access_log) = self.access_log {
            access_log.close();
        }
        if let Some(traces) = self.traces {
            traces.close();
        }
        drained
    }
}

/// Completes after this time, never without one.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Tells the log what a stop waits for: after a second, and whenever that has changed ten seconds
/// later. Never completes.
async fn say_what_keeps(under_way: &UnderWay) {
    let mut said = String::new();
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::time::sleep(pause).await;
        pause = Duration::from_secs(10);
        let now = under_way.to_string();
        if now != said {
            tracing::info!(under_way = now, "the stop waits for what is under way");
            said = now;
        }
    }
}

/// Starts the front, and what looks after it on the runtime that calls; in the place of a front that runs,
/// if it is to be replaced.
async fn running(
    args: &ProcessArgs,
    ready: Ready,
    pipeline: Pipeline,
    mut sockets: InheritedSockets,
) -> anyhow::Result<(Running, RuntimeFolder)> {
    let Ready {
        sources,
        settings,
        model,
        endpoints,
        certificate_changes,
    } = ready;
    let folder = sources.folder().to_owned();
    let mut pages = FollowedPages::default();
    pages.follow(error_pages::folder(&folder, &settings))?;
    let limits = front_limits(&settings.ostler, pages.pages());
    let in_force = InForce::start(sources, settings.clone(), pages, &model).await?;
    // What reading took and nobody needs any more.
    ostler_shm::release_free_memory();
    let mut options = options(args, &settings, endpoints, limits, &folder)?;
    let access_log = settings.ostler.access_log.as_ref();
    let access_log = access_log.map(AccessLogFile::open).transpose()?;
    options.access_log = access_log.clone().map(|log| log as _);
    let traces = start_traces(&settings)?;
    options.traces = trace_options(&settings, traces.as_ref());
    let mut keys = SigningKeys::default();
    keys.follow(model.bearer_scheme());
    let predecessor = replacement::predecessor(args, &options.runtime, &mut sockets)?;
    let admin = settings.ostler.admin.as_ref();
    let admin = admin.map(|admin| admin::Listener::bind(admin, predecessor.is_some()));
    let admin = admin.transpose()?;
    options.metrics = admin.is_some();
    let front = Front::start_on(sockets, Arc::clone(&model), pipeline, &options)?;
    if let Some(predecessor) = predecessor {
        let pid = predecessor.pid();
        match predecessor.replace(front.listen_addresses()) {
            Ok(()) => tracing::info!(pid, "this front has taken another one's place"),
            // It may have ended of itself. If not, both serve.
            Err(error) => tracing::error!(pid, %error, "the front that was to end may go on"),
        }
        front.take_over();
    }
    let endpoints = Endpoints::follow(&options.endpoints, &settings, certificate_changes);
    let operator = admin.map(|listener| {
        let registry = Registry {
            front: front.metrics(),
            reloads: in_force.reloads(),
            access_log: access_log.clone(),
            traces: traces.clone(),
        };
        ForOperator::start(listener, &front, registry)
    });
    let running = Running {
        traces,
        operator,
        front,
        in_force,
        endpoints,
        keys,
        model,
        access_log,
        membership: None,
    };
    Ok((running, options.runtime))
}

fn start_traces(settings: &Settings) -> anyhow::Result<Option<Arc<Traces>>> {
    let traces = settings.ostler.traces.as_ref();
    traces.map(Traces::start).transpose()
}

fn trace_options(settings: &Settings, traces: Option<&Arc<Traces>>) -> Option<TraceOptions> {
    let sample = settings.ostler.traces.as_ref()?.sample;
    Some(TraceOptions {
        exporter: Arc::clone(traces?) as _,
        sampling: Sampling::share(sample),
    })
}

async fn join(front: Front) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || front.join())
        .await
        .context("a thread of the front failed")
}

fn policies(settings: &Settings) -> PolicyRegistry {
    let checks = &settings.ostler.health_checks;
    let options = TransportFailureRateOptions {
        detection_window: checks.passive_detection_window,
        minimal_total_count: checks.passive_minimal_total_count,
        ..TransportFailureRateOptions::default()
    };
    PolicyRegistry::default().with_transport_failure_rate(options)
}

fn options(
    args: &ProcessArgs,
    settings: &Settings,
    endpoints: Vec<Endpoint>,
    limits: FrontLimits,
    folder: &Path,
) -> anyhow::Result<FrontOptions> {
    let ostler = &settings.ostler;
    let trusted_uids: Result<Vec<_>, _> = ostler
        .trusted_users
        .iter()
        .map(|user| uid_of(user))
        .collect();
    Ok(FrontOptions {
        endpoints,
        threads: args.threads.unwrap_or(ostler.threads),
        limits,
        runtime: runtime_folder(ostler)?,
        trusted_uids: trusted_uids?,
        kernel_tls: ostler.kernel_tls == KernelTls::Auto,
        active_health: ActiveHealthOptions {
            default_interval: ostler.health_checks.active_default_interval,
            default_timeout: ostler.health_checks.active_default_timeout,
        },
        static_files: static_files(folder, settings),
        access_log: None,
        traces: None,
        metrics: false,
    })
}

/// Files beside the proxy. Relative folders are the content root's, which is by default the
/// first configuration file's folder, as in YARP's container application.
fn static_files(folder: &Path, settings: &Settings) -> Option<StaticFileOptions> {
    let files = &settings.static_files;
    if !files.enabled && files.navigation_fallback.is_none() {
        return None;
    }
    let content_root = folder.join(files.content_root.as_deref().unwrap_or_default());
    let root = content_root.join(files.web_root.as_deref().unwrap_or("wwwroot"));
    if !root.is_dir() {
        tracing::warn!(root = %root.display(), "there is no folder with static files");
    }
    Some(StaticFileOptions {
        root,
        enabled: files.enabled,
        serve_unknown_file_types: files.serve_unknown_file_types,
        navigation_fallback: files.navigation_fallback.clone(),
    })
}

fn uid_of(user: &str) -> anyhow::Result<u32> {
    let uid = accounts::uid_of(user).context("cannot read /etc/passwd")?;
    uid.with_context(|| format!("Ostler:TrustedUsers: there is no user {user:?}"))
}
