//! Where everything stands in a region; drawn byte by byte in `docs/delegation-protocol.md`.
//!
//! ```text
//! 0x000  magic, version, region length, ring capacity, slots      written once, before sharing
//! 0x028  lease epoch                                              seldom written
//! 0x080  producer position, entries produced                      of this region's ring
//! 0x100  consumer position, entries consumed                      of the PEER's ring
//! 0x180  sleep sequence, pace mark                                odd: asleep, wants a wake-up
//! 0x200  one byte per slot, rounded up to 128
//! ....   ring data, `ring capacity` bytes, aligned to 4096
//! ```
//!
//! Every field is a `u64` in the machine's byte order. What different threads write or read stands
//! 128 bytes apart, since processors fetch cache lines in pairs. Positions count bytes and only
//! ever grow; a byte's place in the ring is its position modulo the capacity.
//!
//! A ring entry starts at a multiple of 8: one word with the payload's length in bytes (the upper
//! half is reserved and zero), then the payload, padded to a multiple of 8. It may run over the
//! ring's end and continue at its start, between any two words.

use std::mem::{offset_of, size_of};

/// The first word of a region: `OSTLERSM` in memory on a little-endian machine.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"OSTLERSM");

/// The layout drawn above. Any change to it is a new version.
pub(crate) const VERSION: u64 = 1;

/// Bytes in one word of the ring.
pub(crate) const WORD: usize = 8;

const PAGE: usize = 4096;
const SLOTS_ROUNDED_TO: usize = 128;

/// The fixed part of a region. Never instantiated: it says where the fields stand.
#[repr(C)]
struct Header {
    magic: u64,
    version: u64,
    region_length: u64,
    ring_capacity: u64,
    slots: u64,
    lease_epoch: u64,
    identity_padding: [u64; 10],
    producer_position: u64,
    entries_produced: u64,
    producer_padding: [u64; 14],
    consumer_position: u64,
    entries_consumed: u64,
    consumer_padding: [u64; 14],
    sleep_sequence: u64,
    pace_mark: u64,
    sleep_padding: [u64; 14],
}

const _: () = {
    assert!(offset_of!(Header, magic) == 0x000);
    assert!(offset_of!(Header, version) == 0x008);
    assert!(offset_of!(Header, region_length) == 0x010);
    assert!(offset_of!(Header, ring_capacity) == 0x018);
    assert!(offset_of!(Header, slots) == 0x020);
    assert!(offset_of!(Header, lease_epoch) == 0x028);
    assert!(offset_of!(Header, identity_padding) == 0x030);
    assert!(offset_of!(Header, producer_position) == 0x080);
    assert!(offset_of!(Header, entries_produced) == 0x088);
    assert!(offset_of!(Header, producer_padding) == 0x090);
    assert!(offset_of!(Header, consumer_position) == 0x100);
    assert!(offset_of!(Header, entries_consumed) == 0x108);
    assert!(offset_of!(Header, consumer_padding) == 0x110);
    assert!(offset_of!(Header, sleep_sequence) == 0x180);
    assert!(offset_of!(Header, pace_mark) == 0x188);
    assert!(offset_of!(Header, sleep_padding) == 0x190);
    assert!(size_of::<Header>() == 0x200);
    // Positions and lengths are `u64` in memory and `usize` in code.
    assert!(size_of::<usize>() == size_of::<u64>());
};

/// A `u64` field of the header, as an index into the region's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Field {
    Magic = offset_of!(Header, magic) / WORD,
    Version = offset_of!(Header, version) / WORD,
    RegionLength = offset_of!(Header, region_length) / WORD,
    RingCapacity = offset_of!(Header, ring_capacity) / WORD,
    Slots = offset_of!(Header, slots) / WORD,
    LeaseEpoch = offset_of!(Header, lease_epoch) / WORD,
    ProducerPosition = offset_of!(Header, producer_position) / WORD,
    EntriesProduced = offset_of!(Header, entries_produced) / WORD,
    ConsumerPosition = offset_of!(Header, consumer_position) / WORD,
    EntriesConsumed = offset_of!(Header, entries_consumed) / WORD,
    SleepSequence = offset_of!(Header, sleep_sequence) / WORD,
    PaceMark = offset_of!(Header, pace_mark) / WORD,
}

/// Words before the slot bytes.
pub(crate) const HEADER_WORDS: usize = size_of::<Header>() / WORD;

/// Offset of the slot bytes, in bytes.
pub(crate) const SLOTS_START: usize = size_of::<Header>();

/// Offset of the ring's data in a mapped region, in bytes.
pub(crate) const fn data_start(slots: usize) -> usize {
    (SLOTS_START + slots.next_multiple_of(SLOTS_ROUNDED_TO)).next_multiple_of(PAGE)
}

/// How large a region is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionSpec {
    /// Bytes in the ring: a power of two from 4 KiB to 64 MiB. No entry is longer than a quarter.
    pub ring_capacity: usize,
    /// Slot bytes: 1 to 1048576.
    pub slots: usize,
}

/// Length of a mapped region, in bytes; a multiple of the page size.
pub(crate) const fn region_length(spec: RegionSpec) -> usize {
    data_start(spec.slots) + spec.ring_capacity
}

/// Bytes an entry takes in the ring, its length word and padding included.
pub(crate) const fn entry_size(payload: usize) -> usize {
    WORD + payload.next_multiple_of(WORD)
}

/// The longest payload a ring takes. A quarter, so that one large entry cannot keep a ring from
/// being filled and emptied at the same time.
pub(crate) const fn max_entry(ring_capacity: usize) -> usize {
    ring_capacity / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_the_ring_on_a_page_after_the_slots() {
        assert_eq!(data_start(1), 4096);
        assert_eq!(data_start(4096 - 0x200), 4096);
        assert_eq!(data_start(4096 - 0x200 + 1), 8192);
        assert_eq!(
            region_length(RegionSpec {
                ring_capacity: 4096,
                slots: 1
            }),
            8192
        );
    }

    #[test]
    fn counts_an_entry_s_length_word_and_padding() {
        assert_eq!(entry_size(0), 8);
        assert_eq!(entry_size(1), 16);
        assert_eq!(entry_size(8), 16);
        assert_eq!(entry_size(9), 24);
    }
}
