//! A folder that others may write to as well: what they put there (links, pipes, endless files) is
//! refused, and neither followed nor waited for nor read.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use ostler_shm::{ControlListener, ControlSocket};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::QueueError;

/// The longest file that is read, in bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// Most entries of a folder that are looked at.
const MOST_ENTRIES: usize = 16 * 1024;

/// An open folder. Names in it are looked up by its descriptor, so that it cannot be exchanged for
/// another one meanwhile.
#[derive(Debug)]
pub(crate) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// The folder that an administrator has named: links on the way to it are followed.
    pub(crate) fn open(path: &Path) -> Result<Self, QueueError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let descriptor = opened.map_err(|error| QueueError::io(path, error.into()))?;
        Ok(Self {
            descriptor,
            path: path.to_owned(),
        })
    }

    /// A folder in this one, which is no link.
    pub(crate) fn enter(&self, name: &str) -> Result<Self, QueueError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let descriptor = self.open_entry(name, flags, Mode::empty())?;
        Ok(Self {
            descriptor,
            path: self.path.join(name),
        })
    }

    /// The same, made if it is missing: with this mode, whatever the process' umask is, and of this
    /// folder's group where this folder hands its group on (set-group-ID). True if it was made.
    pub(crate) fn make(&self, name: &str, mode: u32) -> Result<(Self, bool), QueueError> {
        match rustix::fs::mkdirat(&self.descriptor, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok((self.enter(name)?, false)),
            Err(error) => return Err(self.error(name, error)),
        }
        let made = self.enter(name)?;
        let handed_on = Mode::from_raw_mode(made.stat()?.st_mode) & Mode::SGID;
        let changed = made.set_mode(Mode::from_raw_mode(mode) | handed_on);
        changed.map_err(|error| self.error(name, error))?;
        Ok((made, true))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stat(&self) -> Result<Stat, QueueError> {
        let stat = rustix::fs::fstat(&self.descriptor);
        stat.map_err(|error| QueueError::io(&self.path, error.into()))
    }

    /// Changes the folder's own mode.
    pub(crate) fn set_mode(&self, mode: Mode) -> rustix::io::Result<()> {
        // The descriptor is one to look names up by, which fchmod(2) does not take.
        rustix::fs::chmod(by_descriptor(&self.descriptor), mode)
    }

    /// Gives the folder itself to a group.
    pub(crate) fn set_group(&self, group: Gid) -> rustix::io::Result<()> {
        rustix::fs::chownat(&self.descriptor, "", None, Some(group), AtFlags::EMPTY_PATH)
    }

    /// Names of what is in the folder, as far as it is looked at.
    pub(crate) fn names(&self) -> Result<Vec<String>, QueueError> {
        let failed = |error: Errno| QueueError::io(&self.path, error.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.descriptor, ".", flags, Mode::empty());
        let entries = rustix::fs::Dir::new(opened.map_err(failed)?).map_err(failed)?;
        Ok(entries
            .take(MOST_ENTRIES)
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()))
            .filter(|name| name != "." && name != "..")
            .collect())
    }

    /// Whether there is an entry of this name, whatever it is.
    pub(crate) fn has(&self, name: &str) -> Result<bool, QueueError> {
        match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.error(name, error)),
        }
    }

    /// A file's content; `None` when it is not there. Never waits, whatever the file is.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, QueueError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.open_entry(name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = self.regular(name, &file)?;
        if stat.st_size.cast_unsigned() > MOST_BYTES {
            return Err(self.refused(name, "it is longer than 64 KiB"));
        }
        if !self.may_have_written(&stat)? {
            let reason = "it belongs neither to root, nor to this process' user, nor to the \
                          folder's owner or a group that may write to the folder";
            return Err(self.refused(name, reason));
        }
        let mut content = Vec::new();
        let read = File::from(file).take(MOST_BYTES).read_to_end(&mut content);
        read.map_err(|error| QueueError::io(self.path.join(name), error))?;
        Ok(Some(content))
    }

    /// Writes a file beside its place and renames it, so that a reader never sees half of it. Who may
    /// pass through the folder may read it, whatever the process' umask is.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), QueueError> {
        let beside = format!("{name}.new");
        // Whatever is there is a remnant, or somebody's link to elsewhere.
        self.remove(&beside);
        let file = self.create(&beside, self.file_mode()?)?;
        let written = File::from(file).write_all(content);
        written.map_err(|error| QueueError::io(self.path.join(&beside), error))?;
        self.rename(&beside, name)
    }

    /// Opens a file, which is made if it is missing, with this mode whatever the umask is.
    pub(crate) fn open_or_create(&self, name: &str, mode: Mode) -> Result<File, QueueError> {
        match self.create(name, mode) {
            Err(error) if error.is_already_there() => {}
            created => return created.map(File::from),
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.open_entry(name, flags, Mode::empty())?;
        self.regular(name, &file)?;
        Ok(file.into())
    }

    /// Removes an entry, if it is there: a link itself, not what it points to.
    pub(crate) fn remove(&self, name: &str) {
        let _ = rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty());
    }

    /// Connects to a socket in the folder.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` or `NotFound` when nobody listens, `WouldBlock` when it does not accept,
    /// `PermissionDenied` with who may, another kind when it is no socket.
    pub(crate) fn connect(&self, name: &str) -> io::Result<ControlSocket> {
        let socket = self.open_socket(name).map_err(QueueError::into_io)?;
        let connected = ControlSocket::connect(&by_descriptor(&socket));
        connected.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                QueueError::io(self.path.join(name), error).into_io()
            }
            _ => error,
        })
    }

    /// Listens on a new socket of another name and renames it: who sees the socket can connect to it.
    /// Who may pass through the folder may, whatever the process' umask is.
    pub(crate) fn bind(&self, name: &str) -> Result<ControlListener, QueueError> {
        let beside = format!("{name}.new");
        self.remove(&beside);
        // A socket's path may have 107 bytes, a queue's name 260 characters: go by the descriptor.
        let path = by_descriptor(&self.descriptor).join(&beside);
        let failed = |error: io::Error| QueueError::io(self.path.join(name), error);
        let listener = ControlListener::bind(&path).map_err(failed)?;
        let socket = self.open_socket(&beside)?;
        rustix::fs::chmod(by_descriptor(&socket), self.socket_mode()?)
            .map_err(|error| failed(error.into()))?;
        self.rename(&beside, name)?;
        Ok(listener)
    }

    /// The socket itself: nothing is followed, and connecting to it goes nowhere else.
    fn open_socket(&self, name: &str) -> Result<OwnedFd, QueueError> {
        let socket = self.open_entry(name, OFlags::PATH, Mode::empty())?;
        match self.kind(name, &socket)? {
            (FileType::Socket, _) => Ok(socket),
            (FileType::Symlink, _) => Err(self.refused(name, LINK)),
            _ => Err(self.refused(name, "it is no socket")),
        }
    }

    fn open_entry(&self, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, QueueError> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.descriptor, name, flags, mode) {
            Ok(opened) => Ok(opened),
            // A link is one of the two, by whether a folder was asked for.
            Err(Errno::LOOP | Errno::NOTDIR) if self.is_link(name) => Err(self.refused(name, LINK)),
            Err(error) => Err(self.error(name, error)),
        }
    }

    fn create(&self, name: &str, mode: Mode) -> Result<OwnedFd, QueueError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = self.open_entry(name, flags, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::fchmod(&file, mode).map_err(|error| self.error(name, error))?;
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), QueueError> {
        let renamed = rustix::fs::renameat(&self.descriptor, from, &self.descriptor, to);
        renamed.map_err(|error| self.error(to, error))
    }

    fn is_link(&self, name: &str) -> bool {
        let stat = rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    fn kind(&self, name: &str, file: &OwnedFd) -> Result<(FileType, Stat), QueueError> {
        let stat = rustix::fs::fstat(file).map_err(|error| self.error(name, error))?;
        Ok((FileType::from_raw_mode(stat.st_mode), stat))
    }

    fn regular(&self, name: &str, file: &OwnedFd) -> Result<Stat, QueueError> {
        match self.kind(name, file)? {
            (FileType::RegularFile, stat) => Ok(stat),
            _ => Err(self.refused(name, "it is no regular file")),
        }
    }

    /// Whether a file's owner is one who may write to this folder: another's file that stands in it
    /// was linked here.
    fn may_have_written(&self, file: &Stat) -> Result<bool, QueueError> {
        let own = rustix::process::geteuid().as_raw();
        let folder = self.stat()?;
        let of_group = folder.st_mode & 0o020 != 0 && file.st_gid == folder.st_gid;
        Ok([0, own, folder.st_uid].contains(&file.st_uid) || of_group)
    }

    /// Who may pass through the folder may read what describes the queue.
    fn file_mode(&self) -> Result<Mode, QueueError> {
        let pass = self.stat()?.st_mode & 0o011;
        Ok(Mode::from_raw_mode(0o600 | (pass << 2)))
    }

    /// Who may pass through the folder may connect, which needs permission to write.
    fn socket_mode(&self) -> Result<Mode, QueueError> {
        let pass = self.stat()?.st_mode & 0o011;
        Ok(Mode::from_raw_mode(0o600 | (pass << 2) | (pass << 1)))
    }

    fn refused(&self, name: &str, reason: &'static str) -> QueueError {
        QueueError::Refused {
            path: self.path.join(name),
            reason,
        }
    }

    fn error(&self, name: &str, error: Errno) -> QueueError {
        QueueError::io(self.path.join(name), error.into())
    }
}

fn by_descriptor(descriptor: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd()).into()
}

const LINK: &str = "it is a symbolic link";

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
