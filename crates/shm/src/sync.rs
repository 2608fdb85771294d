//! The atomics in use: the standard library's, or loom's when a model is checked.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};

/// Loads with acquire ordering from memory that may be mapped read-only.
///
/// Only relaxed loads are allowed there ("Atomic accesses to read-only memory" in
/// [`std::sync::atomic`]); a relaxed load followed by an acquire fence is at least as strong.
#[inline]
pub(crate) fn load_acquire(word: &AtomicU64) -> u64 {
    let value = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    value
}

/// [`load_acquire`] for a byte.
#[inline]
pub(crate) fn load_acquire_u8(byte: &AtomicU8) -> u8 {
    let value = byte.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    value
}
