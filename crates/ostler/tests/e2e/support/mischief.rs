//! What hostile peers are made of: randomness that repeats itself, and a region written over.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// A xorshift generator: each seed is the same story every time.
pub(crate) struct Mischief(u64);

impl Mischief {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.number() >> 24) as u8).collect()
    }
}

/// A region of this process as its bytes, every one of which may be written: what a peer that
/// maps its own memory by itself can do to it.
///
/// The library gives no way to break a region, and this crate has no unsafe code; the kernel
/// writes it through `/proc/self/mem` instead. The only readers are atomics, here and in the peer.
pub(crate) struct RegionBytes {
    memory: File,
    range: Range<u64>,
}

impl RegionBytes {
    /// Of the region with this name, which no other in this process may have.
    pub(crate) fn of(name: &str) -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let wanted = format!("/memfd:{name} ");
        let line = maps
            .lines()
            .find(|line| line.contains(&wanted) && line.contains(" rw-s "));
        let (range, _) = line.expect("the region is mapped").split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let memory = File::options().write(true).open("/proc/self/mem").unwrap();
        Self {
            memory,
            range: number(start)..number(end),
        }
    }

    pub(crate) fn len(&self) -> usize {
        (self.range.end - self.range.start) as usize
    }

    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.len());
        self.memory
            .write_all_at(bytes, self.range.start + at as u64)
            .unwrap();
    }
}
