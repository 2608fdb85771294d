//! A mapped memfd as atomics; unmapped when dropped.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::layout::WORD;
use crate::sync::{AtomicU8, AtomicU64};

/// What this process does with the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// The peer's memory; any store through the atomics would be a fault.
    Read,
    /// Our own.
    ReadWrite,
}

/// Shared memory of a fixed length.
///
/// Invariant: `length` bytes from `start` are mapped until drop, and `length` is a multiple of
/// [`WORD`].
pub(crate) struct Mapping {
    start: NonNull<AtomicU64>,
    length: usize,
}

// SAFETY: a `Mapping` owns its memory and gives it out as atomics only.
unsafe impl Send for Mapping {}
// SAFETY: as above; atomics may be used from several threads.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `length` bytes of a memfd, shared.
    ///
    /// The caller has made sure that the memfd has that many bytes and is, or is about to be,
    /// sealed against shrinking: touching a page past its end would be a SIGBUS.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `length` is zero or no multiple of 8; else what mmap(2) says.
    pub(crate) fn new(memfd: BorrowedFd<'_>, length: usize, access: Access) -> io::Result<Self> {
        if length == 0 || !length.is_multiple_of(WORD) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: the kernel chooses an address that nothing else is mapped at.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                MapFlags::SHARED,
                memfd,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// All of it as words.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned, `length` bytes from there stay mapped as long as `self`
        // lives, any bit pattern is an `AtomicU64`, and nobody in this process has a reference to
        // this memory that is not to atomics.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length / WORD) }
    }

    /// All of it as bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: as in `words`; a byte has no alignment, and overlapping with the words is no
        // aliasing since both are atomics.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; every reference into it borrows `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "a range that mmap gave can be unmapped");
    }
}
