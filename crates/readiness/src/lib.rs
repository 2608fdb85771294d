//! Registering descriptors with the runtime, for all who wait for one to be ready.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for a descriptor to be readable.
///
/// # Errors
///
/// When the runtime cannot watch it.
pub fn readable<T: AsRawFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    watched(descriptor, Interest::READABLE)
}

/// Waits for a descriptor to be writable.
///
/// # Errors
///
/// When the runtime cannot watch it.
pub fn writable<T: AsRawFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    watched(descriptor, Interest::WRITABLE)
}

/// Waits for what a descriptor is asked for.
///
/// # Errors
///
/// When the runtime cannot watch it.
#[expect(
    deprecated,
    reason = "deprecated since it trusts `as_raw_fd` to be the same each time, as it is of whatever owns its \
              descriptor or shares one; its successor is unsafe"
)]
pub fn watched<T: AsRawFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, interest)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn what_arrives_makes_a_descriptor_readable() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = readable(here).unwrap();
        let waits = tokio::spawn(async move {
            here.readable().await.unwrap().clear_ready();
            here
        });
        there.write_all(b"x").unwrap();
        let here = waits.await.unwrap();
        let again = tokio::time::timeout(std::time::Duration::ZERO, here.readable());
        assert!(again.await.is_err(), "nothing more has arrived");
    }

    #[tokio::test]
    async fn what_cannot_be_watched_is_an_error() {
        // A regular file is always ready, and epoll takes none.
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        assert!(readable(file.unwrap()).is_err());
    }
}
