//! Opening a request queue as a target: modes, properties, the instance's socket.

use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};

use ostler_shm::ControlListener;
use rustix::fs::Mode;

use crate::error::QueueError;
use crate::folder::Folder;
use crate::name::QueueName;
use crate::properties::QueueProperties;
use crate::runtime::{InstanceDescription, QueueFolder, RuntimeFolder};
use crate::url_prefix::UrlPrefix;

/// What to do about a queue of the same name (http.sys: `RequestQueueMode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequestQueueMode {
    /// Make the queue; an error if a live one has the name.
    #[default]
    Create,
    /// Join a live queue; an error if none has the name. Queue properties are ignored.
    Attach,
    /// Join a live queue if there is one, else make it.
    CreateOrAttach,
}

/// How to open a queue.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The queue's name.
    pub name: QueueName,
    /// Create, attach, or either.
    pub mode: RequestQueueMode,
    /// Prefixes to register.
    pub url_prefixes: Vec<UrlPrefix>,
    /// A text for people.
    pub label: String,
    /// Used if the queue is made.
    pub properties: QueueProperties,
    /// Permissions of the queue's folder, set only when it is made: who can write to it can attach
    /// and connect.
    pub permissions: u32,
}

/// An instance: this process' place in a request queue.
#[derive(Debug)]
pub struct QueueInstance {
    folder: QueueFolder,
    runtime: RuntimeFolder,
    id: String,
    listener: ControlListener,
    description: InstanceDescription,
    created: bool,
    keep_queue: bool,
}

