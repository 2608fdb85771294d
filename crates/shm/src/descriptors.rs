//! How many of the descriptors that a process may have are in use.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::fcntl_dupfd_cloexec;

/// The lowest number that a new descriptor would have, which is as many as are in use at least: the
/// kernel gives the lowest that is free (open(2)). `None` when there is none left. `any` is copied for
/// a moment to find out.
pub fn lowest_free_descriptor(any: BorrowedFd<'_>) -> Option<u64> {
    let copy = fcntl_dupfd_cloexec(any, 0).ok()?;
    u64::try_from(copy.as_raw_fd()).ok()
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn the_next_descriptor_has_a_number_that_is_not_in_use() {
        let file = File::open("/dev/null").unwrap();
        let free = lowest_free_descriptor(file.as_fd()).unwrap();
        assert_ne!(free, u64::try_from(file.as_raw_fd()).unwrap());
    }
}
