//! The runtime folder: which queues exist and who serves them.
//!
//! ```text
//! <runtime folder>/queues/<queue>/queue.json       name, limit, verbosity, wait timeout
//!                               /<instance>.sock   SOCK_SEQPACKET, one an attached process
//!                               /<instance>.json   pid, label, URL prefixes
//! ```
//!
//! The queue's folder is the queue's life: a clean stop of the last instance removes it, a crash
//! leaves it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ostler_shm::{ControlListener, ControlSocket};
use serde::{Deserialize, Serialize};

use crate::error::QueueError;
use crate::name::QueueName;
use crate::queue::QueueProperties;

/// Where queues are.
#[derive(Debug, Clone)]
pub struct RuntimeFolder {
    path: PathBuf,
}

impl RuntimeFolder {
    /// The folder at `path`, which is made when a queue is opened in it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// `$OSTLER_RUNTIME_DIR`, else `/run/ostler` where this user may use it, else
    /// `$XDG_RUNTIME_DIR/ostler`.
    pub fn from_environment() -> Self {
        if let Some(path) = std::env::var_os("OSTLER_RUNTIME_DIR").filter(|path| !path.is_empty()) {
            return Self::new(path);
        }
        let system = Path::new("/run/ostler");
        let usable =
            fs::create_dir_all(system.join("queues")).is_ok() && may_write(&system.join("queues"));
        match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
            Some(user) if !usable => Self::new(Path::new(&user).join("ostler")),
            _ => Self::new(system),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds a folder for each queue; made if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn queues(&self) -> Result<PathBuf, QueueError> {
        let path = self.path.join("queues");
        fs::create_dir_all(&path).map_err(|error| QueueError::io(&path, error))?;
        Ok(path)
    }

    /// The folder of one queue, whether or not it exists.
    pub fn queue(&self, name: &QueueName) -> QueueFolder {
        QueueFolder {
            path: self.path.join("queues").join(name.folder()),
        }
    }

    /// The folders of all queues, sorted.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read; one that is missing holds no queue.
    pub fn list(&self) -> Result<Vec<QueueFolder>, QueueError> {
        let path = self.path.join("queues");
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(QueueError::io(path, error)),
        };
        let mut folders: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| QueueFolder { path: entry.path() })
            .collect();
        folders.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(folders)
    }
}

/// Root passes every permission check, so the answer of the file system is what counts.
fn may_write(folder: &Path) -> bool {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let made = File::create(&probe).is_ok();
    let _ = fs::remove_file(&probe);
    made
}

/// What an instance says of itself in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceDescription {
    /// Process id.
    pub pid: u32,
    /// A text for people.
    pub label: String,
    /// The URL prefixes it registered, normalised.
    pub url_prefixes: Vec<String>,
}

/// The folder of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFolder {
    path: PathBuf,
}

impl QueueFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the queue exists.
    pub fn exists(&self) -> bool {
        self.path.join(PROPERTIES).exists()
    }

    /// The queue's properties; `None` when the queue does not exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not hold what it should.
    pub fn properties(&self) -> Result<Option<QueueProperties>, QueueError> {
        read_json(&self.path.join(PROPERTIES))
    }

    /// Ids of the instances that have a socket here, dead ones included, sorted.
    pub fn instances(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return Vec::new();
        };
        let mut ids: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(SOCKET)?.to_owned()))
            .collect();
        ids.sort();
        ids
    }

    /// What an instance's file says.
    pub fn instance(&self, id: &str) -> Option<InstanceDescription> {
        read_json(&self.path.join(format!("{id}.json")))
            .ok()
            .flatten()
    }

    /// Connects to an instance.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` or `NotFound` when it is dead, `WouldBlock` when it does not accept.
    pub fn connect(&self, id: &str) -> io::Result<ControlSocket> {
        let (_folder, short) = self.short_path(&format!("{id}{SOCKET}"))?;
        ControlSocket::connect(&short)
    }

    /// Whether anything answers at an instance's socket.
    pub(crate) fn is_live(&self, id: &str) -> bool {
        match self.connect(id) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Made under another name and renamed: who sees the socket can connect to it.
    pub(crate) fn bind(&self, id: &str) -> io::Result<ControlListener> {
        let beside = format!("{id}.new");
        let (_folder, short) = self.short_path(&beside)?;
        let listener = ControlListener::bind(&short)?;
        fs::rename(
            self.path.join(&beside),
            self.path.join(format!("{id}{SOCKET}")),
        )?;
        Ok(listener)
    }

    pub(crate) fn write_properties(&self, properties: &QueueProperties) -> Result<(), QueueError> {
        write_json(&self.path.join(PROPERTIES), properties)
    }

    pub(crate) fn write_instance(
        &self,
        id: &str,
        description: &InstanceDescription,
    ) -> Result<(), QueueError> {
        write_json(&self.path.join(format!("{id}.json")), description)
    }

    pub(crate) fn remove_instance(&self, id: &str) {
        let _ = fs::remove_file(self.path.join(format!("{id}{SOCKET}")));
        let _ = fs::remove_file(self.path.join(format!("{id}.json")));
    }

    /// Removes the queue itself, and whatever crashed instances left in it.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.path);
    }

    /// A socket's path may have 107 bytes, a queue's name 260 characters: go through the folder's
    /// descriptor, which lives as long as the returned guard.
    fn short_path(&self, file: &str) -> io::Result<(OwnedFd, PathBuf)> {
        let folder: OwnedFd = File::open(&self.path)?.into();
        let path = PathBuf::from(format!("/proc/self/fd/{}/{file}", folder.as_raw_fd()));
        Ok((folder, path))
    }
}

const PROPERTIES: &str = "queue.json";
const SOCKET: &str = ".sock";

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, QueueError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(QueueError::io(path, error)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| QueueError::Io {
            path: path.into(),
            source: error.into(),
        })
}

/// Written beside and renamed, so that a reader never sees half a file.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), QueueError> {
    let failed = |error: io::Error| QueueError::io(path, error);
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let beside = path.with_extension("json.new");
    fs::write(&beside, text).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}