impl QueueInstance {
    /// Opens a queue.
    ///
    /// # Errors
    ///
    /// [`QueueError::AlreadyExists`] and [`QueueError::NotFound`] by the mode; what the system says
    /// otherwise.
    pub fn open(runtime: &RuntimeFolder, options: OpenOptions) -> Result<Self, QueueError> {
        options.properties.check()?;
        check_prefixes(&options.url_prefixes)?;
        let queues = runtime.queues()?;
        // Creating, attaching and removing look before they act; one at a time.
        let _lock = lock(&queues)?;
        let folder = runtime.queue(&options.name);
        let live = folder.exists()? && remove_dead_instances(&folder);
        match (options.mode, live) {
            (RequestQueueMode::Create, true) => {
                return Err(QueueError::AlreadyExists(options.name.to_string()));
            }
            (RequestQueueMode::Attach, false) => {
                return Err(QueueError::NotFound(options.name.to_string()));
            }
            _ => {}
        }
        if !live {
            folder.make(options.permissions)?;
            folder.write_properties(&options.properties)?;
        }
        static INSTANCES: AtomicU32 = AtomicU32::new(0);
        let number = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", std::process::id());
        folder.remove_instance(&id);
        let description = InstanceDescription {
            pid: std::process::id(),
            label: options.label,
            url_prefixes: options
                .url_prefixes
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        // The description first: who sees the socket can read it.
        folder.write_instance(&id, &description)?;
        let listener = folder.bind(&id)?;
        Ok(Self {
            folder,
            runtime: runtime.clone(),
            id,
            listener,
            description,
            created: !live,
            keep_queue: false,
        })
    }

    /// The socket fronts connect to.
    pub fn listener(&self) -> &ControlListener {
        &self.listener
    }

    /// Whether this instance made the queue rather than joined it.
    pub fn created(&self) -> bool {
        self.created
    }

    /// What fronts are told.
    pub fn description(&self) -> &InstanceDescription {
        &self.description
    }

    /// Leaves the queue in place when this instance closes, so that requests wait for the next
    /// one for as long as the queue allows, and not only for as long as fronts remember it.
    pub fn keep_queue(&mut self, keep: bool) {
        self.keep_queue = keep;
    }

    /// Registers a further prefix.
    ///
    /// # Errors
    ///
    /// [`QueueError::PrefixAlreadyRegistered`] when this instance has it.
    pub fn add_url_prefix(&mut self, prefix: &UrlPrefix) -> Result<(), QueueError> {
        if self
            .description
            .url_prefixes
            .iter()
            .any(|have| have == prefix.as_str())
        {
            return Err(QueueError::PrefixAlreadyRegistered(prefix.to_string()));
        }
        self.description.url_prefixes.push(prefix.to_string());
        self.folder.write_instance(&self.id, &self.description)
    }

    /// Removes a prefix; false when it was not registered.
    ///
    /// # Errors
    ///
    /// When the instance's file cannot be written.
    pub fn remove_url_prefix(&mut self, prefix: &UrlPrefix) -> Result<bool, QueueError> {
        let before = self.description.url_prefixes.len();
        self.description
            .url_prefixes
            .retain(|have| have != prefix.as_str());
        if before == self.description.url_prefixes.len() {
            return Ok(false);
        }
        self.folder.write_instance(&self.id, &self.description)?;
        Ok(true)
    }

    /// Takes the instance out of the queue, so that no front finds it any more. The last one
    /// removes the queue unless [`keep_queue`](Self::keep_queue) says otherwise.
    pub fn close(&mut self) {
        if self.id.is_empty() {
            return;
        }
        let lock = self.runtime.queues().and_then(|queues| lock(&queues));
        self.folder.remove_instance(&self.id);
        if lock.is_ok() && !self.keep_queue && !remove_dead_instances(&self.folder) {
            self.folder.remove();
        }
        self.id.clear();
    }
}

impl Drop for QueueInstance {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes a queue that nobody serves yet, so that requests wait for an instance; one that is there stays as
/// it is.
///
/// # Errors
///
/// When a property is out of range, or the runtime folder refuses.
pub fn make_unserved(
    runtime: &RuntimeFolder,
    properties: &QueueProperties,
    permissions: u32,
) -> Result<(), QueueError> {
    properties.check()?;
    let queues = runtime.queues()?;
    let _lock = lock(&queues)?;
    let folder = runtime.queue(&QueueName::new(&properties.name)?);
    if folder.exists()? {
        return Ok(());
    }
    folder.make(permissions)?;
    folder.write_properties(properties)
}

/// Removes a queue that nobody serves.
///
/// # Errors
///
/// When the runtime folder refuses.
pub fn remove_unserved(runtime: &RuntimeFolder, name: &QueueName) -> Result<(), QueueError> {
    let queues = runtime.queues()?;
    let _lock = lock(&queues)?;
    let folder = runtime.queue(name);
    if folder.exists()? && !remove_dead_instances(&folder) {
        folder.remove();
    }
    Ok(())
}

fn check_prefixes(prefixes: &[UrlPrefix]) -> Result<(), QueueError> {
    for (at, prefix) in prefixes.iter().enumerate() {
        if prefixes[..at].contains(prefix) {
            return Err(QueueError::PrefixAlreadyRegistered(prefix.to_string()));
        }
    }
    Ok(())
}

fn lock(queues: &Folder) -> Result<File, QueueError> {
    // A file of its own, not the folder: whoever may only read the folder could hold that.
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    let file = queues.open_or_create(".lock", mode)?;
    file.lock()
        .map_err(|error| QueueError::io(queues.path(), error))?;
    Ok(file)
}

/// True when at least one instance is alive; the files of those that are not are removed.
fn remove_dead_instances(folder: &QueueFolder) -> bool {
    let mut live = false;
    for id in folder.instances() {
        if folder.is_live(&id) {
            live = true;
        } else {
            folder.remove_instance(&id);
        }
    }
    live
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: &str, mode: RequestQueueMode) -> OpenOptions {
        let name = QueueName::new(name).unwrap();
        OpenOptions {
            properties: QueueProperties::new(&name),
            name,
            mode,
            url_prefixes: vec![UrlPrefix::parse("http://*:80/").unwrap()],
            label: "test".into(),
            permissions: 0o700,
        }
    }

    fn runtime() -> (tempfile::TempDir, RuntimeFolder) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = RuntimeFolder::new(folder.path());
        (folder, runtime)
    }

