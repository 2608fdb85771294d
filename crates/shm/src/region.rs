//! Regions: the memory each side of a channel writes, and what the other sees of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::error::RegionError;
use crate::layout::{self, Field, RegionSpec};
#[cfg(not(loom))]
use crate::mapping::{Access, Mapping};
#[cfg(not(loom))]
use crate::memfd::{self, SizeSealed};
use crate::memory::{Memory, PeerMemory, PeerWords};
use crate::sync::{AtomicU64, Ordering, fence, load_acquire_u8};

#[cfg(not(loom))]
const MIN_RING_CAPACITY: usize = 4 << 10;
const MAX_RING_CAPACITY: usize = 64 << 20;
const MAX_SLOTS: usize = 1 << 20;

/// The largest region that is mapped.
#[cfg(not(loom))]
const MAX_SPEC: RegionSpec = RegionSpec {
    ring_capacity: MAX_RING_CAPACITY,
    slots: MAX_SLOTS,
};

/// The region this side writes: its ring and positions, its slot bytes, whether it sleeps.
///
/// Memory stays valid whatever the caller does, but a region takes one [`Producer`], one
/// [`Consumer`] and one [`Sleeper`], or the peer will see inconsistent positions.
///
/// [`Producer`]: crate::Producer
/// [`Consumer`]: crate::Consumer
/// [`Sleeper`]: crate::Sleeper
#[derive(Debug)]
pub struct OwnRegion {
    memory: Memory,
    /// Within the limits; what the memory is divided by.
    spec: RegionSpec,
    /// `None` on the heap.
    descriptor: Option<OwnedFd>,
}

/// The region the other side writes, of which every value is suspect.
#[derive(Debug)]
pub struct PeerRegion {
    memory: PeerMemory,
    /// Within the limits; what the memory is divided by.
    spec: RegionSpec,
}

impl OwnRegion {
    /// Creates a region of zeroed memory, sealed so that its size is fixed and whoever receives
    /// its descriptor can only read it. `name` is shown in `/proc/<pid>/maps`, up to 249 bytes.
    ///
    /// # Errors
    ///
    /// [`RegionError::Spec`] when `spec` is out of range; [`RegionError::Io`] when descriptors or
    /// memory are short or the name has a zero byte.
    #[cfg(not(loom))]
    pub fn create(name: &str, spec: RegionSpec) -> Result<Arc<Self>, RegionError> {
        let spec = check(spec, MIN_RING_CAPACITY)?;
        let (memfd, mapping) = memfd::create(name, layout::region_length(spec))?;
        let mapped = mapping
            .divide(spec)
            .expect("the memory was made as long as this");
        let memory = Memory::Mapped(Arc::new(mapped));
        write_identity(&memory, spec);
        Ok(Arc::new(Self {
            memory,
            spec,
            descriptor: Some(memfd),
        }))
    }

    /// Creates a region on the heap, for tests; [`peer_view`](Self::peer_view) gives the other
    /// side's view. The ring may be as small as 64 bytes here.
    ///
    /// # Panics
    ///
    /// When `spec` is out of range.
    pub fn heap(spec: RegionSpec) -> Arc<Self> {
        let spec = check(spec, 64).expect("a region on the heap is for tests, which know its size");
        let memory = Memory::heap(spec);
        write_identity(&memory, spec);
        Arc::new(Self {
            memory,
            spec,
            descriptor: None,
        })
    }

    /// What the peer would see of this region, in the same process.
    pub fn peer_view(self: &Arc<Self>) -> Arc<PeerRegion> {
        Arc::new(PeerRegion {
            memory: PeerMemory::new(self.memory.clone()),
            spec: self.spec,
        })
    }

    /// The memfd, to be sent to the peer.
    ///
    /// # Panics
    ///
    /// On a region made by [`heap`](Self::heap), which has none.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor
            .as_ref()
            .expect("only a test's heap region has no descriptor")
            .as_fd()
    }

    /// How large it is.
    pub fn spec(&self) -> RegionSpec {
        self.spec
    }

    /// Stores a slot's byte with release ordering: whoever loads it by [`PeerRegion::slot`] sees
    /// everything stored before. A slot out of range is ignored.
    #[inline]
    pub fn set_slot(&self, slot: usize, value: u8) {
        if let Some(byte) = self.memory.slots().get(slot) {
            // Pairs with the acquire load in `PeerRegion::slot`.
            byte.store(value, Ordering::Release);
        }
    }

    /// Changes a slot's byte where threads of this process may store different parts of it at once.
    /// Nothing is stored when `change` says `None`, or out of range.
    pub fn update_slot(&self, slot: usize, change: impl FnMut(u8) -> Option<u8>) {
        if let Some(byte) = self.memory.slots().get(slot) {
            // Pairs as the store in `set_slot` does.
            let _ = byte.fetch_update(Ordering::Release, Ordering::Relaxed, change);
        }
    }

    /// The byte last stored in a slot; 0 when none was, or out of range.
    #[inline]
    pub fn slot(&self, slot: usize) -> u8 {
        self.memory.slots().get(slot).map_or(0, load_acquire_u8)
    }

    /// Which leases stand: those that were given under this number. Any thread may
    /// [end them](Self::end_leases).
    #[inline]
    pub fn lease_epoch(&self) -> u64 {
        // Pairs with the change in `end_leases`: who finds the number from before it finds what was in
        // force before it.
        self.field(Field::LeaseEpoch).load(Ordering::SeqCst)
    }

    /// Ends every lease that has been given so far. Whoever looks for the peer's slot bytes behind this
    /// finds every byte from before that the peer stored without seeing it.
    pub fn end_leases(&self) {
        self.field(Field::LeaseEpoch).fetch_add(1, Ordering::SeqCst);
        full_fence();
    }

    /// Entries this side put into its ring since the region was created.
    #[inline]
    pub fn entries_produced(&self) -> u64 {
        self.field(Field::EntriesProduced).load(Ordering::Relaxed)
    }

    /// Entries this side took from the peer's ring.
    #[inline]
    pub fn entries_consumed(&self) -> u64 {
        self.field(Field::EntriesConsumed).load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn field(&self, field: Field) -> &AtomicU64 {
        self.memory.field(field)
    }

    #[inline]
    pub(crate) fn ring(&self) -> &[AtomicU64] {
        self.memory.ring()
    }

    /// Every word of the header, those that are padding too.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(crate) fn header(&self) -> &[AtomicU64] {
        self.memory.header()
    }
}

