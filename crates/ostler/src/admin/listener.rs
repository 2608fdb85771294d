//! Where the endpoint listens. A front that replaces another one has its address while that one still does.

use std::fs;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ostler_config::{AdminAddress, AdminConfig};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A socket's file, removed at the end if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Listener {
    /// Listens, beside another front where that is to be replaced.
    pub(crate) fn bind(config: &AdminConfig, replaces: bool) -> anyhow::Result<Self> {
        let bound = match &config.address {
            AdminAddress::Loopback(address) => tcp(*address, replaces).map(Self::Tcp),
            AdminAddress::Unix(path) => unix(path, replaces),
        };
        bound.with_context(|| {
            let at = match &config.address {
                AdminAddress::Loopback(address) => address.to_string(),
                AdminAddress::Unix(path) => path.display().to_string(),
            };
            format!("Ostler:Admin:Url: cannot listen on {at}")
        })
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(_) => "http://".to_owned(),
            },
            Self::Unix(_, file) => format!("http://unix:{}", file.path.display()),
        }
    }
}

/// Two fronts of a user's may share the address (`SO_REUSEPORT`): of one that is not to be replaced, it is
/// taken.
fn tcp(address: SocketAddr, replaces: bool) -> std::io::Result<TcpListener> {
    let bind = |is_shared: bool| {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(is_shared)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    if !replaces {
        drop(bind(false)?);
    }
    bind(true)
}

/// The file is made under another name and put where it belongs, so that there is one at any moment.
fn unix(path: &Path, replaces: bool) -> std::io::Result<Listener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                "something else is there",
            ));
        }
        Ok(_) if !replaces && UnixStream::connect(path).is_ok() => {
            return Err(ErrorKind::AddrInUse.into());
        }
        _ => {}
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    let place = || -> std::io::Result<(u64, u64)> {
        // The owner and its group: whoever may ask is decided by who may write to the file.
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o660))?;
        let made = fs::symlink_metadata(&beside)?;
        fs::rename(&beside, path)?;
        Ok((made.dev(), made.ino()))
    };
    let placed = place();
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    let file = SocketFile {
        path: path.to_owned(),
        inode: placed?,
    };
    Ok(Listener::Unix(listener, file))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &Path) -> AdminConfig {
        AdminConfig {
            address: AdminAddress::Unix(path.to_owned()),
        }
    }

    #[tokio::test]
    async fn a_front_that_replaces_another_has_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let old = Listener::bind(&at(&path), false).unwrap();
        assert!(Listener::bind(&at(&path), false).is_err(), "it is taken");
        let new = Listener::bind(&at(&path), true).unwrap();
        drop(old);
        UnixStream::connect(&path).expect("it is the new one's");
        drop(new);
        assert!(!path.exists());
        let old = tcp("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = old.local_addr().unwrap();
        assert_eq!(
            tcp(address, false).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        assert!(tcp(address, true).is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays_and_one_that_nobody_listens_on_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&at(&path), true).unwrap_err();
        assert!(
            format!("{error:#}").contains("something else is there"),
            "{error:#}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert!(Listener::bind(&at(&path), false).is_ok());
    }
}
