//! Giving memory back to the system that the allocator keeps for later.

/// Gives back what is free at the heap's end and in whole pages between. Worth a call after much has
/// been freed at once, and for other threads no more than a wait where they allocate meanwhile.
pub fn release_free_memory() {
    #[cfg(all(target_env = "gnu", not(miri)))]
    // SAFETY: malloc_trim (malloc_trim(3)) takes the allocator's own locks and touches free memory
    // only.
    unsafe {
        libc::malloc_trim(0);
    }
}
