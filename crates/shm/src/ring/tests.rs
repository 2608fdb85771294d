//! One harness for every ring: operations are done to a channel and to a `VecDeque`, and compared.

use std::collections::VecDeque;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::layout::RegionSpec;

struct Channel {
    producer: Producer,
    consumer: Consumer,
    front: Arc<OwnRegion>,
    target: Arc<OwnRegion>,
}

fn channel(ring_capacity: usize) -> Channel {
    let spec = RegionSpec {
        ring_capacity,
        slots: 1,
    };
    let (front, target) = (OwnRegion::heap(spec), OwnRegion::heap(spec));
    Channel {
        producer: Producer::new(Arc::clone(&front), target.peer_view()),
        consumer: Consumer::new(Arc::clone(&target), front.peer_view()),
        front,
        target,
    }
}

#[derive(Debug, Clone)]
enum Operation {
    /// The lengths of the parts.
    Push(Vec<usize>),
    Pop,
    /// Both ends are made anew, as a process that attaches to an old region would.
    Reopen,
}

fn operations(ring_capacity: usize) -> impl Strategy<Value = Vec<Operation>> {
    let small = prop::collection::vec(0..20_usize, 0..5);
    let any = prop::collection::vec(0..=ring_capacity / 8, 0..4);
    let exact = Just(vec![ring_capacity / 4]);
    let one_more = Just(vec![ring_capacity / 4, 1]);
    let operation = prop_oneof![
        6 => small.prop_map(Operation::Push),
        4 => any.prop_map(Operation::Push),
        1 => exact.prop_map(Operation::Push),
        1 => one_more.prop_map(Operation::Push),
        10 => Just(Operation::Pop),
        1 => Just(Operation::Reopen),
    ];
    prop::collection::vec(operation, 0..200)
}