    #[test]
    fn create_refuses_a_live_name_and_attach_a_missing_one() {
        let (_folder, runtime) = runtime();
        let open = |name, mode| QueueInstance::open(&runtime, options(name, mode));
        assert!(matches!(
            open("q", RequestQueueMode::Attach),
            Err(QueueError::NotFound(_))
        ));
        let first = open("q", RequestQueueMode::Create).unwrap();
        assert!(first.created());
        assert!(matches!(
            open("Q", RequestQueueMode::Create),
            Err(QueueError::AlreadyExists(_))
        ));
        assert!(!open("q", RequestQueueMode::Attach).unwrap().created());
        assert!(
            !open("q", RequestQueueMode::CreateOrAttach)
                .unwrap()
                .created()
        );
        drop(first);
        assert!(
            open("q", RequestQueueMode::CreateOrAttach)
                .unwrap()
                .created()
        );
    }

    #[test]
    fn the_last_clean_stop_removes_the_queue() {
        let (_folder, runtime) = runtime();
        let folder = runtime.queue(&QueueName::new("q").unwrap());
        let first = QueueInstance::open(&runtime, options("q", RequestQueueMode::Create)).unwrap();
        let second = QueueInstance::open(&runtime, options("q", RequestQueueMode::Attach)).unwrap();
        drop(first);
        assert!(folder.exists().unwrap());
        assert_eq!(folder.instances().len(), 1);
        drop(second);
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_kept_queue_and_a_crashed_one_stay() {
        let (_folder, runtime) = runtime();
        let folder = runtime.queue(&QueueName::new("q").unwrap());
        let mut first =
            QueueInstance::open(&runtime, options("q", RequestQueueMode::Create)).unwrap();
        first.keep_queue(true);
        drop(first);
        assert!(folder.exists().unwrap());
        let crashed =
            QueueInstance::open(&runtime, options("q", RequestQueueMode::Create)).unwrap();
        let id = crashed.id.clone();
        // What a crash does: the descriptor closes, the files stay.
        let QueueInstance { listener, .. } = &crashed;
        assert!(folder.is_live(&id));
        ostler_shm::shutdown_both(std::os::fd::AsFd::as_fd(listener)).unwrap();
        assert!(!folder.is_live(&id));
        let again = QueueInstance::open(&runtime, options("q", RequestQueueMode::Create)).unwrap();
        assert!(again.created());
        std::mem::forget(crashed);
    }

    #[test]
    fn a_name_of_260_characters_binds() {
        let (_folder, runtime) = runtime();
        let name = "long".repeat(65);
        let queue =
            QueueInstance::open(&runtime, options(&name, RequestQueueMode::Create)).unwrap();
        assert_eq!(runtime.list().unwrap().len(), 1);
        drop(queue);
    }

    #[test]
    fn prefixes_are_registered_once_each() {
        let (_folder, runtime) = runtime();
        let mut queue =
            QueueInstance::open(&runtime, options("q", RequestQueueMode::Create)).unwrap();
        let root = UrlPrefix::parse("http://*:80/").unwrap();
        let other = UrlPrefix::parse("http://*:80/other/").unwrap();
        assert!(queue.add_url_prefix(&root).is_err());
        queue.add_url_prefix(&other).unwrap();
        assert!(queue.remove_url_prefix(&other).unwrap());
        assert!(!queue.remove_url_prefix(&other).unwrap());
        let mut twice = options("q2", RequestQueueMode::Create);
        twice.url_prefixes.push(root);
        assert!(QueueInstance::open(&runtime, twice).is_err());
    }

    #[test]
    fn limits_outside_the_range_are_refused() {
        let (_folder, runtime) = runtime();
        let mut none = options("q", RequestQueueMode::Create);
        none.properties.limit = 0;
        let error = QueueInstance::open(&runtime, none).unwrap_err();
        assert_eq!(
            error.to_string(),
            "queue limit 0 is outside 1 to 2147483647"
        );
    }
}
