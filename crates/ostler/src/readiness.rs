//! Waiting for a descriptor to be readable.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits on whatever has a descriptor that does not change.
#[expect(
    deprecated,
    reason = "deprecated since it trusts `as_raw_fd` to be the same each time, as it is here; its successor \
              is unsafe"
)]
pub(crate) fn readable<T: AsRawFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
