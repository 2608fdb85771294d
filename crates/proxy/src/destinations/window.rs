//! A stream's window: it begins small and grows with use, so that a client that takes nothing keeps
//! little of a response in the front, and one that takes all is not held up (reference B16.4).

use h2::RecvStream;

/// What a destination may send ahead on one stream to begin with, as .NET has it.
pub(super) const FIRST: u32 = 64 * 1024;
/// And at most. This is enough for 80 Gbit/s at 0.1 ms, and for 400 Mbit/s at 20 ms; .NET goes up to
/// 16 MiB, of which a client that stops taking would keep each byte here.
const LARGEST: u32 = 1024 * 1024;

/// The window of a stream whose bytes are given out.
#[derive(Debug)]
pub(super) struct Window {
    size: u32,
    /// Bytes taken since it was set.
    taken: usize,
    /// There was nothing to give out since then: whoever takes is faster than the window.
    ran_dry: bool,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            size: FIRST,
            taken: 0,
            ran_dry: false,
        }
    }

    /// Somebody wants bytes, and none are here.
    pub(super) fn run_dry(&mut self) {
        self.ran_dry = true;
    }

    /// Bytes have been taken: as many more may come.
    pub(super) fn take(&mut self, stream: &mut RecvStream, bytes: usize) -> Result<(), h2::Error> {
        let flow = stream.flow_control();
        flow.release_capacity(bytes)?;
        self.taken = self.taken.saturating_add(bytes);
        if self.ran_dry && self.size < LARGEST && self.taken >= self.size as usize {
            flow.grow_window(self.size)?;
            *self = Self {
                size: self.size * 2,
                ..Self::new()
            };
        }
        Ok(())
    }
}
