//! Where a program listens, and how it is told.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rustix::fs::{Mode, OFlags};

use crate::args::{ExecArgs, PassedFamily};

/// Where a program is reached.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// A port of this host, by IPv4 or by IPv6: who is told a port only may listen on either.
    Port(u16),
    /// A Unix socket by its path.
    Unix(PathBuf),
    /// A Unix socket that has no path any more, by a descriptor of it.
    Passed(Arc<OwnedFd>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "port {port} of this host"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Passed(_) => f.write_str("the socket that it was passed"),
        }
    }
}

/// A place to listen at.
#[derive(Debug)]
pub(super) struct Listening {
    address: Address,
    /// The socket that the program is passed.
    passed: Option<OwnedFd>,
    /// What `$PORT` or `$SOCKET` is.
    told: Option<(&'static str, OsString)>,
    /// The folder of the socket, if it is this process'.
    folder: Option<OwnFolder>,
}

impl Listening {
    pub(super) fn open(args: &ExecArgs) -> anyhow::Result<Self> {
        match (&args.port, &args.unix) {
            (Some(port), _) => Self::on_port(*port),
            (None, Some(path)) => Self::on_unix(path.as_deref()),
            (None, None) => match args.listen_fd.unwrap_or(PassedFamily::Unix) {
                PassedFamily::Unix => Self::passed_unix(),
                PassedFamily::Tcp => Self::passed_tcp(),
            },
        }
    }

    fn on_port(port: Option<u16>) -> anyhow::Result<Self> {
        let port = match port {
            Some(port) => port,
            // Free at this moment, and for as long as others have free ones to choose from.
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .context("cannot find a free port")?
                .port(),
        };
        Ok(Self {
            address: Address::Port(port),
            passed: None,
            told: Some(("PORT", port.to_string().into())),
            folder: None,
        })
    }

    fn on_unix(path: Option<&Path>) -> anyhow::Result<Self> {
        let (path, folder) = match path {
            Some(path) => (std::path::absolute(path)?, None),
            None => {
                let folder = OwnFolder::make()?;
                (folder.0.join("http.sock"), Some(folder))
            }
        };
        remove_dead(&path)?;
        Ok(Self {
            told: Some(("SOCKET", path.clone().into())),
            address: Address::Unix(path),
            passed: None,
            folder,
        })
    }

    /// Nobody but this process can connect: the folder is this user's alone, and the path does not last.
    fn passed_unix() -> anyhow::Result<Self> {
        let folder = OwnFolder::make()?;
        let path = folder.0.join("http.sock");
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        let socket = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self {
            address: Address::Passed(Arc::new(socket)),
            passed: Some(listener.into()),
            told: None,
            folder: None,
        })
    }

    fn passed_tcp() -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on a port")?;
        Ok(Self {
            address: Address::Port(listener.local_addr()?.port()),
            passed: Some(listener.into()),
            told: None,
            folder: None,
        })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The socket that the program is passed.
    pub(super) fn passed(&self) -> Option<BorrowedFd<'_>> {
        self.passed.as_ref().map(AsFd::as_fd)
    }

    /// Lets a user listen where the folder is this process'.
    pub(super) fn give_to(&self, uid: u32) -> anyhow::Result<()> {
        let given = self
            .folder
            .as_ref()
            .map(|folder| std::os::unix::fs::chown(&folder.0, Some(uid), None));
        given.transpose().context("cannot give the user a folder")?;
        Ok(())
    }

    /// Lets go of the socket that has been passed: nobody is to wait at it when the program has ended.
    pub(super) fn leave_to_program(&mut self) {
        self.passed = None;
    }

    /// The variable that says where to listen.
    pub(super) fn told(&self) -> Option<(&'static str, &OsStr)> {
        let (name, value) = self.told.as_ref()?;
        Some((name, value))
    }

    /// An argument of the program's, `${PORT}` or `${SOCKET}` in it replaced.
    pub(super) fn fill_in(&self, argument: &OsStr) -> OsString {
        let Some((name, value)) = self.told() else {
            return argument.to_owned();
        };
        let (bytes, mark) = (argument.as_bytes(), format!("${{{name}}}").into_bytes());
        let mut filled = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            match rest.strip_prefix(mark.as_slice()) {
                Some(behind) => {
                    filled.extend_from_slice(value.as_bytes());
                    rest = behind;
                }
                None => {
                    filled.push(*first);
                    rest = &rest[1..];
                }
            }
        }
        OsString::from_vec(filled)
    }
}

/// Removes a socket that a process has left which has ended; what is none is left to be complained of.
fn remove_dead(path: &Path) -> anyhow::Result<()> {
    use std::io::ErrorKind::ConnectionRefused;
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => anyhow::bail!("another process listens on {}", path.display()),
        Err(error) if error.kind() == ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot remove {}, which nobody listens on", path.display())),
        Err(_) => Ok(()),
    }
}

/// A folder that is this user's alone, removed with what is in it.
#[derive(Debug)]
struct OwnFolder(PathBuf);

impl OwnFolder {
    fn make() -> anyhow::Result<Self> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let base = base.filter(|base| base.is_dir());
        let base = base.unwrap_or_else(std::env::temp_dir);
        let path = base.join(format!(
            "ostler-exec-{}-{}",
            std::process::id(),
            ostler_shm::monotonic_nanoseconds()
        ));
        // An error where there is one already: it would be somebody else's.
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_filled_in_wherever_an_argument_names_it() {
        let listening = Listening::on_port(Some(8000)).unwrap();
        for (argument, filled) in [
            ("", ""),
            ("${PORT}", "8000"),
            ("127.0.0.1:${PORT}", "127.0.0.1:8000"),
            ("${PORT}${PORT}$", "80008000$"),
            ("$PORT ${SOCKET} ${PORT", "$PORT ${SOCKET} ${PORT"),
        ] {
            assert_eq!(listening.fill_in(OsStr::new(argument)), *filled);
        }
    }
}
