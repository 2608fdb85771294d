//! What can go wrong, by operation and by who is at fault.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ostler_shm::{ReceiveError, RegionError, RingError};

use crate::accounts;

/// Opening or describing a request queue failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The name is not a queue name (http.sys: `ERROR_INVALID_NAME`, 123).
    #[error("{name:?} is not a queue name: {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A live queue has the name already (http.sys: `ERROR_ALREADY_EXISTS`, 183).
    #[error(
        "queue {0} exists already and has a live instance; RequestQueueMode::CreateOrAttach joins it \
         (Create is for a process that must be the only one)"
    )]
    AlreadyExists(String),
    /// No live queue has the name (http.sys: `ERROR_FILE_NOT_FOUND`, 2).
    #[error(
        "queue {0} does not exist or has no live instance; RequestQueueMode::CreateOrAttach makes it"
    )]
    NotFound(String),
    /// The runtime folder's permissions refuse this user (http.sys: `ERROR_ACCESS_DENIED`, 5).
    #[error("access to {} denied: {why}", path.display())]
    AccessDenied {
        /// The folder or file.
        path: PathBuf,
        /// Who would have access, and who asked.
        why: String,
    },
    /// The folder of queues cannot be given to the group that is to open queues.
    #[error(
        "{} cannot be given to group {group} with mode 2770: it belongs to {owner}, and this process \
         runs as {own}; only the owner may, of its own groups",
        path.display()
    )]
    NotShared {
        /// The folder of queues.
        path: PathBuf,
        /// Whose it was to be.
        group: String,
        /// Whose it is.
        owner: String,
        /// Who tried.
        own: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something in the runtime folder is not what it must be. It is neither followed nor read: who
    /// may write there could lead this process anywhere.
    #[error("{} is not used: {reason}", path.display())]
    Refused {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A URL prefix does not follow http.sys' grammar.
    #[error("{prefix:?} is not a URL prefix: {reason}")]
    InvalidPrefix {
        /// The prefix as given.
        prefix: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The prefix is registered on this queue already (`ERROR_ALREADY_EXISTS`, 183).
    #[error("url prefix {0} is registered already")]
    PrefixAlreadyRegistered(String),
    /// A property has a value outside its range.
    #[error("{property} {value} is outside {range}")]
    InvalidProperty {
        /// The property's name.
        property: &'static str,
        /// The value as given.
        value: u64,
        /// The values it may have.
        range: &'static str,
    },
    /// A system call on the runtime folder failed.
    #[error("cannot use {}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl QueueError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::AccessDenied {
                why: why_denied(&path),
                path,
            },
            _ => Self::Io { path, source },
        }
    }

    /// Whether the folder or file is missing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.kind() == Some(io::ErrorKind::NotFound)
    }

    pub(crate) fn is_already_there(&self) -> bool {
        self.kind() == Some(io::ErrorKind::AlreadyExists)
    }

    fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// The same where an [`io::Error`] is asked for: of the kind that the system said.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io { source, .. } => source,
            Self::AccessDenied { .. } => io::Error::new(io::ErrorKind::PermissionDenied, self),
            other => io::Error::other(other),
        }
    }
}

/// Who would have had access to a path, told of the first folder or file above that can be looked at.
fn why_denied(path: &Path) -> String {
    let own = accounts::own_names();
    let looked_at = path
        .ancestors()
        .find_map(|path| Some((path, std::fs::symlink_metadata(path).ok()?)));
    let Some((at, metadata)) = looked_at else {
        return format!("this process runs as {own}");
    };
    let owner = accounts::user_name(metadata.uid());
    let group = accounts::group_name(metadata.gid());
    let mode = metadata.mode() & 0o7777;
    let at = if at == path {
        "it".to_owned()
    } else {
        at.display().to_string()
    };
    format!("{at} has owner {owner}, group {group}, mode {mode:04o}; this process runs as {own}")
}

/// A message or entry does not say what its format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It ends before its fixed part or before a length it states.
    #[error("{0} is shorter than it says")]
    Short(&'static str),
    /// A field holds a value that means nothing.
    #[error("{0} has an invalid value")]
    Invalid(&'static str),
    /// It came without a descriptor it must carry.
    #[error("{0} came without its descriptors")]
    MissingDescriptor(&'static str),
    /// The other end speaks another version.
    #[error("the other end speaks protocol version {theirs}, this one {ours}")]
    Version {
        /// Their version.
        theirs: u16,
        /// Our version.
        ours: u16,
    },
}

/// The other end of a channel misbehaved or went away; the channel is dead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The other process closed its end or died.
    #[error("the other end is gone")]
    Closed,
    /// A message or entry was malformed.
    #[error("the other end sent a malformed message")]
    Wire(#[from] WireError),
    /// The shared ring was in a state that no correct peer leaves it in.
    #[error("the other end's ring is inconsistent")]
    Ring(#[from] RingError),
    /// The shared region was not what it must be.
    #[error("the other end's shared memory is unusable")]
    Region(#[from] RegionError),
    /// The control socket failed.
    #[error("the control socket failed")]
    Receive(#[source] ReceiveError),
    /// An entry names a connection or exchange that is not under way.
    #[error("the other end spoke of slot {slot}, exchange {exchange}, which is not under way")]
    UnknownExchange {
        /// The slot.
        slot: u32,
        /// The exchange's number.
        exchange: u32,
    },
    /// More of a stream's body came than this end has given credit for.
    #[error("the other end sent more of slot {slot}, exchange {exchange} than it had credit for")]
    BeyondCredit {
        /// The slot.
        slot: u32,
        /// The exchange's number.
        exchange: u32,
    },
    /// The other end declined.
    #[error("the other end declined: {0}")]
    Refused(String),
    /// A system call failed.
    #[error("a system call failed")]
    Io(#[from] io::Error),
}

impl ChannelError {
    /// Whether the other end only does not keep up: it has not accepted or received enough of what
    /// came before.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Io(error) if is_busy(error))
    }
}

/// Whether a control socket did not take a message, or a connection, because what came before lies
/// there.
pub(crate) fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || is_too_many_in_flight(error)
}

/// As many descriptors are in flight as RLIMIT_NOFILE allows (unix(7)).
pub(crate) fn is_too_many_in_flight(error: &io::Error) -> bool {
    const ETOOMANYREFS: i32 = 109;
    error.raw_os_error() == Some(ETOOMANYREFS)
}

impl From<ReceiveError> for ChannelError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Closed => Self::Closed,
            other => Self::Receive(other),
        }
    }
}

/// A client connection could not be made known to a target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenConnectionError {
    /// The target holds as many connections as it may.
    #[error("the target holds as many connections as it may")]
    TooMany,
    /// The control socket is full: the target does not keep up.
    #[error("the target does not read its control socket")]
    Busy,
    /// As many clients' sockets lie in the control socket as one target may keep there. There is room
    /// once it takes requests.
    #[error("the target does not receive its clients' sockets")]
    NotReceived,
    /// As many descriptors of this process' user are on their way to other processes as its limit of
    /// open files allows: some target, which need not be this one, does not keep up.
    #[error(
        "as many descriptors of this user are in flight as its limit of open files allows \
         (ETOOMANYREFS): a target of one of its queues does not receive them"
    )]
    TooManyInFlight,
    /// The channel failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}
