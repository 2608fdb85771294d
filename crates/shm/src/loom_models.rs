//! Every interleaving of the protocols, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p ostler-shm --lib loom`.

use std::sync::Arc;

use loom::model::Builder;
use loom::thread;

use crate::error::PushError;
use crate::layout::RegionSpec;
use crate::mark;
use crate::region::{OwnRegion, full_fence};
use crate::ring::{Consumer, Producer};
use crate::sync::{AtomicU64, Ordering};
use crate::wake::{Sleeper, asleep};

/// Eight words: two entries of 16 bytes fit, and the third runs over the end.
const SPEC: RegionSpec = RegionSpec {
    ring_capacity: 64,
    slots: 2,
};

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    // More preemptions multiply the runs without finding more: errors need very few.
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn channel() -> (Producer, Consumer, Arc<OwnRegion>, Arc<OwnRegion>) {
    let (front, target) = (OwnRegion::heap(SPEC), OwnRegion::heap(SPEC));
    let producer = Producer::new(Arc::clone(&front), target.peer_view());
    let consumer = Consumer::new(Arc::clone(&target), front.peer_view());
    (producer, consumer, front, target)
}

fn entry(number: u8) -> [u8; 16] {
    [number; 16]
}

#[test]
fn a_published_entry_is_seen_whole() {
    check(|| {
        let (mut producer, mut consumer, front, _) = channel();
        let front = front.peer_view();
        let pushing = thread::spawn(move || {
            producer.try_push(&[&entry(1)]).unwrap();
            producer.try_push(&[&entry(2)]).unwrap();
        });
        let mut out = Vec::new();
        let mut popped = 0;
        for _ in 0..2 {
            if consumer.try_pop(&mut out).unwrap() {
                popped += 1;
                assert_eq!(out, entry(popped));
                assert!(front.entries_produced() >= u64::from(popped));
            }
        }
        pushing.join().unwrap();
        while consumer.try_pop(&mut out).unwrap() {
            popped += 1;
            assert_eq!(out, entry(popped));
        }
        assert_eq!(popped, 2);
    });
}

// Loom never lets a load see a later store, so this checks the positions' arithmetic and the
// acquire side; that the loads are done before the room is given back stands in `ring`.
#[test]
fn an_entry_is_not_overwritten_before_it_is_copied() {
    check(|| {
        let (mut producer, mut consumer, ..) = channel();
        producer.try_push(&[&entry(1)]).unwrap();
        producer.try_push(&[&entry(2)]).unwrap();
        let pushing = thread::spawn(move || match producer.try_push(&[&entry(3)]) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error, PushError::Full);
                false
            }
        });
        let mut out = Vec::new();
        for number in 1..=2 {
            assert!(consumer.try_pop(&mut out).unwrap());
            assert_eq!(out, entry(number));
        }
        let pushed = pushing.join().unwrap();
        assert_eq!(consumer.try_pop(&mut out).unwrap(), pushed);
        assert!(!pushed || out == entry(3));
    });
}

#[test]
fn no_wake_up_is_lost() {
    check(|| {
        let (mut producer, mut consumer, _, target) = channel();
        let seen = target.peer_view();
        let sleeper = Sleeper::new(target);
        let pushing = thread::spawn(move || {
            let mut wakes = 0;
            let mut answered = 0;
            for number in 1..=2 {
                producer.try_push(&[&entry(number)]).unwrap();
                if let Some(sequence) = asleep(&seen, answered) {
                    answered = sequence;
                    wakes += 1;
                }
            }
            wakes
        });
        sleeper.announce();
        let sleeps = consumer.is_empty();
        if !sleeps {
            sleeper.cancel();
        }
        let wakes = pushing.join().unwrap();
        assert!(wakes <= 1, "one announcement was answered {wakes} times");
        assert!(!sleeps || wakes == 1, "asleep for ever");
    });
}

