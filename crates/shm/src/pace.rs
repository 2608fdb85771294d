//! Pacing and room: a producer that is well ahead waits until its consumer has caught up.
//!
//! A producer that is woken by each event that makes it produce pays a wake-up an entry. While the
//! consumer still has entries to take there is no hurry: the producer marks the entry at which it
//! wants to be woken (see `mark`), sleeps, and finds several events when it is. The sleep is bounded,
//! so a consumer that stops costs the producer that bound and no more.
//!
//! A producer whose ring is full marks an entry too, and goes on with other things until it is told
//! that there is room.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::mark;
use crate::region::{OwnRegion, PeerRegion};
use crate::wake::drain_event;

/// The producer's side, where it is told by an eventfd of its own.
#[derive(Debug)]
pub struct Pacer {
    room: RoomMark,
    eventfd: OwnedFd,
}

/// What a producer waits for without sleeping. It is told by the consumer's [`PaceKeeper`], by whatever that
/// writes to; an eventfd that tells of other things too is not read here.
#[derive(Debug)]
pub struct RoomMark {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    /// The mark that is waited for; [`mark::NONE`] when nobody waits.
    asked: u64,
}

impl Pacer {
    /// A pacer that is told by `eventfd`. One per region.
    pub fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>, eventfd: OwnedFd) -> Self {
        Self {
            room: RoomMark::new(own, peer),
            eventfd,
        }
    }

    /// The eventfd that is written when the consumer reaches what was asked for.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    /// Sleeps until the consumer has taken `entries` more, `longest` at most. False when it had
    /// nothing to sleep for, or when something else is asked for already.
    pub fn wait(&self, entries: u64, longest: Duration) -> bool {
        let taken = self.room.peer.entries_consumed();
        let mark = taken.wrapping_add(entries);
        if entries == 0 || mark > self.room.own.entries_produced() || self.room.asked != mark::NONE
        {
            return false;
        }
        mark::set(&self.room.own, mark);
        if self.room.peer.entries_consumed().wrapping_sub(taken) < entries {
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
        mark::clear(&self.room.own);
        true
    }

    /// Has the eventfd written once the consumer has taken `entries` more, or less where less has
    /// been asked for before. False when it has taken that much meanwhile: then nothing is asked for.
    pub fn ask(&mut self, entries: u64) -> bool {
        let is_asked = self.room.ask(entries);
        if !is_asked {
            drain_event(self.eventfd.as_fd());
        }
        is_asked
    }

    /// What was asked for has been told of, or is no longer waited for.
    pub fn answered(&mut self) {
        drain_event(self.eventfd.as_fd());
        self.room.answered();
    }
}

impl RoomMark {
    /// Nothing is waited for yet. One per region, a [`Pacer`]'s included.
    pub fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>) -> Self {
        Self {
            own,
            peer,
            asked: mark::NONE,
        }
    }

    /// Has the producer told once the consumer has taken `entries` more, or less where less has been
    /// asked for before. False when it has taken that much meanwhile: then nothing is asked for.
    pub fn ask(&mut self, entries: u64) -> bool {
        let taken = self.peer.entries_consumed();
        let mark = taken.saturating_add(entries);
        let mark = match self.asked {
            asked if asked > taken => asked.min(mark),
            _ => mark,
        };
        self.asked = mark;
        mark::set(&self.own, mark);
        if self.peer.entries_consumed() < mark {
            return true;
        }
        self.answered();
        false
    }

    /// What was asked for has been told of, or is no longer waited for.
    pub fn answered(&mut self) {
        self.asked = mark::NONE;
        mark::clear(&self.own);
    }
}

/// The consumer's side.
#[derive(Debug)]
pub struct PaceKeeper {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    eventfd: OwnedFd,
    /// The mark that was told of last.
    answered: AtomicU64,
}

impl PaceKeeper {
    /// Wakes the producer behind `peer` by `eventfd`.
    pub fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>, eventfd: OwnedFd) -> Self {
        Self {
            own,
            peer,
            eventfd,
            answered: AtomicU64::new(mark::NONE),
        }
    }

    /// Tells the producer if what it marked has been taken. To be called behind a
    /// [`full_fence`](crate::full_fence) after each entry, or after several.
    ///
    /// # Errors
    ///
    /// When the eventfd cannot be written, which only a broken peer brings about.
    #[inline]
    pub fn check(&self) -> io::Result<()> {
        // Relaxed: whoever takes entries is the only one to call this.
        let answered = self.answered.load(Ordering::Relaxed);
        match mark::reached(&self.own, &self.peer, answered) {
            Some(mark) => self.tell(mark),
            None => Ok(()),
        }
    }

    #[cold]
    fn tell(&self, mark: u64) -> io::Result<()> {
        self.answered.store(mark, Ordering::Relaxed);
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
    use crate::region::full_fence;
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

    #[test]
    fn a_full_ring_s_producer_is_told_once_there_is_room() {
        let Ends {
            mut producer,
            mut consumer,
            mut pacer,
            keeper,
        } = ends();
        while producer.try_push(&[&[0; 1000]]).is_ok() {}
        assert!(pacer.ask(2));
        assert!(!pacer.wait(1, Duration::from_millis(900)), "asked for once");
        let mut entry = Vec::new();
        let mut told = Vec::new();
        for _ in 0..3 {
            assert!(consumer.try_pop(&mut entry).unwrap());
            full_fence();
            keeper.check().unwrap();
            told.push(is_readable(pacer.descriptor()));
        }
        assert_eq!(told, [false, true, true]);
        pacer.answered();
        assert!(!is_readable(pacer.descriptor()));
        producer.try_push(&[&[0; 1000]]).unwrap();
    }

    #[test]
    fn a_mark_that_was_passed_is_told_of_at_the_next_look() {
        let Ends {
            mut producer,
            mut consumer,
            mut pacer,
            keeper,
        } = ends();
        for _ in 0..3 {
            producer.try_push(&[b"entry"]).unwrap();
        }
        assert!(pacer.ask(1));
        let mut entry = Vec::new();
        while consumer.try_pop(&mut entry).unwrap() {}
        full_fence();
        keeper.check().unwrap();
        assert!(is_readable(pacer.descriptor()));
        pacer.answered();
        keeper.check().unwrap();
        assert!(
            !is_readable(pacer.descriptor()),
            "each mark is told of once"
        );
        assert!(pacer.ask(1));
        assert!(!pacer.ask(0), "that much has been taken");
    }

    fn is_readable(event: BorrowedFd<'_>) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(&event, PollFlags::IN)], Some(&now)).unwrap() == 1
    }
}
