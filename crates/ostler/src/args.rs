//! The command line, which others script against.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use ostler_target::{RequestQueue, RequestQueueMode, Verbosity503};

use crate::proxy_addresses::{ListenAt, ProxyTo};
use crate::route_test::{FieldLine, RequestUrl};
use crate::sample_target::CertificateFiles;

/// Where YARP's documentation has routes and clusters.
pub(crate) const DEFAULT_SECTION: &str = "ReverseProxy";

/// A reverse proxy that delegates requests to the processes that answer them.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is logged, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// What to log: error, warn, info, debug (one line an exchange), trace, or a filter such as
    /// `info,ostler::exchange=debug`.
    #[arg(long, global = true, env = "OSTLER_LOG", default_value = "info")]
    pub(crate) log: String,
    /// How to log, to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the front.
    Run(RunArgs),
    /// Run a front without a configuration file: all requests to these destinations.
    Proxy(ProxyArgs),
    /// Write a first configuration, with a comment for each of its keys.
    Init(InitArgs),
    /// Report every error and warning of a configuration.
    Check(CheckArgs),
    /// Look at the routes of a configuration.
    #[command(subcommand)]
    Routes(RoutesCommand),
    /// Print the JSON schema of a configuration, for editors, or the reference of its keys.
    Schema(SchemaArgs),
    /// Start a program that knows nothing of queues, and serve a request queue through it.
    Exec(ExecArgs),
    #[command(hide = true)]
    Become(BecomeArgs),
    /// Start the applications of a configuration when there are requests for them, watch and stop them.
    Pool(PoolArgs),
    /// List the applications of the pools that run here, or act on one.
    Apps(AppsArgs),
    /// Run a target process with paths to try things on.
    SampleTarget(SampleTargetArgs),
    /// List the request queues on this host.
    Queues(QueuesArgs),
    /// Look at the configuration in etcd, which fronts share, and change it.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List the fronts that share a configuration in etcd.
    Fleet(FleetArgs),
    /// Start a front and two targets, and show what delegation does.
    Demo(DemoArgs),
    /// Write manual pages and shell completions, for packages.
    Manual(ManualArgs),
}

/// What a front runs by, which is also what is checked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// Where to listen, separated by `;`; overrides the configuration's `Urls`, not its endpoints.
    #[arg(long, value_name = "URL;URL")]
    pub(crate) urls: Option<String>,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    /// Settings over the files', as `ReverseProxy:Clusters:c1:...=value`, with or without `--`.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

impl RunArgs {
    /// Everything that is laid over the files.
    pub(crate) fn all_settings(&self) -> Vec<String> {
        let urls = self.urls.iter().map(|urls| format!("Urls={urls}"));
        self.settings.iter().cloned().chain(urls).collect()
    }
}

/// Where a configuration is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigurationArgs {
    /// The configuration: JSON as YARP reads it. `NAME.ENVIRONMENT.json` beside `NAME.json` is laid
    /// over it. Several are laid over each other in their order.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) config: Vec<PathBuf>,
    /// The environment; by default `DOTNET_ENVIRONMENT`, `ASPNETCORE_ENVIRONMENT` or Production.
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// The section with routes and clusters, such as `Yarp` or `App:Gateway`.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SECTION)]
    pub(crate) section: String,
}

/// How the process of a front runs, whatever its configuration is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProcessArgs {
    /// How many threads; 0 is one a CPU. Overrides `Ostler:Threads`.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// How many seconds exchanges under way may take when the front is stopped; 30 unless
    /// `ShutdownTimeoutSeconds` says otherwise. When it is replaced they may take any time, unless this is
    /// given.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drain_timeout: Option<u64>,
    /// Take the place of the front that runs, or of the one with this process id where several run: its
    /// sockets are taken over, and it ends when it has answered what it has begun. Where none runs, start
    /// as usual.
    #[arg(long, value_name = "PID", num_args = 0..=1, require_equals = true)]
    pub(crate) replace: Option<Option<u32>>,
}

