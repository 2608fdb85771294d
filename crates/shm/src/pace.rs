//! Pacing: a producer that is well ahead sleeps until its consumer has caught up.
//!
//! A producer that is woken by each event that makes it produce pays a wake-up an entry. While the
//! consumer still has entries to take there is no hurry: the producer marks the entry at which it
//! wants to be woken, sleeps, and finds several events when it is.
//!
//! ```text
//! producer                                  consumer
//!   mark = an entry not taken yet             take an entry (publish)
//!   full fence                                full fence
//!   look at what has been taken               look at the mark
//!   sleep, unless the mark is reached         write the eventfd if it is reached
//! ```
//!
//! The sleep is bounded, so a consumer that stops costs the producer that bound and no more.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::layout::Field;
use crate::region::{OwnRegion, PeerRegion, full_fence};
use crate::sync::Ordering;
use crate::wake::drain_event;

/// The producer's side.
#[derive(Debug)]
pub struct Pacer {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    eventfd: OwnedFd,
}

impl Pacer {
    /// A pacer that sleeps on `eventfd`, which nothing else may read. One per region.
    pub fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>, eventfd: OwnedFd) -> Self {
        Self { own, peer, eventfd }
    }

    /// Sleeps until the consumer has taken `entries` more, `longest` at most. False when it had
    /// nothing to sleep for.
    pub fn wait(&self, entries: u64, longest: Duration) -> bool {
        let taken = self.peer.entries_consumed();
        let mark = taken.wrapping_add(entries);
        if entries == 0 || mark > self.own.entries_produced() {
            return false;
        }
        self.own
            .field(Field::PaceMark)
            .store(mark, Ordering::Relaxed);
        // Orders the mark before the look at what is taken; pairs with the fence before
        // `PaceKeeper::check`.
        full_fence();
        if self.peer.entries_consumed().wrapping_sub(taken) < entries {
            let mut watched = [PollFd::new(&self.eventfd, PollFlags::IN)];
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: longest.subsec_nanos().into(),
            };
            // An error or a timeout is the end of the sleep as well.
            if matches!(poll(&mut watched, Some(&timeout)), Ok(1)) {
                drain_event(self.eventfd.as_fd());
            }
        }
        self.own.field(Field::PaceMark).store(0, Ordering::Relaxed);
        true
    }
}

/// The consumer's side.
#[derive(Debug)]
pub struct PaceKeeper {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    eventfd: OwnedFd,
}

impl PaceKeeper {
    /// Wakes the producer behind `peer` by `eventfd`.
    pub fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>, eventfd: OwnedFd) -> Self {
        Self { own, peer, eventfd }
    }

    /// Wakes the producer if the entry just taken is the one it marked. To be called behind a
    /// [`full_fence`] after each entry.
    ///
    /// # Errors
    ///
    /// When the eventfd cannot be written, which only a broken peer brings about.
    #[inline]
    pub fn check(&self) -> io::Result<()> {
        let mark = self.peer.field(Field::PaceMark).load(Ordering::Relaxed);
        if mark != 0 && mark == self.own.entries_consumed() {
            return self.wake();
        }
        Ok(())
    }

    #[cold]
    fn wake(&self) -> io::Result<()> {
        match rustix::io::retry_on_intr(|| rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes())) {
            // The counter is full, so the producer finds it readable.
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;
    use crate::{Consumer, Producer, RegionSpec, event_descriptor};

    struct Ends {
        producer: Producer,
        consumer: Consumer,
        pacer: Pacer,
        keeper: PaceKeeper,
    }

    fn ends() -> Ends {
        let spec = RegionSpec {
            ring_capacity: 4096,
            slots: 1,
        };
        let (front, target) = (OwnRegion::heap(spec), OwnRegion::heap(spec));
        let eventfd = event_descriptor().unwrap();
        let other = eventfd.try_clone().unwrap();
        Ends {
            producer: Producer::new(Arc::clone(&front), target.peer_view()),
            consumer: Consumer::new(Arc::clone(&target), front.peer_view()),
            pacer: Pacer::new(Arc::clone(&front), target.peer_view(), eventfd),
            keeper: PaceKeeper::new(target, front.peer_view(), other),
        }
    }

    #[test]
    fn sleeps_until_the_marked_entry_is_taken() {
        let Ends {
            mut producer,
            mut consumer,
            pacer,
            keeper,
        } = ends();
        for _ in 0..10 {
            producer.try_push(&[b"entry"]).unwrap();
        }
        let taker = std::thread::spawn(move || {
            let mut entry = Vec::new();
            let mut taken = 0;
            while consumer.try_pop(&mut entry).unwrap() {
                full_fence();
                keeper.check().unwrap();
                taken += 1;
            }
            taken
        });
        // However the two interleave, the wait ends: by the wake-up, or at its bound.
        pacer.wait(5, Duration::from_millis(900));
        assert_eq!(taker.join().unwrap(), 10);
    }

    #[test]
    fn does_not_sleep_for_entries_that_are_not_there() {
        let Ends {
            mut producer,
            pacer,
            ..
        } = ends();
        assert!(!pacer.wait(1, Duration::from_millis(900)));
        producer.try_push(&[b"entry"]).unwrap();
        assert!(!pacer.wait(2, Duration::from_millis(900)));
        assert!(!pacer.wait(0, Duration::from_millis(900)));
    }
}
