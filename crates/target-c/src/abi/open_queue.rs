//! What a program holds of a queue.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::event::{EventfdFlags, eventfd};

use crate::error::Error;
use crate::queue::{Notice, Queue};

/// A queue that a program has open.
#[derive(Debug)]
pub(super) struct OpenQueue {
    pub(super) queue: Queue,
    /// Readable while there are events.
    descriptor: OnceLock<OwnedFd>,
}

impl OpenQueue {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            queue,
            descriptor: OnceLock::new(),
        }
    }

    /// Has it served by a thread of the library's, the first time.
    pub(super) fn descriptor(&self) -> Result<&OwnedFd, Error> {
        if let Some(descriptor) = self.descriptor.get() {
            return Ok(descriptor);
        }
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let descriptor = eventfd(0, flags).map_err(std::io::Error::from)?;
        let raised = descriptor.try_clone()?;
        self.queue.serve_on_a_thread(Box::new(Raised(raised)))?;
        Ok(self.descriptor.get_or_init(|| descriptor))
    }
}

/// An eventfd whose count is 1 while there are events.
struct Raised(OwnedFd);

impl Notice for Raised {
    fn raise(&self) {
        // Full it can only be of what was raised before.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    fn lower(&self) {
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}
