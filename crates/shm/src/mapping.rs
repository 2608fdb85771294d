//! A mapped memfd as atomics; unmapped when dropped.

use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::layout::{self, HEADER_WORDS, RegionSpec, SLOTS_START, WORD};
use crate::memfd::SizeSealed;
use crate::sync::{AtomicU8, AtomicU64};

/// What this process does with the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// The peer's memory; any store through the atomics would be a fault.
    Read,
    /// Our own.
    ReadWrite,
}

/// The pages of a region, of which only the header is known how to be read.
///
/// Invariant: `length` bytes from `start` are mapped until drop and cannot go away before, and
/// `length >= SLOTS_START`.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

/// A mapped region, divided into header, slots and ring: three ranges that do not overlap.
///
/// Invariant: `layout::region_length(spec) == pages.length`.
pub(crate) struct MappedRegion {
    pages: Mapping,
    spec: RegionSpec,
    /// Where the ring's data is, in bytes.
    ring: Range<usize>,
}

// SAFETY: a `Mapping` owns its memory and gives it out as atomics only.
unsafe impl Send for Mapping {}
// SAFETY: as above; atomics may be used from several threads.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a memfd whole, shared. That its size is sealed is why its pages stay: touching one past the
    /// end of a file would be a SIGBUS.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it has no room for a header; else what mmap(2) says.
    pub(crate) fn new(memfd: &SizeSealed<'_>, access: Access) -> io::Result<Self> {
        let length = memfd.length();
        if length < SLOTS_START {
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
                memfd.descriptor(),
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The fields of the header, as words.
    #[inline]
    pub(crate) fn header(&self) -> &[AtomicU64] {
        // SAFETY: the header is aligned as a page is, `length >= SLOTS_START` says that all of it is
        // mapped as long as `self` lives, any bit pattern is an `AtomicU64`, and nobody in this process
        // has a reference to this range that is not to these words.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), HEADER_WORDS) }
    }

    /// How many bytes are mapped.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Where the byte at `offset` is: memory as it is, for who knows how it is used.
    ///
    /// # Panics
    ///
    /// When it is not all of the `length` bytes from there on.
    #[inline]
    pub(crate) fn address(&self, offset: usize, length: usize) -> NonNull<u8> {
        let end = offset.checked_add(length);
        assert!(
            end.is_some_and(|end| end <= self.length),
            "what is divided into lies within the memory"
        );
        // SAFETY: `offset` lies within what is mapped, which is one allocation.
        unsafe { self.start.add(offset) }
    }

    /// The same memory, of which it is known now where slots and ring are; `None` where that is not as
    /// long as the memory.
    pub(crate) fn divide(self, spec: RegionSpec) -> Option<MappedRegion> {
        let start = layout::data_start(spec.slots);
        (layout::region_length(spec) == self.length).then_some(MappedRegion {
            pages: self,
            spec,
            ring: start..start + spec.ring_capacity,
        })
    }

    /// Where some bytes of it begin.
    ///
    /// # Panics
    ///
    /// When they are not all of it.
    #[inline]
    fn at(&self, bytes: Range<usize>) -> *const u8 {
        assert!(
            bytes.start <= bytes.end && bytes.end <= self.length,
            "a range that the layout gives lies within the region"
        );
        self.start.as_ptr().wrapping_add(bytes.start)
    }
}

impl MappedRegion {
    /// The fields of the header, as words.
    #[inline]
    pub(crate) fn header(&self) -> &[AtomicU64] {
        self.pages.header()
    }

    /// One byte a slot.
    #[inline]
    pub(crate) fn slots(&self) -> &[AtomicU8] {
        let slots = self.spec.slots;
        let start = self.pages.at(SLOTS_START..SLOTS_START + slots);
        // SAFETY: `at` has seen that the range is mapped, which it is as long as `self` lives; a byte has
        // no alignment; header and ring lie outside of it.
        unsafe { slice::from_raw_parts(start.cast(), slots) }
    }

    /// The ring's data, as words.
    #[inline]
    pub(crate) fn ring(&self) -> &[AtomicU64] {
        let start = self.pages.at(self.ring.clone());
        // SAFETY: `at` has seen that the range is mapped, which it is as long as `self` lives; it begins
        // on a page; header and slots lie outside of it.
        unsafe { slice::from_raw_parts(start.cast(), self.ring.len() / WORD) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; every reference into it borrows `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "a range that mmap gave can be unmapped");
    }
}
