//! Whoever says nonsense over control sockets and rings: everybody else is served as before.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_shm::{ControlSocket, OwnRegion, RegionSpec};

mod strangers;
mod streams;
mod targets;

fn region(spec: RegionSpec) -> Arc<OwnRegion> {
    OwnRegion::create("hostile-unnamed", spec).unwrap()
}

/// How much of a flood may be listened to while one other exchange is served: many turns' worth of
/// a listener that takes turns, and little for one that does not.
const FAIR: u64 = 2000;

/// Serves a few exchanges beside a flood of which `heard` messages have been taken so far.
fn others_get_their_turn(heard: &AtomicU64, mut serve: impl FnMut()) {
    const EXCHANGES: u64 = 50;
    let before = heard.load(Ordering::Relaxed);
    for _ in 0..EXCHANGES {
        serve();
    }
    let between = (heard.load(Ordering::Relaxed) - before) / EXCHANGES;
    assert!(
        between < FAIR,
        "{between} messages were listened to before each exchange"
    );
}

/// Sends what the other end still takes; that it has hung up is an answer, too.
fn send(control: &ControlSocket, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let _ = control.send(message, descriptors);
}