#[test]
fn a_second_sleep_is_answered_though_the_first_was() {
    check(|| {
        let (mut producer, mut consumer, _, target) = channel();
        let seen = target.peer_view();
        let sleeper = Sleeper::new(target);
        let eventfd = Arc::new(AtomicU64::new(0));
        let written = Arc::clone(&eventfd);
        let pushing = thread::spawn(move || {
            let mut answered = 0;
            for number in 1..=2 {
                producer.try_push(&[&entry(number)]).unwrap();
                if let Some(sequence) = asleep(&seen, answered) {
                    answered = sequence;
                    written.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        let mut out = Vec::new();
        let mut popped = 0;
        let mut slept_at = None;
        for _ in 0..2 {
            sleeper.announce();
            if consumer.is_empty() {
                let wakes = eventfd.swap(0, Ordering::AcqRel);
                if wakes == 0 {
                    // Really asleep: nothing happens here until a wake-up comes.
                    slept_at = Some(popped);
                    break;
                }
            }
            // Not cancelled: the next announcement must count as a new one all the same.
            if consumer.try_pop(&mut out).unwrap() {
                popped += 1;
            }
        }
        pushing.join().unwrap();
        if slept_at.is_some_and(|popped| popped < 2) {
            assert!(eventfd.load(Ordering::Acquire) > 0, "asleep for ever");
        }
    });
}

#[test]
fn a_producer_whose_ring_is_full_is_told_of_room() {
    check(|| {
        let (mut producer, mut consumer, front, target) = channel();
        producer.try_push(&[&entry(1)]).unwrap();
        producer.try_push(&[&entry(2)]).unwrap();
        assert_eq!(producer.try_push(&[&entry(3)]), Err(PushError::Full));
        let (front_seen, target_seen) = (front.peer_view(), target.peer_view());
        let taking = thread::spawn(move || {
            let mut out = Vec::new();
            let mut answered = mark::NONE;
            let mut told = 0;
            for _ in 0..2 {
                assert!(consumer.try_pop(&mut out).unwrap());
                full_fence();
                if let Some(mark) = mark::reached(&target, &front_seen, answered) {
                    answered = mark;
                    told += 1;
                }
            }
            told
        });
        mark::set(&front, 1);
        // As `Pacer::ask` looks once more before it relies on being told.
        let waits = target_seen.entries_consumed() < 1;
        let told = taking.join().unwrap();
        assert!(told <= 1, "one mark was told of {told} times");
        assert!(!waits || told == 1, "waits for ever");
        producer.try_push(&[&entry(3)]).unwrap();
    });
}

/// Streams: both rings are full, each side takes what the other has put in and is told of room in its
/// own by the eventfd it sleeps on.
#[test]
fn two_full_rings_do_not_wait_for_each_other() {
    check(|| {
        let (mut front_producer, mut target_consumer, front, target) = channel();
        let mut target_producer = Producer::new(Arc::clone(&target), front.peer_view());
        let mut front_consumer = Consumer::new(Arc::clone(&front), target.peer_view());
        for number in 1..=2 {
            front_producer.try_push(&[&entry(number)]).unwrap();
            target_producer.try_push(&[&entry(number)]).unwrap();
        }
        let waker_of_front = Arc::new(AtomicU64::new(0));
        let wakes_front = Arc::clone(&waker_of_front);
        let (front_seen, target_seen) = (front.peer_view(), target.peer_view());
        let other = thread::spawn(move || {
            turn(
                (&target, &front_seen),
                &mut target_consumer,
                &mut target_producer,
                &wakes_front,
            )
        });
        let wakes_target = Arc::new(AtomicU64::new(0));
        let front_waits = turn(
            (&front, &target_seen),
            &mut front_consumer,
            &mut front_producer,
            &wakes_target,
        );
        let target_waits = other.join().unwrap();
        let is_woken = |eventfd: &AtomicU64| eventfd.load(Ordering::Acquire) > 0;
        assert!(!front_waits || is_woken(&waker_of_front), "the front waits");
        assert!(!target_waits || is_woken(&wakes_target), "the target waits");
    });
}

/// A side finds its ring full, marks it, takes an entry, tells the other if that has marked its ring, and
/// tries again. True when it sleeps until it is told.
fn turn(
    (own, peer): (&Arc<OwnRegion>, &Arc<crate::region::PeerRegion>),
    consumer: &mut Consumer,
    producer: &mut Producer,
    wakes_other: &AtomicU64,
) -> bool {
    let is_full = producer.try_push(&[&entry(3)]).is_err();
    if is_full {
        mark::set(own, 1);
    }
    let mut out = Vec::new();
    assert!(consumer.try_pop(&mut out).unwrap());
    full_fence();
    if mark::reached(own, peer, mark::NONE).is_some() {
        wakes_other.fetch_add(1, Ordering::AcqRel);
    }
    is_full && peer.entries_consumed() < 1
}

#[test]
fn withdrawing_and_receiving_do_not_both_win() {
    check(|| {
        let (front, target) = (OwnRegion::heap(SPEC), OwnRegion::heap(SPEC));
        let (front_seen, target_seen) = (front.peer_view(), target.peer_view());
        let receiving = thread::spawn(move || {
            target.set_slot(1, 7);
            full_fence();
            front_seen.slot(1)
        });
        front.set_slot(1, 9);
        full_fence();
        let seen_by_front = target_seen.slot(1);
        let seen_by_target = receiving.join().unwrap();
        assert!(
            seen_by_front == 7 || seen_by_target == 9,
            "neither saw the other: both act on the exchange"
        );
    });
}

/// What a slot's bytes say of a lease, as these models need it.
mod lease {
    pub(super) const RESTING: u8 = 2;
    pub(super) const READING: u8 = 4;
    pub(super) const RECEIVED: u8 = 1;
    pub(super) const ENDED: u8 = 9;
    pub(super) const SLOT: usize = 1;
}

/// The client's socket: who has it to himself may receive from it.
type Socket = Arc<loom::cell::UnsafeCell<()>>;

fn receive(socket: &Socket) {
    // Loom finds it where both sides are in here, or one without having seen the other leave.
    socket.with_mut(|_| ());
}

/// A target at the boundary of two requests of a lease: true where it has received the next one.
fn reads_on(
    target: &OwnRegion,
    front: &crate::region::PeerRegion,
    granted: u64,
    socket: &Socket,
) -> bool {
    use lease::{ENDED, READING, SLOT};
    target.set_slot(SLOT, READING);
    full_fence();
    if front.slot(SLOT) == ENDED || front.lease_epoch() != granted {
        return false;
    }
    receive(socket);
    true
}

#[test]
fn of_a_connection_under_a_lease_one_side_receives() {
    use lease::{ENDED, RECEIVED, RESTING, SLOT};
    check(|| {
        let (front, target) = (OwnRegion::heap(SPEC), OwnRegion::heap(SPEC));
        let (front_seen, target_seen) = (front.peer_view(), target.peer_view());
        let socket = Socket::default();
        let granted = front.lease_epoch();
        target.set_slot(SLOT, RESTING);
        let others = Arc::clone(&socket);
        let target = thread::spawn(move || {
            for _ in 0..2 {
                if !reads_on(&target, &front_seen, granted, &others) {
                    return;
                }
                target.set_slot(SLOT, RECEIVED);
                target.set_slot(SLOT, RESTING);
            }
        });
        front.set_slot(SLOT, ENDED);
        full_fence();
        // At rest, it is back; with a request that has been received, the client's next bytes are the
        // front's. What is being received is not.
        if matches!(target_seen.slot(SLOT), RESTING | RECEIVED) {
            receive(&socket);
        }
        target.join().unwrap();
    });
}

#[test]
fn a_lease_of_an_epoch_that_is_over_answers_nothing() {
    use lease::{RECEIVED, RESTING, SLOT};
    check(|| {
        let (front, target) = (OwnRegion::heap(SPEC), OwnRegion::heap(SPEC));
        let (front_seen, target_seen) = (front.peer_view(), target.peer_view());
        let socket = Socket::default();
        let granted = front.lease_epoch();
        target.set_slot(SLOT, RESTING);
        let others = Arc::clone(&socket);
        let target = thread::spawn(move || {
            if reads_on(&target, &front_seen, granted, &others) {
                target.set_slot(SLOT, RECEIVED);
            }
        });
        front.end_leases();
        if matches!(target_seen.slot(SLOT), RESTING | RECEIVED) {
            receive(&socket);
        }
        target.join().unwrap();
        assert_ne!(front.lease_epoch(), granted);
    });
}

/// A thread grants by the configuration it has taken, while another puts a new one in force and ends all
/// leases.
#[test]
fn no_lease_outlives_the_configuration_it_was_granted_by() {
    check(|| {
        let front = OwnRegion::heap(SPEC);
        let in_force = Arc::new(AtomicU64::new(1));
        let (granting, revision) = (Arc::clone(&front), Arc::clone(&in_force));
        let granted = thread::spawn(move || {
            let epoch = granting.lease_epoch();
            (revision.load(Ordering::Acquire) == 1).then_some(epoch)
        });
        in_force.store(2, Ordering::Release);
        front.end_leases();
        if let Some(epoch) = granted.join().unwrap() {
            assert_ne!(front.lease_epoch(), epoch, "an old lease stands");
        }
    });
}