/// A front that the command line describes whole.
#[derive(Debug, clap::Args)]
pub(crate) struct ProxyArgs {
    /// Where to listen: `:PORT`, `HOST:PORT`, `unix:/PATH` or a URL, https where there is a certificate.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: ListenAt,
    /// Who answers: a URL, `HOST:PORT`, `:PORT` of this host, `unix:/PATH` of a socket, or `queue:NAME`, to
    /// delegate to the request queue of that name; can be repeated.
    #[arg(long, value_name = "DESTINATION", required = true)]
    pub(crate) to: Vec<ProxyTo>,
    /// Listen with TLS: PEM files of the certificate, with those that lead to its authority, and of its
    /// private key.
    #[arg(long, value_name = "CERT,KEY")]
    pub(crate) tls: Option<CertificateFiles>,
    /// Print the configuration that this is, for a file, instead of running.
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    /// Settings over what the options say, as `Kestrel:Limits:MaxRequestBodySize=value`, with or without `--`.
    #[arg(value_name = "KEY=VALUE", conflicts_with = "print_config")]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// The file to write, which must not exist.
    #[arg(value_name = "FILE", default_value = "ostler.json")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Fail for warnings, too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// How to say what is wrong.
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub(crate) format: CheckFormat,
    /// A pipeline step that the program to run has and this one has not; can be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// Lines for people, to standard error, and a last one to standard output when all is well.
    Human,
    /// One JSON object, to standard output.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoutesCommand {
    /// Say which route, cluster and destinations a request would go to, and why; nothing is sent. Fails
    /// with 1 where no route matches.
    Test(RouteTestArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RouteTestArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// The request's URL, or its path.
    #[arg(value_name = "URL")]
    pub(crate) url: RequestUrl,
    /// The request's method.
    #[arg(long, default_value = "GET")]
    pub(crate) method: http::Method,
    /// A field of the request's head; can be repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<FieldLine>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Settings over the files', as `ReverseProxy:Clusters:c1:...=value`, with or without `--`.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SampleTargetArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// What `/` and `ostler queues` call this process.
    #[arg(long, default_value = "sample")]
    pub(crate) label: String,
    /// Serve this address directly as well.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Serve that address over TLS, with HTTP/2 and HTTP/1.1: PEM files of the certificate, with those
    /// that lead to its authority, and of its private key.
    #[arg(long, value_name = "CERT,KEY", requires = "listen")]
    pub(crate) tls: Option<CertificateFiles>,
    /// How many threads; 0 is one a CPU.
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
}

/// A request queue that is opened.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct QueueArgs {
    /// The request queue's name.
    #[arg(long = "queue", value_name = "NAME")]
    pub(crate) name: String,
    /// A URL prefix to register; can be repeated.
    #[arg(long, value_name = "PREFIX", default_value = "http://*:80/")]
    pub(crate) url_prefix: Vec<String>,
    /// Whether to make the queue, join it, or either.
    #[arg(long, value_enum, default_value_t = Mode::CreateOrAttach)]
    pub(crate) mode: Mode,
    /// Most requests that may wait in the queue.
    #[arg(long, default_value_t = 1000)]
    pub(crate) queue_limit: u32,
    /// What a client sees when the queue is full.
    #[arg(long, value_enum, default_value_t = Verbosity::Basic)]
    pub(crate) verbosity: Verbosity,
    /// How many seconds a request may wait for an instance.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) wait_timeout: u64,
    /// Permissions of the queue's folder, in octal.
    #[arg(long, value_name = "MODE", default_value = "750")]
    pub(crate) permissions: String,
    /// Leave the queue in place when stopped, so that requests wait for the next instance.
    #[arg(long)]
    pub(crate) keep_queue: bool,
}

impl QueueArgs {
    /// Opens the queue; `label` is what `ostler queues` calls this process.
    pub(crate) fn open(&self, label: &str) -> anyhow::Result<RequestQueue> {
        let permissions = u32::from_str_radix(&self.permissions, 8)
            .with_context(|| format!("--permissions {:?} is no octal number", self.permissions))?;
        let mut builder = RequestQueue::builder(&self.name)
            .mode(self.mode.into())
            .label(label)
            .limit(self.queue_limit)
            .verbosity(self.verbosity.into())
            .wait_timeout(Duration::from_secs(self.wait_timeout))
            .permissions(permissions)
            .keep_queue(self.keep_queue);
        for prefix in &self.url_prefix {
            builder = builder.url_prefix(prefix);
        }
        builder
            .bind()
            .with_context(|| format!("cannot open queue {}", self.name))
    }
}

