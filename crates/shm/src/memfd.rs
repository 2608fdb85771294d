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

/// Creates `length` bytes of zeroed memory that only the returned mapping can write.
pub(crate) fn create(name: &str, length: usize) -> io::Result<(OwnedFd, Mapping)> {
    let memfd = unsealed(name)?;
    ftruncate(&memfd, length as u64)?;
    // Our own mapping must exist before the seal that forbids further writable ones.
    let mapping = Mapping::new(memfd.as_fd(), length, Access::ReadWrite)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    fcntl_add_seals(&memfd, seals)?;
    Ok((memfd, mapping))
}

/// The length in bytes of a memfd that a peer sent, which can change no more.
///
/// Refuses what could shrink under us (a SIGBUS), and what is not plain shared memory.
pub(crate) fn sealed_length(descriptor: BorrowedFd<'_>) -> Result<u64, RegionError> {
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
    let stat = fstat(descriptor).map_err(io::Error::from)?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

fn unsealed(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Some systems require memfds to be non-executable; kernels before 6.3 do not know the flag.
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        made => Ok(made?),
    }
}
