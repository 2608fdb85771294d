//! Copies between ordinary bytes and the words of a ring.
//!
//! Both ends copy word by word with relaxed atomics: the other process may write the same words
//! at the same time, which would be a data race with anything else. What makes the bytes of an
//! entry visible is the position that is published after them.

use std::mem::MaybeUninit;

use crate::layout::WORD;
use crate::memory::PeerWords;
use crate::sync::{AtomicU64, Ordering};

/// Writes bytes into a ring from some word on, over its end if need be.
pub(crate) struct WordWriter<'a> {
    /// The whole ring; its length is a power of two.
    ring: &'a [AtomicU64],
    /// Index of the next word, `< ring.len()`.
    at: usize,
    /// Bytes that do not fill a word yet.
    partial: [u8; WORD],
    /// How many of them, `< WORD`.
    filled: usize,
}

impl<'a> WordWriter<'a> {
    /// Starts at word `at`, counted from the ring's first, modulo its length.
    #[inline]
    pub(crate) fn new(ring: &'a [AtomicU64], at: usize) -> Self {
        debug_assert!(ring.len().is_power_of_two(), "a region's spec is checked");
        Self {
            ring,
            at: at & (ring.len() - 1),
            partial: [0; WORD],
            filled: 0,
        }
    }

    /// Appends one word; only while no bytes are pending.
    #[inline]
    pub(crate) fn word(&mut self, word: u64) {
        debug_assert_eq!(self.filled, 0);
        self.ring[self.at].store(word, Ordering::Relaxed);
        self.at = (self.at + 1) & (self.ring.len() - 1);
    }

    /// Appends bytes, right behind the ones before.
    #[inline]
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) {
        if self.filled > 0 {
            let (first, rest) = bytes.split_at(bytes.len().min(WORD - self.filled));
            self.partial[self.filled..][..first.len()].copy_from_slice(first);
            self.filled += first.len();
            if self.filled < WORD {
                return;
            }
            self.filled = 0;
            self.word(u64::from_ne_bytes(self.partial));
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks();
        self.words(words);
        self.partial[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    /// Pads the last word with zeros.
    #[inline]
    pub(crate) fn finish(mut self) {
        if self.filled > 0 {
            self.partial[self.filled..].fill(0);
            self.filled = 0;
            self.word(u64::from_ne_bytes(self.partial));
        }
    }

    #[inline]
    fn words(&mut self, words: &[[u8; WORD]]) {
        let (before_end, from_start) = words.split_at(words.len().min(self.ring.len() - self.at));
        store(&self.ring[self.at..], before_end);
        store(self.ring, from_start);
        self.at = (self.at + words.len()) & (self.ring.len() - 1);
    }
}

/// Replaces a vector's content by `length` bytes of a ring from word `at` on, modulo its length.
///
/// Allocates only when the vector's capacity is too small. At most one ring's length is copied.
#[inline]
pub(crate) fn read(ring: PeerWords<'_>, at: usize, length: usize, out: &mut Vec<u8>) {
    let words = length.div_ceil(WORD).min(ring.len());
    let length = length.min(words * WORD);
    out.clear();
    out.reserve(words * WORD);
    let at = at & (ring.len() - 1);
    let (spare, _) = out.spare_capacity_mut()[..words * WORD].as_chunks_mut();
    let (before_end, from_start) = spare.split_at_mut(words.min(ring.len() - at));
    load(ring.from(at), before_end);
    load(ring.from(0), from_start);
    // SAFETY: the first `words * WORD >= length` bytes of the spare capacity of an empty vector
    // were just written: `before_end` is no longer than the ring from `at` on, and `from_start`
    // no longer than the ring.
    unsafe { out.set_len(length) };
}

#[inline]
fn store(ring: &[AtomicU64], words: &[[u8; WORD]]) {
    for (word, bytes) in ring.iter().zip(words) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
}

#[inline]
fn load(words: impl Iterator<Item = u64>, out: &mut [[MaybeUninit<u8>; WORD]]) {
    for (word, bytes) in words.zip(out) {
        *bytes = word.to_ne_bytes().map(MaybeUninit::new);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn ring(words: usize) -> Vec<AtomicU64> {
        (0..words).map(|_| AtomicU64::new(u64::MAX)).collect()
    }

    #[test]
    fn parts_of_every_length_come_back_as_one() {
        let bytes: Vec<u8> = (1..=40).collect();
        // Miri is slow, and what it looks for does not depend on the lengths.
        let step = if cfg!(miri) { 7 } else { 1 };
        for first in (0..=20).step_by(step) {
            for second in (first..=40).step_by(step) {
                for at in (0..8).step_by(step) {
                    let ring = ring(8);
                    let mut writer = WordWriter::new(&ring, at);
                    writer.bytes(&bytes[..first]);
                    writer.bytes(&bytes[first..second]);
                    writer.bytes(&bytes[second..]);
                    writer.finish();
                    let mut out = vec![9; 3];
                    read(PeerWords::of(&ring), at, bytes.len(), &mut out);
                    assert_eq!(
                        out, bytes,
                        "parts end at {first} and {second}, from word {at}"
                    );
                }
            }
        }
    }

    #[test]
    fn padding_is_zero_and_nothing_behind_it_is_touched() {
        let ring = ring(4);
        let mut writer = WordWriter::new(&ring, 3);
        writer.bytes(b"123456789");
        writer.finish();
        let words: Vec<_> = ring
            .iter()
            .map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .collect();
        assert_eq!(
            words,
            [*b"9\0\0\0\0\0\0\0", [255; 8], [255; 8], *b"12345678"]
        );
    }

    #[test]
    fn reading_into_a_large_vector_does_not_allocate() {
        let ring = ring(4);
        let mut out = Vec::with_capacity(64);
        let before = out.as_ptr();
        read(PeerWords::of(&ring), 2, 31, &mut out);
        assert_eq!((out.as_ptr(), out.len()), (before, 31));
    }

    #[test]
    fn reads_no_more_than_the_ring() {
        let ring = ring(4);
        let mut out = Vec::new();
        read(PeerWords::of(&ring), 2, 1000, &mut out);
        assert_eq!(out, [255; 32]);
    }
}