impl PeerRegion {
    /// Maps the region behind a descriptor that the peer sent, read-only.
    ///
    /// # Errors
    ///
    /// Anything but a memfd of the right length, sealed against changing its size and against
    /// further writers, with the header of a region, is refused.
    #[cfg(not(loom))]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the mapping takes over from the descriptor"
    )]
    pub fn map(descriptor: OwnedFd) -> Result<Arc<Self>, RegionError> {
        let memfd = SizeSealed::of_peer(descriptor.as_fd())?;
        let length = memfd.length();
        let wrong_length = RegionError::Length {
            length: length as u64,
        };
        if !(layout::SLOTS_START..=layout::region_length(MAX_SPEC)).contains(&length) {
            return Err(wrong_length);
        }
        let mapping = Mapping::new(&memfd, Access::Read)?;

        // Each word is read once: the peer may be changing them.
        let word = |field: Field| mapping.header()[field as usize].load(Ordering::Relaxed);
        if word(Field::Magic) != layout::MAGIC || word(Field::Version) != layout::VERSION {
            return Err(RegionError::NotRegion);
        }
        let (ring_capacity, slots) = (word(Field::RingCapacity), word(Field::Slots));
        let (Ok(capacity_in_memory), Ok(slots_in_memory)) =
            (usize::try_from(ring_capacity), usize::try_from(slots))
        else {
            return Err(RegionError::Spec {
                ring_capacity,
                slots,
            });
        };
        let spec = RegionSpec {
            ring_capacity: capacity_in_memory,
            slots: slots_in_memory,
        };
        let spec = check(spec, MIN_RING_CAPACITY)?;
        if word(Field::RegionLength) != length as u64 {
            return Err(wrong_length);
        }
        let Some(mapped) = mapping.divide(spec) else {
            return Err(wrong_length);
        };
        Ok(Arc::new(Self {
            memory: PeerMemory::new(Memory::Mapped(Arc::new(mapped))),
            spec,
        }))
    }

    /// How large it is, as it said when it was mapped.
    pub fn spec(&self) -> RegionSpec {
        self.spec
    }

    /// Loads a slot's byte with acquire ordering: what the peer stored before it is seen too. 0
    /// when out of range.
    #[inline]
    pub fn slot(&self, slot: usize) -> u8 {
        // Pairs with the release store in `OwnRegion::set_slot`.
        self.memory.slot(slot).unwrap_or(0)
    }

    /// Which leases of the peer's stand. To be looked at behind a [`full_fence`], which stands behind the
    /// store that says what it is looked at for.
    #[inline]
    pub fn lease_epoch(&self) -> u64 {
        self.load_acquire(Field::LeaseEpoch)
    }

    /// Entries the peer says it put into its ring.
    #[inline]
    pub fn entries_produced(&self) -> u64 {
        self.load_acquire(Field::EntriesProduced)
    }

    /// Entries the peer says it took from this side's ring.
    #[inline]
    pub fn entries_consumed(&self) -> u64 {
        self.load_acquire(Field::EntriesConsumed)
    }

    #[inline]
    pub(crate) fn load(&self, field: Field) -> u64 {
        self.memory.load(field)
    }

    #[inline]
    pub(crate) fn load_acquire(&self, field: Field) -> u64 {
        self.memory.load_acquire(field)
    }

    #[inline]
    pub(crate) fn ring(&self) -> PeerWords<'_> {
        self.memory.ring()
    }
}

/// A sequentially consistent fence, for handshakes in which each side stores its own slot byte,
/// fences, and loads the peer's: at least one of the two sees what the other stored.
#[inline]
pub fn full_fence() {
    // Pairs with itself on the other side.
    fence(Ordering::SeqCst);
}

/// Says what the region is. Relaxed: the descriptor's way through the kernel orders these before the
/// peer's loads.
fn write_identity(memory: &Memory, spec: RegionSpec) {
    let values = [
        (Field::RegionLength, layout::region_length(spec) as u64),
        (Field::RingCapacity, spec.ring_capacity as u64),
        (Field::Slots, spec.slots as u64),
        (Field::Version, layout::VERSION),
        (Field::Magic, layout::MAGIC),
    ];
    for (field, value) in values {
        memory.field(field).store(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests;

/// A specification that is within range.
fn check(spec: RegionSpec, min_ring_capacity: usize) -> Result<RegionSpec, RegionError> {
    let capacity = min_ring_capacity..=MAX_RING_CAPACITY;
    if spec.ring_capacity.is_power_of_two()
        && capacity.contains(&spec.ring_capacity)
        && (1..=MAX_SLOTS).contains(&spec.slots)
    {
        Ok(spec)
    } else {
        let (ring_capacity, slots) = (spec.ring_capacity as u64, spec.slots as u64);
        Err(RegionError::Spec {
            ring_capacity,
            slots,
        })
    }
}
