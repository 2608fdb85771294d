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

use std::io;
use std::path::{Path, PathBuf};

use ostler_shm::{ControlListener, ControlSocket};
use rustix::fs::{Access, AtFlags, Gid, Mode};
use serde::{Deserialize, Serialize};

use crate::accounts;
use crate::error::QueueError;
use crate::folder::Folder;
use crate::name::QueueName;
use crate::properties::QueueProperties;

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
        let system = Self::new("/run/ostler");
        let usable = system.queues().is_ok_and(|queues| may_write(queues.path()));
        match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
            Some(user) if !usable => Self::new(Path::new(&user).join("ostler")),
            _ => system,
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds a folder for each queue.
    pub fn queues_path(&self) -> PathBuf {
        self.path.join(QUEUES)
    }

    /// The folder in which fronts that run are asked, whether or not there is one.
    pub fn fronts_path(&self) -> PathBuf {
        self.path.join(FRONTS)
    }

    /// Makes that folder, if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is no folder.
    pub fn make_fronts(&self) -> Result<(), QueueError> {
        self.make(FRONTS, 0o750).map(drop)
    }

    /// Where the front of a process id is asked for what waits in it, whether or not there is one.
    pub fn front_socket(&self, pid: u32) -> PathBuf {
        self.path.join(FRONTS).join(format!("{pid}.sock"))
    }

    /// Makes the folder that holds a folder for each queue, if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is no folder.
    pub fn make_queues(&self) -> Result<(), QueueError> {
        self.queues().map(drop)
    }

    /// Lets a group open queues: the folder of queues becomes the group's, with mode 2770, so that
    /// what is made in it is the group's too. Changes nothing where that is so already.
    ///
    /// # Errors
    ///
    /// When it is not so and this process may not change it.
    pub fn share_queues(&self, gid: u32) -> Result<(), QueueError> {
        let queues = self.queues()?;
        let wanted = Mode::RWXU | Mode::RWXG | Mode::SGID;
        let found = queues.stat()?;
        let failed = |error: rustix::io::Errno| QueueError::NotShared {
            path: queues.path().to_owned(),
            group: accounts::group_name(gid),
            owner: accounts::user_name(found.st_uid),
            own: accounts::own_names(),
            source: error.into(),
        };
        if found.st_gid != gid {
            queues.set_group(Gid::from_raw(gid)).map_err(failed)?;
        }
        // After the group: a change of it takes set-group-ID away.
        if !Mode::from_raw_mode(queues.stat()?.st_mode).contains(wanted) {
            queues.set_mode(wanted).map_err(failed)?;
        }
        Ok(())
    }

    pub(crate) fn queues(&self) -> Result<Folder, QueueError> {
        self.make(QUEUES, 0o755)
    }

    /// A folder in the runtime folder, made with this mode if it is missing.
    pub(crate) fn make(&self, name: &str, mode: u32) -> Result<Folder, QueueError> {
        let runtime = match Folder::open(&self.path) {
            Err(error) if error.is_not_found() => {
                self.make_itself()?;
                Folder::open(&self.path)?
            }
            opened => opened?,
        };
        Ok(runtime.make(name, mode)?.0)
    }

    fn make_itself(&self) -> Result<(), QueueError> {
        let failed = |error| QueueError::io(&self.path, error);
        std::fs::create_dir_all(&self.path).map_err(failed)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&self.path, mode).map_err(failed)
    }

    /// A folder in the runtime folder; `None` if there is none.
    pub(crate) fn existing(&self, name: &str) -> Result<Option<Folder>, QueueError> {
        let runtime = existing(Folder::open(&self.path))?;
        match runtime {
            Some(runtime) => existing(runtime.enter(name)),
            None => Ok(None),
        }
    }

    /// The folder of one queue, whether or not it exists.
    pub fn queue(&self, name: &QueueName) -> QueueFolder {
        self.queue_named(name.folder())
    }

    fn queue_named(&self, name: &str) -> QueueFolder {
        QueueFolder {
            runtime: self.clone(),
            path: self.queues_path().join(name),
            name: name.to_owned(),
        }
    }

    /// The folders of all queues, sorted.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read; one that is missing holds no queue.
    pub fn list(&self) -> Result<Vec<QueueFolder>, QueueError> {
        let Some(queues) = self.existing(QUEUES)? else {
            return Ok(Vec::new());
        };
        let mut names = queues.names()?;
        // What is no folder is no queue. One that may not be entered is, and says so when looked at.
        names.retain(|name| match queues.enter(name) {
            Ok(_) => true,
            Err(error) => matches!(error, QueueError::AccessDenied { .. }),
        });
        names.sort();
        Ok(names.iter().map(|name| self.queue_named(name)).collect())
    }
}

