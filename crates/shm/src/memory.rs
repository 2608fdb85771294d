//! The memory of a region: mapped from a memfd, or on the heap for tests, loom and Miri. Header, slots and
//! ring are pieces apart, so that no piece is ever seen as words and as bytes.

use std::fmt;
use std::sync::Arc;

use crate::layout::{self, Field, HEADER_WORDS, RegionSpec};
#[cfg(not(loom))]
use crate::mapping::MappedRegion;
use crate::sync::{AtomicU8, AtomicU64, Ordering, load_acquire, load_acquire_u8};

/// Words and slot bytes that another process, or in tests another thread, reads or writes.
#[derive(Clone)]
pub(crate) enum Memory {
    /// A mapped memfd, laid out as [`layout`] draws it.
    #[cfg(not(loom))]
    Mapped(Arc<MappedRegion>),
    /// The same pieces without an address in common.
    Heap(Arc<Heap>),
}

pub(crate) struct Heap {
    header: Box<[AtomicU64]>,
    slots: Box<[AtomicU8]>,
    ring: Box<[AtomicU64]>,
}

impl Memory {
    /// Zeroed memory on the heap.
    pub(crate) fn heap(spec: RegionSpec) -> Self {
        let words = |words| (0..words).map(|_| AtomicU64::new(0)).collect();
        Self::Heap(Arc::new(Heap {
            header: words(HEADER_WORDS),
            slots: (0..spec.slots).map(|_| AtomicU8::new(0)).collect(),
            ring: words(spec.ring_capacity / layout::WORD),
        }))
    }

    /// A field of the header.
    #[inline]
    pub(crate) fn field(&self, field: Field) -> &AtomicU64 {
        &self.header()[field as usize]
    }

    /// The fields of the header, and what is between them.
    #[inline]
    pub(crate) fn header(&self) -> &[AtomicU64] {
        match self {
            #[cfg(not(loom))]
            Self::Mapped(region) => region.header(),
            Self::Heap(heap) => &heap.header,
        }
    }

    /// One byte a slot.
    #[inline]
    pub(crate) fn slots(&self) -> &[AtomicU8] {
        match self {
            #[cfg(not(loom))]
            Self::Mapped(region) => region.slots(),
            Self::Heap(heap) => &heap.slots,
        }
    }

    /// The ring's data.
    #[inline]
    pub(crate) fn ring(&self) -> &[AtomicU64] {
        match self {
            #[cfg(not(loom))]
            Self::Mapped(region) => region.ring(),
            Self::Heap(heap) => &heap.ring,
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(not(loom))]
            Self::Mapped(_) => "Mapped",
            Self::Heap(_) => "Heap",
        })
    }
}

/// Memory that the other side writes. It can be loaded, and nothing else: where it is mapped, its pages are
/// read-only.
#[derive(Debug)]
pub(crate) struct PeerMemory(Memory);

impl PeerMemory {
    pub(crate) fn new(memory: Memory) -> Self {
        Self(memory)
    }

    /// What stands in a field of the header.
    #[inline]
    pub(crate) fn load(&self, field: Field) -> u64 {
        self.0.field(field).load(Ordering::Relaxed)
    }

    /// The same; what the peer stored before is seen too.
    #[inline]
    pub(crate) fn load_acquire(&self, field: Field) -> u64 {
        load_acquire(self.0.field(field))
    }

    /// A slot's byte; `None` past the last. What the peer stored before is seen too.
    #[inline]
    pub(crate) fn slot(&self, slot: usize) -> Option<u8> {
        self.0.slots().get(slot).map(load_acquire_u8)
    }

    /// The ring's data.
    #[inline]
    pub(crate) fn ring(&self) -> PeerWords<'_> {
        PeerWords(self.0.ring())
    }
}

/// Words that the other side writes: see [`PeerMemory`].
#[derive(Clone, Copy)]
pub(crate) struct PeerWords<'a>(&'a [AtomicU64]);

impl<'a> PeerWords<'a> {
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(crate) fn of(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    /// What stands in a word.
    #[inline]
    pub(crate) fn load(self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }

    /// What stands in each word from some word on, without those of the ring's start.
    #[inline]
    pub(crate) fn from(self, at: usize) -> impl Iterator<Item = u64> + use<'a> {
        self.0[at..].iter().map(|word| word.load(Ordering::Relaxed))
    }
}
