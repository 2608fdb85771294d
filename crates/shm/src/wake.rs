//! Suppressed wake-ups: an eventfd is written only when the peer sleeps, and once per sleep.
//!
//! ```text
//! sleeper                                   waker
//!   sequence becomes odd                      push an entry (publish)
//!   full fence                                full fence
//!   look at the ring again                    look at the sequence
//!   sleep, unless there is something          write the eventfd if it is odd
//! ```
//!
//! Of two such sequences at least one sees what the other did, so no wake-up is lost.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::layout::Field;
use crate::region::{OwnRegion, PeerRegion, full_fence};
use crate::sync::Ordering;

/// The side that goes to sleep.
#[derive(Debug)]
pub struct Sleeper {
    own: Arc<OwnRegion>,
}

impl Sleeper {
    /// A sleeper that announces itself in `own`. One per region.
    pub fn new(own: Arc<OwnRegion>) -> Self {
        Self { own }
    }

    /// Asks the peer for a wake-up, one per announcement. The caller then looks at the ring once
    /// more *before* it sleeps, and calls [`cancel`](Self::cancel) when it is awake.
    #[inline]
    pub fn announce(&self) {
        let sequence = self.own.field(Field::SleepSequence);
        // The next odd number, also when the last announcement was not cancelled: the waker may
        // have answered that one already.
        let next = sequence.load(Ordering::Relaxed).wrapping_add(1) | 1;
        sequence.store(next, Ordering::Relaxed);
        // Orders the store before the caller's next look at the ring; pairs with the fence in
        // `Waker::wake_if_asleep`.
        full_fence();
    }

    /// Says that no wake-up is needed. The peer may have sent one already.
    #[inline]
    pub fn cancel(&self) {
        let sequence = self.own.field(Field::SleepSequence);
        let current = sequence.load(Ordering::Relaxed);
        if current % 2 == 1 {
            // Relaxed: seen late, it costs the peer a needless wake-up and nothing else.
            sequence.store(current.wrapping_add(1), Ordering::Relaxed);
        }
    }
}

/// The side that wakes the peer up.
///
/// A peer that takes the eventfd's O_NONBLOCK away, which belongs to the description both share,
/// and fills its counter can make the write block. Only give an eventfd to a peer that is trusted
/// not to.
#[derive(Debug)]
pub struct Waker {
    peer: Arc<PeerRegion>,
    eventfd: OwnedFd,
    /// The sequence answered last. Starts even, which is never answered.
    answered: u64,
}

impl Waker {
    /// A waker of the peer that announces its sleep in `peer` and waits for `eventfd`.
    pub fn new(peer: Arc<PeerRegion>, eventfd: OwnedFd) -> Self {
        Self {
            peer,
            eventfd,
            answered: 0,
        }
    }

    /// Wakes the peer up if it sleeps and was not woken yet. To be called after the push, or
    /// several, that the peer is to see. True when that took a system call.
    ///
    /// # Errors
    ///
    /// When the eventfd cannot be written; that it is full already is no error.
    #[inline]
    pub fn wake_if_asleep(&mut self) -> io::Result<bool> {
        let Some(sequence) = asleep(&self.peer, self.answered) else {
            return Ok(false);
        };
        self.answered = sequence;
        self.wake()?;
        Ok(true)
    }

    /// Writes the eventfd, whether the peer sleeps or not.
    ///
    /// # Errors
    ///
    /// As [`wake_if_asleep`](Self::wake_if_asleep).
    #[cold]
    pub fn wake(&self) -> io::Result<()> {
        match rustix::io::retry_on_intr(|| rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes())) {
            // The counter is full, so the peer finds it readable.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The sequence under which the peer sleeps and which was not answered yet.
#[inline]
pub(crate) fn asleep(peer: &PeerRegion, answered: u64) -> Option<u64> {
    // Orders the caller's push before the load; pairs with the fence in `Sleeper::announce`.
    full_fence();
    let sequence = peer.load(Field::SleepSequence);
    (sequence % 2 == 1 && sequence != answered).then_some(sequence)
}

/// A new eventfd with a count of zero, non-blocking and close-on-exec.
///
/// # Errors
///
/// When descriptors are short.
pub fn event_descriptor() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)
}

/// Resets an eventfd's count, for readers that poll it level-triggered. Those that are
/// edge-triggered need not: each write is an edge of its own.
pub fn drain_event(eventfd: BorrowedFd<'_>) {
    let mut count = [0; 8];
    // A failure means that the count is zero already, or that the descriptor is no eventfd and
    // there is nothing to reset.
    let _ = rustix::io::retry_on_intr(|| rustix::io::read(eventfd, &mut count));
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::layout::RegionSpec;

    fn pair() -> (Sleeper, Waker, OwnedFd) {
        let own = OwnRegion::heap(RegionSpec {
            ring_capacity: 64,
            slots: 1,
        });
        let event = event_descriptor().unwrap();
        let waker = Waker::new(own.peer_view(), event.try_clone().unwrap());
        (Sleeper::new(own), waker, event)
    }

    fn is_readable(event: BorrowedFd<'_>) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(&event, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn nobody_is_woken_who_does_not_sleep() {
        let (sleeper, mut waker, event) = pair();
        assert!(!waker.wake_if_asleep().unwrap());
        sleeper.announce();
        sleeper.cancel();
        sleeper.cancel();
        assert!(!waker.wake_if_asleep().unwrap());
        assert!(!is_readable(event.as_fd()));
    }

    #[test]
    fn each_announcement_is_answered_once() {
        let (sleeper, mut waker, event) = pair();
        for cancels in [false, true, false, false, true] {
            sleeper.announce();
            assert!(waker.wake_if_asleep().unwrap());
            assert!(!waker.wake_if_asleep().unwrap());
            assert!(is_readable(event.as_fd()));
            drain_event(event.as_fd());
            assert!(!is_readable(event.as_fd()));
            if cancels {
                sleeper.cancel();
                assert!(!waker.wake_if_asleep().unwrap());
            }
        }
    }

    #[test]
    fn a_full_eventfd_is_no_error() {
        let (_sleeper, waker, event) = pair();
        rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        waker.wake().unwrap();
        assert!(is_readable(event.as_fd()));
    }
}
