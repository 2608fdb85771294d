//! Opening a request queue.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ostler_delegation::queue::{OpenOptions, QueueInstance};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::{QueueName, QueueProperties, RequestQueueMode, UrlPrefix, Verbosity503};
use tokio::sync::watch;

use crate::error::BindError;

/// An open request queue, to be given to [`serve`](crate::serve()).
#[derive(Debug)]
pub struct RequestQueue {
    pub(crate) handle: QueueHandle,
    pub(crate) trusted_fronts: Vec<u32>,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_connections: u32,
    name: String,
    created: bool,
}

/// Changes an open queue while it is served.
#[derive(Debug, Clone)]
pub struct QueueHandle {
    pub(crate) instance: Arc<Mutex<QueueInstance>>,
    /// The registered prefixes, for channels to tell their fronts.
    pub(crate) url_prefixes: watch::Sender<Vec<String>>,
}

impl QueueHandle {
    /// Registers a further URL prefix; the next request can be delegated by it.
    ///
    /// # Errors
    ///
    /// When it is invalid or registered already.
    pub fn add_url_prefix(&self, prefix: &str) -> Result<(), BindError> {
        let prefix = UrlPrefix::parse(prefix)?;
        let mut instance = self.lock();
        instance.add_url_prefix(&prefix)?;
        self.url_prefixes
            .send_replace(instance.description().url_prefixes.clone());
        Ok(())
    }

    /// Removes a URL prefix; false when it was not registered.
    ///
    /// # Errors
    ///
    /// When it is invalid.
    pub fn remove_url_prefix(&self, prefix: &str) -> Result<bool, BindError> {
        let prefix = UrlPrefix::parse(prefix)?;
        let mut instance = self.lock();
        let removed = instance.remove_url_prefix(&prefix)?;
        self.url_prefixes
            .send_replace(instance.description().url_prefixes.clone());
        Ok(removed)
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, QueueInstance> {
        self.instance
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How long a client may keep an exchange waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Without a body byte (http.sys: `EntityBody`).
    pub(crate) body: Duration,
    /// For the rest of a body that the handler did not read (`DrainEntityBody`).
    pub(crate) drain: Duration,
    /// Without taking a byte of the response.
    pub(crate) send: Duration,
}

impl RequestQueue {
    /// Starts opening the queue of this name: 1 to 260 characters, compared without case.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder {
            name: name.into(),
            mode: RequestQueueMode::default(),
            url_prefixes: Vec::new(),
            label: None,
            limit: QueueProperties::DEFAULT_LIMIT,
            verbosity: Verbosity503::default(),
            wait_timeout: QueueProperties::DEFAULT_WAIT_TIMEOUT,
            permissions: 0o750,
            runtime: None,
            keep_queue: false,
            trusted_fronts: Vec::new(),
            timeouts: Timeouts {
                body: Duration::from_secs(120),
                drain: Duration::from_secs(120),
                send: Duration::from_secs(120),
            },
        }
    }

    /// The queue's name as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this process made the queue rather than joined it.
    pub fn created(&self) -> bool {
        self.created
    }

    /// Changes the queue while it is served.
    pub fn handle(&self) -> QueueHandle {
        self.handle.clone()
    }
}

/// Options of a request queue; [`bind`](Self::bind) opens it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    name: String,
    mode: RequestQueueMode,
    url_prefixes: Vec<String>,
    label: Option<String>,
    limit: u32,
    verbosity: Verbosity503,
    wait_timeout: Duration,
    permissions: u32,
    runtime: Option<std::path::PathBuf>,
    keep_queue: bool,
    trusted_fronts: Vec<u32>,
    timeouts: Timeouts,
}

