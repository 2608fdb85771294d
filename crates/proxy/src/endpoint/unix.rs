//! A socket in the file system: made when nobody listens on it, removed with its listener.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// The file of a socket that is listened on. Dropping it removes the file, if it is this process' own
/// and still this one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: another program may have put a socket of its own in the place. None where
    /// there is no file.
    identity: Option<(u64, u64)>,
    is_own: AtomicBool,
}

impl SocketFile {
    /// Listens at a path. A socket that was left there by somebody who listens no more is replaced;
    /// whoever may write to the file may connect, which the umask decides.
    ///
    /// # Errors
    ///
    /// When somebody listens there, something else than a socket is there, or it cannot be made.
    pub(super) fn bind(path: &Path, backlog: i32) -> io::Result<(Self, OwnedFd)> {
        remove_if_left(path)?;
        let address = SocketAddrUnix::new(path).map_err(|_| {
            let text = "the path of a socket has at most 107 bytes";
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        net::bind(&socket, &address)?;
        let file = Self {
            path: path.to_owned(),
            identity: Some(identity(path)?),
            is_own: AtomicBool::new(true),
        };
        net::listen(&socket, backlog)?;
        Ok((file, socket))
    }

    /// The file of a socket that another process has made, and removes.
    pub(super) fn of_another(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path).ok(),
            is_own: AtomicBool::new(false),
        }
    }

    /// Says whether this process removes the file.
    pub(super) fn set_own(&self, is_own: bool) {
        self.is_own.store(is_own, Ordering::Relaxed);
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = self.is_own.load(Ordering::Relaxed);
        if is_own && self.identity.is_some() && identity(&self.path).ok() == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes a socket that nobody listens on: its program was killed.
fn remove_if_left(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.file_type().is_socket() {
        let text = "something that is no socket is there";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_a_killed_program_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (file, _socket) = SocketFile::bind(&path, 1).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_ones_own_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = SocketFile::bind(&path, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(other);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "kept").unwrap();
        let error = SocketFile::bind(&path, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&path).unwrap();
        // Another one in the place of the own.
        let (file, _socket) = SocketFile::bind(&path, 1).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "kept").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn the_file_of_another_process_stays_until_it_is_this_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(SocketFile::of_another(&path));
        assert!(path.exists());
        let file = SocketFile::of_another(&path);
        file.set_own(true);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_is_too_long_is_said() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
        let error = SocketFile::bind(&path, 1).unwrap_err();
        assert!(error.to_string().contains("107"));
    }
}