fn run(ring_capacity: usize, operations: &[Operation]) {
    let mut channel = channel(ring_capacity);
    let mut model: VecDeque<Vec<u8>> = VecDeque::new();
    let mut bytes = (0..=255_u8).cycle();
    let (mut produced, mut consumed) = (0_u64, 0_u64);
    let mut used = 0;
    let mut out = vec![1, 2, 3];
    for operation in operations {
        match operation {
            Operation::Push(lengths) => {
                let parts: Vec<Vec<u8>> = lengths
                    .iter()
                    .map(|length| bytes.by_ref().take(*length).collect())
                    .collect();
                let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                let entry = parts.concat();
                let size = 8 + entry.len().next_multiple_of(8);
                let expected = if entry.len() > ring_capacity / 4 {
                    Err(PushError::TooLarge)
                } else if used + size > ring_capacity {
                    Err(PushError::Full)
                } else {
                    used += size;
                    produced += 1;
                    model.push_back(entry);
                    Ok(())
                };
                assert_eq!(channel.producer.try_push(&slices), expected);
            }
            Operation::Pop => {
                let expected = model.pop_front();
                assert_eq!(channel.consumer.try_pop(&mut out), Ok(expected.is_some()));
                if let Some(expected) = &expected {
                    used -= 8 + expected.len().next_multiple_of(8);
                    consumed += 1;
                }
                assert_eq!(out, expected.unwrap_or_default());
            }
            Operation::Reopen => {
                let Channel {
                    producer,
                    consumer,
                    front,
                    target,
                } = &mut channel;
                *producer = Producer::new(Arc::clone(front), target.peer_view());
                *consumer = Consumer::new(Arc::clone(target), front.peer_view());
            }
        }
        assert_eq!(channel.consumer.is_empty(), model.is_empty());
        assert_eq!(channel.producer.is_empty(), model.is_empty());
        assert_eq!(channel.producer.pending_entries(), model.len() as u64);
        assert_eq!(channel.front.entries_produced(), produced);
        assert_eq!(channel.front.peer_view().entries_produced(), produced);
        assert_eq!(channel.target.entries_consumed(), consumed);
        assert_eq!(channel.target.peer_view().entries_consumed(), consumed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_small_ring_does_what_a_queue_does(operations in operations(256)) {
        run(256, &operations);
    }

    #[test]
    #[cfg_attr(miri, ignore = "slow, and no different from the small ring there")]
    fn a_large_ring_does_what_a_queue_does(operations in operations(4096)) {
        run(4096, &operations);
    }
}

#[test]
fn entries_of_every_length_pass_at_every_place_in_the_ring() {
    let Channel {
        mut producer,
        mut consumer,
        ..
    } = channel(128);
    let bytes: Vec<u8> = (1..=32).collect();
    let mut out = Vec::new();
    for _ in 0..if cfg!(miri) { 2 } else { 16 } {
        for length in 0..=32 {
            producer.try_push(&[&bytes[..length]]).unwrap();
            assert_eq!(consumer.try_pop(&mut out), Ok(true));
            assert_eq!(out, bytes[..length]);
        }
        // One word further, so that the next round starts elsewhere.
        producer.try_push(&[]).unwrap();
        assert_eq!(consumer.try_pop(&mut out), Ok(true));
        assert_eq!(out, []);
    }
}

/// For Miri; `tests` at the crate's root does the same over mapped memory.
#[test]
fn entries_pass_between_threads() {
    const COUNT: u8 = 100;
    let Channel {
        mut producer,
        mut consumer,
        ..
    } = channel(256);
    let producing = thread::spawn(move || {
        for number in 0..COUNT {
            while let Err(error) = producer.try_push(&[&[number; 11], &[number; 22]]) {
                assert_eq!(error, PushError::Full);
                thread::yield_now();
            }
        }
    });
    let mut out = Vec::new();
    for number in 0..COUNT {
        while !consumer.try_pop(&mut out).unwrap() {
            thread::yield_now();
        }
        assert_eq!(out, [number; 33]);
    }
    producing.join().unwrap();
}

#[test]
fn a_ring_is_filled_to_its_last_byte() {
    let Channel {
        mut producer,
        mut consumer,
        ..
    } = channel(128);
    for _ in 0..4 {
        producer.try_push(&[&[1; 24]]).unwrap();
    }
    assert_eq!(producer.try_push(&[]), Err(PushError::Full));
    assert_eq!(producer.pending_entries(), 4);
    let mut out = Vec::new();
    assert_eq!(consumer.try_pop(&mut out), Ok(true));
    producer.try_push(&[&[2; 20], &[3; 4]]).unwrap();
    assert_eq!(producer.try_push(&[]), Err(PushError::Full));
}

#[test]
fn parts_whose_lengths_overflow_are_too_large() {
    let Channel { mut producer, .. } = channel(64);
    assert_eq!(producer.max_entry(), 16);
    assert_eq!(producer.try_push(&[&[0; 17]]), Err(PushError::TooLarge));
    let long = [&[0; 16][..]; 1000];
    assert_eq!(producer.try_push(&long), Err(PushError::TooLarge));
    producer.try_push(&[&[0; 16]]).unwrap();
}

#[test]
fn popping_keeps_the_buffer_s_memory() {
    let Channel {
        mut producer,
        mut consumer,
        ..
    } = channel(256);
    let mut out = Vec::with_capacity(consumer.max_entry());
    let memory = out.as_ptr();
    for length in 0..=consumer.max_entry() {
        producer.try_push(&[&[7; 64][..length]]).unwrap();
        assert_eq!(consumer.try_pop(&mut out), Ok(true));
        assert_eq!((out.as_ptr(), out.len()), (memory, length));
    }
}

/// Stores into the front's region what only a broken front would.
fn forge(channel: &Channel, field: Field, value: u64) {
    channel.front.field(field).store(value, Ordering::Relaxed);
}

#[test]
fn a_producer_position_that_cannot_be_ends_the_channel() {
    for position in [8, 4, 12, 16 + 64 + 8, u64::MAX, u64::MAX - 7, 1 << 63] {
        let mut channel = channel(64);
        let mut out = Vec::new();
        channel.producer.try_push(&[&[1; 8]]).unwrap();
        assert_eq!(channel.consumer.try_pop(&mut out), Ok(true));
        forge(&channel, Field::ProducerPosition, position);
        let error = RingError::ProducerPosition {
            position,
            consumed: 16,
        };
        assert!(
            !channel.consumer.is_empty(),
            "who waits for entries would never see the error"
        );
        assert_eq!(channel.consumer.try_pop(&mut out), Err(error));
        assert_eq!(out, []);
        // It stays dead when the peer mends its ways.
        forge(&channel, Field::ProducerPosition, 16);
        assert_eq!(channel.consumer.try_pop(&mut out), Err(error));
    }
}

#[test]
fn an_entry_length_that_cannot_be_ends_the_channel() {
    for length in [
        9,
        16,
        17,
        64,
        u64::from(u32::MAX),
        1 << 32,
        1 << 63,
        u64::MAX,
        u64::MAX - 7,
    ] {
        let mut channel = channel(64);
        channel.producer.try_push(&[&[1; 8]]).unwrap();
        channel.front.ring()[0].store(length, Ordering::Relaxed);
        let mut out = Vec::new();
        let error = Err(RingError::EntryLength { length });
        assert_eq!(channel.consumer.try_pop(&mut out), error);
        channel.front.ring()[0].store(8, Ordering::Relaxed);
        assert_eq!(channel.consumer.try_pop(&mut out), error);
        assert_eq!(out.capacity(), 0);
        assert_eq!(channel.target.entries_consumed(), 0);
    }
}

#[test]
fn a_consumer_position_that_cannot_be_ends_the_channel() {
    for position in [8, 20, 72, u64::MAX, 1 << 63] {
        let mut channel = channel(64);
        let mut out = Vec::new();
        channel.producer.try_push(&[&[1; 8]]).unwrap();
        assert_eq!(channel.consumer.try_pop(&mut out), Ok(true));
        assert!(channel.producer.is_empty());
        for _ in 0..3 {
            channel.producer.try_push(&[&[1; 8]]).unwrap();
        }
        channel
            .target
            .field(Field::ConsumerPosition)
            .store(position, Ordering::Relaxed);
        let error = RingError::ConsumerPosition {
            position,
            consumed: 16,
            produced: 64,
        };
        assert!(!channel.producer.is_empty());
        assert_eq!(
            channel.producer.try_push(&[&[1; 16]]),
            Err(PushError::Peer(error))
        );
        channel
            .target
            .field(Field::ConsumerPosition)
            .store(64, Ordering::Relaxed);
        assert_eq!(
            channel.producer.try_push(&[&[1; 16]]),
            Err(PushError::Peer(error))
        );
    }
}

#[test]
fn pending_entries_stay_within_what_a_ring_can_hold() {
    let mut channel = channel(64);
    channel.producer.try_push(&[]).unwrap();
    channel
        .target
        .field(Field::EntriesConsumed)
        .store(u64::MAX, Ordering::Relaxed);
    assert_eq!(channel.producer.pending_entries(), 0);
    channel
        .front
        .field(Field::EntriesProduced)
        .store(1 << 40, Ordering::Relaxed);
    channel
        .target
        .field(Field::EntriesConsumed)
        .store(0, Ordering::Relaxed);
    let producer = Producer::new(Arc::clone(&channel.front), channel.target.peer_view());
    assert_eq!(producer.pending_entries(), 8);
}
