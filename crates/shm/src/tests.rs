//! Whole channels: two threads at full speed over mapped memory, and a peer that writes garbage.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};

use crate::layout::Field;
use crate::{
    Consumer, OwnRegion, PeerRegion, Producer, PushError, RegionSpec, Sleeper, Waker, drain_event,
    event_descriptor,
};

/// xorshift64*: reproducible, and cheap enough not to slow down what is tested.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn map(own: &OwnRegion) -> Arc<PeerRegion> {
    PeerRegion::map(own.descriptor().try_clone_to_owned().unwrap()).unwrap()
}

fn wait(event: &OwnedFd) {
    poll(&mut [PollFd::new(event, PollFlags::IN)], None).unwrap();
    drain_event(event.as_fd());
}

/// Makes `entry` what the entry of that number has to be.
fn compose(number: u64, entry: &mut Vec<u8>) {
    entry.clear();
    entry.extend_from_slice(&number.to_ne_bytes());
    let length = 8 + (number.wrapping_mul(7919) % 200) as usize;
    entry.resize(length, number as u8);
}

/// Sends `count` entries from one thread to another, each asleep while it has nothing to do, and
/// returns how many wake-ups that took. A lost one would hang.
fn pass(count: u64, spec: RegionSpec) -> u64 {
    let front = OwnRegion::create("front", spec).unwrap();
    let target = OwnRegion::create("target", spec).unwrap();
    let (wake_front, wake_target) = (event_descriptor().unwrap(), event_descriptor().unwrap());
    let mut producer = Producer::new(Arc::clone(&front), map(&target));
    let mut consumer = Consumer::new(Arc::clone(&target), map(&front));
    let mut waker_of_target = Waker::new(map(&target), wake_target.try_clone().unwrap());
    let mut waker_of_front = Waker::new(map(&front), wake_front.try_clone().unwrap());
    let sleeper_of_front = Sleeper::new(Arc::clone(&front));
    let sleeper_of_target = Sleeper::new(Arc::clone(&target));

    let producing = thread::spawn(move || {
        let mut entry = Vec::new();
        let mut wakes = 0;
        for number in 0..count {
            compose(number, &mut entry);
            let (head, body) = entry.split_at(entry.len() / 3);
            while let Err(error) = producer.try_push(&[head, body]) {
                assert_eq!(error, PushError::Full);
                sleeper_of_front.announce();
                let again = producer.try_push(&[head, body]);
                if again.is_err() {
                    wait(&wake_front);
                }
                sleeper_of_front.cancel();
                if again.is_ok() {
                    break;
                }
            }
            wakes += u64::from(waker_of_target.wake_if_asleep().unwrap());
        }
        (producer, wakes)
    });
    let mut expected = Vec::new();
    let mut entry = Vec::new();
    let mut wakes = 0;
    for number in 0..count {
        while !consumer.try_pop(&mut entry).unwrap() {
            sleeper_of_target.announce();
            if consumer.is_empty() {
                wait(&wake_target);
            }
            sleeper_of_target.cancel();
        }
        wakes += u64::from(waker_of_front.wake_if_asleep().unwrap());
        compose(number, &mut expected);
        assert!(entry == expected, "entry {number} came as {entry:?}");
    }
    let (mut producer, wakes_of_producer) = producing.join().unwrap();
    assert!(producer.is_empty() && consumer.is_empty());
    assert_eq!(
        (front.entries_produced(), target.entries_consumed()),
        (count, count)
    );
    wakes + wakes_of_producer
}

#[test]
#[cfg_attr(miri, ignore = "maps memory")]
fn a_million_entries_pass_between_two_threads_with_few_wake_ups() {
    let wakes = pass(
        1_000_000,
        RegionSpec {
            ring_capacity: 64 << 10,
            slots: 1,
        },
    );
    assert!(wakes < 1_000_000, "{wakes} wake-ups");
}

#[test]
#[cfg_attr(miri, ignore = "maps memory")]
fn entries_pass_through_a_ring_that_holds_few() {
    pass(
        100_000,
        RegionSpec {
            ring_capacity: 4 << 10,
            slots: 1,
        },
    );
}

/// An honest side of a channel whose peer is not.
struct Victim {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    producer: Producer,
    consumer: Consumer,
    waker: Waker,
    entry: Vec<u8>,
    pushed: u64,
    popped: u64,
    push_errors: u64,
    pop_errors: u64,
    wakes: u64,
}

impl Victim {
    fn new(own: Arc<OwnRegion>, peer: Arc<PeerRegion>) -> Self {
        Self {
            producer: Producer::new(Arc::clone(&own), Arc::clone(&peer)),
            consumer: Consumer::new(Arc::clone(&own), Arc::clone(&peer)),
            waker: Waker::new(Arc::clone(&peer), event_descriptor().unwrap()),
            own,
            peer,
            entry: Vec::new(),
            pushed: 0,
            popped: 0,
            push_errors: 0,
            pop_errors: 0,
            wakes: 0,
        }
    }