/// A program that is served through a queue.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// What `ostler queues` calls this process; the program's name by default.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Pass the program a socket that listens, as descriptor 3 with LISTEN_FDS and LISTEN_PID
    /// (sd_listen_fds(3)). This is the default.
    #[arg(long, value_enum, value_name = "FAMILY", num_args = 0..=1,
          default_missing_value = "unix", group = "listening")]
    pub(crate) listen_fd: Option<PassedFamily>,
    /// Have the program listen on a port of this host, told by $PORT and in place of `${PORT}` in its
    /// arguments; a free one, if none is given.
    #[arg(long, value_name = "PORT", num_args = 0..=1, group = "listening")]
    pub(crate) port: Option<Option<u16>>,
    /// Have the program listen on a Unix socket, told by $SOCKET and in place of `${SOCKET}` in its
    /// arguments; in a folder of its own, if none is given.
    #[arg(long, value_name = "PATH", num_args = 0..=1, group = "listening")]
    pub(crate) unix: Option<Option<PathBuf>>,
    /// Open the queue when the program answers this path with a status below 500, instead of when it
    /// accepts connections.
    #[arg(long, value_name = "PATH")]
    pub(crate) ready_path: Option<http::uri::PathAndQuery>,
    /// How many seconds the program may take until it is ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) start_timeout: u64,
    /// How many seconds what is under way may take when this is stopped, and then the program until it
    /// has ended.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) stop_timeout: u64,
    /// How the program is told of clients.
    #[arg(long, value_enum, default_value_t = ForwardedFields::Fill)]
    pub(crate) forwarded: ForwardedFields,
    /// Speak HTTP/2 with the program, without TLS and without asking (h2c by prior knowledge), as gRPC
    /// servers do. WebSockets are not passed on then.
    #[arg(long)]
    pub(crate) http2: bool,
    /// How many seconds a connection to the program is kept for the next request; 0 is a connection for
    /// each, for programs that answer one connection at a time.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pub(crate) keep_alive: u64,
    /// Run the program as this user, by name or number, and with the user's first group alone; takes root.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// How many threads pass bytes on; 0 is one a CPU.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PassedFamily {
    /// A Unix socket, which nobody else can connect to.
    Unix,
    /// A port of 127.0.0.1, for programs that take no other.
    Tcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ForwardedFields {
    /// By X-Forwarded-For, -Proto and -Host; those that are there are the front's word, and stay.
    Fill,
    /// By these, whatever is there.
    Set,
    /// By Forwarded (RFC 7239) instead, whatever is there.
    Forwarded,
    /// Nothing is added or taken away.
    Off,
}

/// What `exec` starts in the program's place, to become the program.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BecomeArgs {
    /// Who has started this, and at whose end the program ends.
    #[arg(long, value_name = "PID")]
    pub(crate) parent: u32,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Create,
    Attach,
    CreateOrAttach,
}

impl From<Mode> for RequestQueueMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Create => Self::Create,
            Mode::Attach => Self::Attach,
            Mode::CreateOrAttach => Self::CreateOrAttach,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verbosity {
    /// A reset.
    Basic,
    /// A plain 503.
    Limited,
    /// A 503 that says why.
    Full,
}

impl From<Verbosity> for Verbosity503 {
    fn from(verbosity: Verbosity) -> Self {
        match verbosity {
            Verbosity::Basic => Self::Basic,
            Verbosity::Limited => Self::Limited,
            Verbosity::Full => Self::Full,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct PoolArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// Settings over the files', as `Ostler:Applications:shop:...=value`, with or without `--`.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AppsArgs {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: Option<AppsAction>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AppsAction {
    /// Replace all instances by new ones; requests go to the old ones until the new ones are ready.
    Recycle {
        /// The application's name.
        name: String,
    },
    /// Stop all instances; requests are answered 503 until the application is started.
    Stop {
        /// The application's name.
        name: String,
    },
    /// Let a stopped application run again, or have one start at once.
    Start {
        /// The application's name.
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {
    /// What to print.
    #[arg(long, value_enum, default_value_t = SchemaFormat::Json)]
    pub(crate) format: SchemaFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFormat {
    /// The JSON schema.
    Json,
    /// A page that describes every key.
    Markdown,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManualArgs {
    /// Where to write them; made if it is missing.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct QueuesArgs {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a configuration and put it into etcd, if nobody else has meanwhile.
    Push(PushArgs),
    /// Print the configuration in etcd.
    Pull(PullArgs),
    /// Say in what a file differs from the configuration in etcd.
    Diff(DiffArgs),
    /// List what was pushed.
    History(EtcdArgs),
    /// Push again what was pushed before.
    Rollback(RollbackArgs),
}

/// Where etcd is: what a front says that shares it.
#[derive(Debug, clap::Args)]
pub(crate) struct EtcdArgs {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    /// Settings over the files', as `Ostler:Etcd:Prefix=/shop/`, with or without `--`.
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// The configuration.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The revision that it is a change of, as `pull` says; by default the one that is there.
    #[arg(long, value_name = "REVISION")]
    pub(crate) base: Option<i64>,
    /// Why, for the history.
    #[arg(long, short)]
    pub(crate) message: Option<String>,
    #[command(flatten)]
    pub(crate) etcd: EtcdArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// Write it there.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) etcd: EtcdArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// The configuration to compare with.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) etcd: EtcdArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The revision, as `history` lists it.
    pub(crate) revision: i64,
    /// Why, for the history.
    #[arg(long, short)]
    pub(crate) message: Option<String>,
    #[command(flatten)]
    pub(crate) etcd: EtcdArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FleetArgs {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) etcd: EtcdArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Exit after the tour instead of running on.
    #[arg(long)]
    pub(crate) once: bool,
    /// Where the front listens; 0 picks a port.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
}