/// Nothing where there is none.
fn existing(opened: Result<Folder, QueueError>) -> Result<Option<Folder>, QueueError> {
    match opened {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the file system lets this user make files here.
fn may_write(folder: &Path) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(rustix::fs::CWD, folder, access, AtFlags::EACCESS).is_ok()
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
#[derive(Debug)]
pub struct QueueFolder {
    runtime: RuntimeFolder,
    /// The folder's name in that of all queues.
    name: String,
    path: PathBuf,
}

impl QueueFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the queue exists.
    ///
    /// # Errors
    ///
    /// When that cannot be found out: the folder may not be entered, or is none.
    pub fn exists(&self) -> Result<bool, QueueError> {
        match self.open()? {
            Some(folder) => folder.has(PROPERTIES),
            None => Ok(false),
        }
    }

    /// The queue's properties; `None` when the queue does not exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not hold what it should.
    pub fn properties(&self) -> Result<Option<QueueProperties>, QueueError> {
        match self.open()? {
            Some(folder) => read_json(&folder, PROPERTIES),
            None => Ok(None),
        }
    }

    /// Ids of the instances that have a socket here, dead ones included, sorted.
    pub fn instances(&self) -> Vec<String> {
        let names = match self.open() {
            Ok(Some(folder)) => folder.names().unwrap_or_default(),
            Ok(None) | Err(_) => return Vec::new(),
        };
        let ids = names.iter().filter_map(|name| name.strip_suffix(SOCKET));
        let mut ids: Vec<_> = ids.map(str::to_owned).collect();
        ids.sort();
        // More do not serve one queue: they are there to keep whoever looks at them busy.
        ids.truncate(MOST_INSTANCES);
        ids
    }

    /// What an instance's file says.
    pub fn instance(&self, id: &str) -> Option<InstanceDescription> {
        let folder = self.open().ok()??;
        read_json(&folder, &format!("{id}.json")).ok().flatten()
    }

    /// Connects to an instance.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` or `NotFound` when it is dead, `WouldBlock` when it does not accept,
    /// `PermissionDenied` with who may connect.
    pub fn connect(&self, id: &str) -> io::Result<ControlSocket> {
        let folder = self.open().map_err(QueueError::into_io)?;
        let folder = folder.ok_or(io::ErrorKind::NotFound)?;
        folder.connect(&format!("{id}{SOCKET}"))
    }

    /// Whether anything answers at an instance's socket.
    pub(crate) fn is_live(&self, id: &str) -> bool {
        match self.connect(id) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    pub(crate) fn bind(&self, id: &str) -> Result<ControlListener, QueueError> {
        self.opened()?.bind(&format!("{id}{SOCKET}"))
    }

    pub(crate) fn write_properties(&self, properties: &QueueProperties) -> Result<(), QueueError> {
        write_json(&self.opened()?, PROPERTIES, properties)
    }

    pub(crate) fn write_instance(
        &self,
        id: &str,
        description: &InstanceDescription,
    ) -> Result<(), QueueError> {
        write_json(&self.opened()?, &format!("{id}.json"), description)
    }

    pub(crate) fn remove_instance(&self, id: &str) {
        if let Ok(Some(folder)) = self.open() {
            folder.remove(&format!("{id}{SOCKET}"));
            folder.remove(&format!("{id}.json"));
        }
    }

    /// Makes the folder, with this mode, unless it is there.
    pub(crate) fn make(&self, permissions: u32) -> Result<(), QueueError> {
        // A crash left one that is there: the queue lives on with its access.
        self.runtime
            .queues()?
            .make(&self.name, permissions)
            .map(drop)
    }

    /// Removes the queue itself, and whatever crashed instances left in it.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }

    fn open(&self) -> Result<Option<Folder>, QueueError> {
        match self.runtime.existing(QUEUES)? {
            Some(queues) => existing(queues.enter(&self.name)),
            None => Ok(None),
        }
    }

    fn opened(&self) -> Result<Folder, QueueError> {
        self.runtime.queues()?.enter(&self.name)
    }
}

const QUEUES: &str = "queues";
pub(crate) const FRONTS: &str = "fronts";
const PROPERTIES: &str = "queue.json";
const SOCKET: &str = ".sock";
const MOST_INSTANCES: usize = 1024;

fn read_json<T: for<'de> Deserialize<'de>>(
    folder: &Folder,
    name: &str,
) -> Result<Option<T>, QueueError> {
    let Some(text) = folder.read(name)? else {
        return Ok(None);
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| QueueError::io(folder.path().join(name), error.into()))
}

fn write_json<T: Serialize>(folder: &Folder, name: &str, value: &T) -> Result<(), QueueError> {
    let encoded = serde_json::to_vec_pretty(value);
    let mut text =
        encoded.map_err(|error| QueueError::io(folder.path().join(name), error.into()))?;
    text.push(b'\n');
    folder.write(name, &text)
}
