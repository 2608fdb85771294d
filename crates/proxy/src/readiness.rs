//! Registering descriptors with the runtime.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for a descriptor to be readable.
pub(crate) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::READABLE)
}

/// Waits for a descriptor to be writable.
pub(crate) fn writable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::WRITABLE)
}

/// Waits for what a shared descriptor is asked for.
pub(crate) fn shared(
    descriptor: Rc<OwnedFd>,
    interest: Interest,
) -> io::Result<AsyncFd<Rc<OwnedFd>>> {
    register(descriptor, interest)
}

#[expect(
    deprecated,
    reason = "deprecated since it trusts `as_raw_fd` to be the same each time, as it is for `OwnedFd`; \
              its successor is unsafe"
)]
fn register<T: AsRawFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, interest)
}
