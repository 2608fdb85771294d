//! The memory of a region: mapped from a memfd, or on the heap for tests, loom and Miri.

use std::fmt;
use std::sync::Arc;

use crate::layout::{self, HEADER_WORDS, RegionSpec};
#[cfg(not(loom))]
use crate::mapping::Mapping;
use crate::sync::{AtomicU8, AtomicU64};

/// Words and slot bytes that another process, or in tests another thread, reads or writes.
#[derive(Clone)]
pub(crate) enum Memory {
    /// A mapped memfd, laid out as [`layout`] draws it.
    #[cfg(not(loom))]
    Mapped(Arc<Mapping>),
    /// The same without the padding between header and ring, and with the slots apart: neither
    /// loom's atomics nor Miri let one piece of memory be seen as words and as bytes.
    Heap(Arc<Heap>),
}

pub(crate) struct Heap {
    words: Box<[AtomicU64]>,
    slots: Box<[AtomicU8]>,
}

impl Memory {
    /// Zeroed memory on the heap.
    pub(crate) fn heap(spec: RegionSpec) -> Self {
        let words = HEADER_WORDS + spec.ring_capacity / layout::WORD;
        Self::Heap(Arc::new(Heap {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            slots: (0..spec.slots).map(|_| AtomicU8::new(0)).collect(),
        }))
    }

    /// All of it as words. Those that hold slots must not be touched through this.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        match self {
            #[cfg(not(loom))]
            Self::Mapped(mapping) => mapping.words(),
            Self::Heap(heap) => &heap.words,
        }
    }

    /// The byte of one slot; `None` past the end. `slots` is the region's number of slots.
    #[inline]
    #[cfg_attr(
        loom,
        expect(unused_variables, reason = "only mapped memory is longer")
    )]
    pub(crate) fn slot(&self, slot: usize, slots: usize) -> Option<&AtomicU8> {
        match self {
            #[cfg(not(loom))]
            Self::Mapped(mapping) => mapping
                .bytes()
                .get(layout::SLOTS_START..)?
                .get(..slots)?
                .get(slot),
            Self::Heap(heap) => heap.slots.get(slot),
        }
    }

    /// Where the ring's data begins, as an index into [`words`](Self::words).
    pub(crate) fn data_start(&self, spec: RegionSpec) -> usize {
        match self {
            #[cfg(not(loom))]
            Self::Mapped(_) => layout::data_start(spec.slots) / layout::WORD,
            Self::Heap(_) => self.words().len() - spec.ring_capacity / layout::WORD,
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