impl Builder {
    /// Registers a URL prefix (`http://*:80/`); a front's destination names one as its `Address`.
    /// Without any, `http://*:80/` is registered.
    pub fn url_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.url_prefixes.push(prefix.into());
        self
    }

    /// Whether to make the queue, join it, or either. [`RequestQueueMode::Create`] by default, as in
    /// http.sys: a second process is then refused. [`RequestQueueMode::CreateOrAttach`] is for
    /// services of which several instances run, or a new one starts before the old one has ended.
    pub fn mode(mut self, mode: RequestQueueMode) -> Self {
        self.mode = mode;
        self
    }

    /// A text for people, shown by `ostler queues`. The program's name by default.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Most requests that may wait (http.sys: `RequestQueueLimit`), 1 to 0x7FFFFFFF. 1000 by
    /// default. Ignored when the queue is joined.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// What a client sees when the queue is full (`Http503Verbosity`). Basic, a reset, by default.
    /// Ignored when the queue is joined.
    pub fn verbosity(mut self, verbosity: Verbosity503) -> Self {
        self.verbosity = verbosity;
        self
    }

    /// How long a request may wait for this or another instance. 120 s by default. Ignored when the
    /// queue is joined.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// Permissions of the queue's folder: who may write to it may attach and connect. 0750 by
    /// default; set only when the queue is made.
    pub fn permissions(mut self, mode: u32) -> Self {
        self.permissions = mode;
        self
    }

    /// The runtime folder, instead of the one that `$OSTLER_RUNTIME_DIR` or the system says.
    pub fn runtime_folder(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.runtime = Some(path.into());
        self
    }

    /// Leaves the queue in place after a clean stop, so that requests wait (up to the wait timeout)
    /// for the next instance. Off by default: fronts that know the queue then let requests wait for
    /// as long as they remember it (10 seconds, `Ostler:Limits:QueueRetention`), then answer 503.
    pub fn keep_queue(mut self, keep: bool) -> Self {
        self.keep_queue = keep;
        self
    }

    /// Lets fronts of this user connect, besides root, this process' user, and the owner of the
    /// runtime folder.
    pub fn trust_front(mut self, uid: u32) -> Self {
        self.trusted_fronts.push(uid);
        self
    }

    /// How long a client may send no body byte (`EntityBody`). 120 s by default.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.body = timeout;
        self
    }

    /// How long the rest of an unread body may take to arrive (`DrainEntityBody`). 120 s by default.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.drain = timeout;
        self
    }

    /// How long a client may take no byte of the response. 120 s by default.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.send = timeout;
        self
    }

    /// Opens the queue. Raises the process' limit of open files to the hard limit, since every
    /// client connection is one.
    ///
    /// # Errors
    ///
    /// When the name or a prefix is invalid, the mode does not allow it, or the runtime folder
    /// refuses.
    pub fn bind(self) -> Result<RequestQueue, BindError> {
        let name = QueueName::new(&self.name)?;
        let mut url_prefixes = Vec::new();
        for prefix in &self.url_prefixes {
            url_prefixes.push(UrlPrefix::parse(prefix)?);
        }
        if url_prefixes.is_empty() {
            url_prefixes.push(UrlPrefix::parse("http://*:80/")?);
        }
        let runtime = self
            .runtime
            .map_or_else(RuntimeFolder::from_environment, RuntimeFolder::new);
        let properties = QueueProperties {
            limit: self.limit,
            verbosity: self.verbosity,
            wait_timeout_ms: u64::try_from(self.wait_timeout.as_millis()).unwrap_or(u64::MAX),
            ..QueueProperties::new(&name)
        };
        let options = OpenOptions {
            name,
            mode: self.mode,
            url_prefixes,
            label: self.label.unwrap_or_else(program_name),
            properties,
            permissions: self.permissions,
        };
        let mut instance = QueueInstance::open(&runtime, options)?;
        instance.keep_queue(self.keep_queue);
        let mut trusted_fronts = self.trusted_fronts;
        trusted_fronts.extend(owner_of(runtime.path()));
        // Some descriptors stay for the application's own files and connections.
        let files = ostler_shm::raise_open_file_limit();
        let max_connections =
            u32::try_from(files.saturating_sub(files / 8 + 32)).unwrap_or(u32::MAX);
        let created = instance.created();
        let url_prefixes = watch::Sender::new(instance.description().url_prefixes.clone());
        let handle = QueueHandle {
            instance: Arc::new(Mutex::new(instance)),
            url_prefixes,
        };
        let (timeouts, name) = (self.timeouts, self.name);
        Ok(RequestQueue {
            handle,
            trusted_fronts,
            timeouts,
            max_connections,
            name,
            created,
        })
    }
}

fn program_name() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(std::path::Path::file_name);
    name.map_or_else(
        || "target".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn owner_of(path: &std::path::Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.uid())
}
