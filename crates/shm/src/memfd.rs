//! Sealed memfds: created with a length that nobody can change, and recognized when received.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate,
    memfd_create,
};
use rustix::io::Errno;

use crate::error::RegionError;
use crate::mapping::{Access, Mapping};

/// `TMPFS_MAGIC` of statfs(2): memfds of ordinary pages are files of a hidden tmpfs.
const TMPFS: i128 = 0x0102_1994;

/// A memfd whose size is sealed: what is mapped of it stays there, whatever another process does. Having one
/// is the proof of that, which [`Mapping::new`] asks for.
#[derive(Debug)]
pub(crate) struct SizeSealed<'fd> {
    descriptor: BorrowedFd<'fd>,
    length: usize,
}

impl<'fd> SizeSealed<'fd> {
    /// Seals the size of a memfd of our own.
    fn seal(memfd: BorrowedFd<'fd>) -> io::Result<Self> {
        fcntl_add_seals(memfd, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(Self {
            descriptor: memfd,
            length: size(memfd)?,
        })
    }

    /// A memfd that a peer sent, if nobody can change its size or map it for writing any more.
    ///
    /// Refuses what could shrink under us (a SIGBUS), and what is not plain shared memory.
    pub(crate) fn of_peer(descriptor: BorrowedFd<'fd>) -> Result<Self, RegionError> {
        let seals = fcntl_get_seals(descriptor).map_err(|_| RegionError::NotMemfd)?;
        let file_system = fstatfs(descriptor).map_err(io::Error::from)?;
        if i128::from(file_system.f_type) != TMPFS {
            return Err(RegionError::NotMemfd);
        }
        if !seals.contains(SealFlags::SHRINK | SealFlags::GROW)
            || !seals.intersects(SealFlags::FUTURE_WRITE | SealFlags::WRITE)
        {
            return Err(RegionError::NotSealed);
        }
        Ok(Self {
            descriptor,
            // Behind the look at its seals: it is the last length it has.
            length: size(descriptor)?,
        })
    }

    /// Its length in bytes, for ever.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'fd> {
        self.descriptor
    }
}

/// Creates `length` bytes of zeroed memory that only the returned mapping can write.
pub(crate) fn create(name: &str, length: usize) -> io::Result<(OwnedFd, Mapping)> {
    let memfd = unsealed(name)?;
    ftruncate(&memfd, length as u64)?;
    // Our own mapping must exist before the seal that forbids further writable ones.
    let mapping = Mapping::new(&SizeSealed::seal(memfd.as_fd())?, Access::ReadWrite)?;
    fcntl_add_seals(&memfd, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
    Ok((memfd, mapping))
}

fn size(descriptor: BorrowedFd<'_>) -> io::Result<usize> {
    let size = fstat(descriptor)?.st_size;
    usize::try_from(size).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn unsealed(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Some systems require memfds to be non-executable; kernels before 6.3 do not know the flag.
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        made => Ok(made?),
    }
}