    /// Does everything that can be done with a channel once. A dead end is made anew.
    fn step(&mut self, random: &mut Random) {
        let spec = self.own.spec();
        self.consumer.is_empty();
        let max_entry = self.consumer.max_entry();
        match self.consumer.try_pop(&mut self.entry) {
            Ok(popped) => {
                assert!(self.entry.len() <= max_entry);
                self.popped += u64::from(popped);
            }
            Err(error) => {
                assert!(self.entry.is_empty());
                assert_eq!(self.consumer.try_pop(&mut self.entry), Err(error));
                self.consumer = Consumer::new(Arc::clone(&self.own), Arc::clone(&self.peer));
                self.pop_errors += 1;
            }
        }
        assert!(self.entry.capacity() <= 2 * max_entry);

        self.producer.is_empty();
        let bytes = [7; 100];
        match self
            .producer
            .try_push(&[&bytes[..random.below(100) as usize], &bytes[..3]])
        {
            Ok(()) => self.pushed += 1,
            Err(PushError::Full) => {}
            Err(PushError::TooLarge) => panic!("100 bytes are not too large"),
            Err(PushError::Peer(_)) => {
                self.producer = Producer::new(Arc::clone(&self.own), Arc::clone(&self.peer));
                self.push_errors += 1;
            }
        }
        assert!(self.producer.pending_entries() <= spec.ring_capacity as u64 / 8);

        self.wakes += u64::from(self.waker.wake_if_asleep().unwrap());
        self.peer.slot(random.next() as usize);
        self.peer.slot(random.below(16) as usize);
        self.peer.entries_produced();
        self.peer.entries_consumed();
        assert_eq!(self.peer.spec(), spec);
    }

    fn assert_that_both_good_and_bad_was_seen(&self) {
        for count in [
            self.pushed,
            self.popped,
            self.push_errors,
            self.pop_errors,
            self.wakes,
        ] {
            assert!(count > 0);
        }
    }
}

/// One thing that a hostile peer does to its own region: values near to what the victim expects
/// next get furthest.
fn sabotage(region: &OwnRegion, victim: &OwnRegion, random: &mut Random) {
    let field = |region: &OwnRegion, field| region.field(field).load(Ordering::Relaxed);
    let consumed = field(victim, Field::ConsumerPosition);
    let produced = field(victim, Field::ProducerPosition);
    let any = match random.below(3) {
        0 => random.next(),
        1 => random.below(4096),
        _ => u64::MAX - random.below(64),
    };
    let or_any = |value, random: &mut Random| if random.below(4) == 0 { any } else { value };
    let distance = random.below(200) * 8;
    let (target, value) = match random.below(9) {
        0 => (Field::ProducerPosition, or_any(consumed + distance, random)),
        1 => (
            Field::ConsumerPosition,
            or_any(produced.saturating_sub(distance), random),
        ),
        2 => (Field::SleepSequence, any),
        3 => (Field::EntriesProduced, any),
        4 => (Field::EntriesConsumed, any),
        5 => {
            // The length of the entry that comes next.
            let ring = region.ring();
            let at = (consumed / 8) as usize % ring.len();
            let length = or_any(random.below(1200), random);
            ring[at].store(length, Ordering::Relaxed);
            return;
        }
        6 => {
            region.set_slot(random.below(16) as usize, any as u8);
            return;
        }
        _ => {
            // Any word of the header or of the ring.
            let words = [region.header(), region.ring()];
            let at = random.below((words[0].len() + words[1].len()) as u64) as usize;
            let word = words.into_iter().flatten().nth(at);
            word.expect("it is one of them")
                .store(any, Ordering::Relaxed);
            return;
        }
    };
    region.field(target).store(value, Ordering::Release);
}

const SPEC: RegionSpec = RegionSpec {
    ring_capacity: 4096,
    slots: 16,
};

#[test]
fn garbage_between_two_operations_ends_the_channel_at_most() {
    let steps = if cfg!(miri) { 100 } else { 200_000 };
    for seed in 1..=if cfg!(miri) { 1 } else { 3 } {
        let mut random = Random(seed);
        let (hostile, own) = (OwnRegion::heap(SPEC), OwnRegion::heap(SPEC));
        let mut victim = Victim::new(Arc::clone(&own), hostile.peer_view());
        for _ in 0..steps {
            for _ in 0..random.below(4) {
                sabotage(&hostile, &own, &mut random);
            }
            victim.step(&mut random);
        }
        victim.assert_that_both_good_and_bad_was_seen();
    }
}

#[test]
#[cfg_attr(miri, ignore = "maps memory")]
fn garbage_during_operations_ends_the_channel_at_most() {
    let hostile = OwnRegion::create("hostile", SPEC).unwrap();
    let own = OwnRegion::create("victim", SPEC).unwrap();
    let mut victim = Victim::new(Arc::clone(&own), map(&hostile));
    let done = Arc::new(AtomicBool::new(false));
    let sabotaging = {
        let (hostile, own, done) = (Arc::clone(&hostile), Arc::clone(&own), Arc::clone(&done));
        thread::spawn(move || {
            let mut random = Random(1);
            while !done.load(Ordering::Relaxed) {
                sabotage(&hostile, &own, &mut random);
            }
        })
    };
    let mut random = Random(2);
    for _ in 0..2000 {
        for _ in 0..1000 {
            victim.step(&mut random);
        }
        // The header is garbage by now, or will be while it is looked at.
        if let Ok(again) = PeerRegion::map(hostile.descriptor().try_clone_to_owned().unwrap()) {
            assert_eq!(again.spec(), SPEC);
        }
    }
    done.store(true, Ordering::Relaxed);
    sabotaging.join().unwrap();
    victim.assert_that_both_good_and_bad_was_seen();
}
