//! Whether this system can delegate: what the mechanism needs, tried rather than assumed.

use std::io;

use ostler_delegation::runtime::RuntimeFolder;
use ostler_shm::{ControlSocket, OwnRegion, PeerRegion, RegionSpec, event_descriptor};

/// What this system lacks.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) what: String,
    /// What the system said.
    pub(crate) source: io::Error,
}

/// Tries a sealed memfd, an eventfd, a SEQPACKET socket pair and the runtime folder.
pub(crate) fn check(runtime: &RuntimeFolder) -> Result<(), Missing> {
    let missing = |what: &str, source: io::Error| Missing {
        what: what.into(),
        source,
    };
    let spec = RegionSpec {
        ring_capacity: 4096,
        slots: 128,
    };
    let region = OwnRegion::create("ostler-probe", spec).map_err(|error| {
        missing(
            "sealed shared memory (memfd_create, F_ADD_SEALS)",
            io::Error::other(error),
        )
    })?;
    let copy = std::os::fd::AsFd::as_fd(&region.descriptor())
        .try_clone_to_owned()
        .map_err(|error| missing("a free descriptor", error))?;
    PeerRegion::map(copy).map_err(|error| {
        missing(
            "read-only mapping of sealed memory",
            io::Error::other(error),
        )
    })?;
    event_descriptor().map_err(|error| missing("eventfd", error))?;
    ControlSocket::pair().map_err(|error| missing("SOCK_SEQPACKET sockets", error))?;
    runtime
        .make_queues()
        .map_err(|error| missing("a usable runtime folder", io::Error::other(error)))?;
    Ok(())
}
