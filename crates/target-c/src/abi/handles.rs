//! The table of what programs hold: numbers outside, values here.
//!
//! A handle is `kind << 60 | generation << 32 | place`. A place is used again with another generation, so that
//! a handle which was closed stands for nothing (until its place was used 2^28 times since).

use std::sync::{Arc, PoisonError, RwLock};

use crate::abi::held_exchange::HeldExchange;
use crate::abi::open_queue::OpenQueue;
use crate::error::Error;

/// What a handle can stand for.
#[derive(Debug, Clone)]
enum Held {
    Queue(Arc<OpenQueue>),
    Exchange(Arc<HeldExchange>),
}

#[derive(Debug)]
struct Place {
    generation: u32,
    held: Option<Held>,
}

#[derive(Debug)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

static TABLE: RwLock<Table> = RwLock::new(Table {
    places: Vec::new(),
    free: Vec::new(),
});

const GENERATIONS: u32 = 1 << 28;
const QUEUE: u64 = 1;
const EXCHANGE: u64 = 2;

/// A handle for an open queue.
pub(super) fn hold_queue(queue: Arc<OpenQueue>) -> u64 {
    hold(QUEUE, Held::Queue(queue))
}

/// A handle for an exchange.
pub(super) fn hold_exchange(exchange: Arc<HeldExchange>) -> u64 {
    hold(EXCHANGE, Held::Exchange(exchange))
}

/// The queue that a handle stands for.
pub(super) fn queue(handle: u64) -> Result<Arc<OpenQueue>, Error> {
    match find(handle) {
        Some(Held::Queue(queue)) => Ok(queue),
        _ => Err(Error::Handle("open queue")),
    }
}

/// The exchange that a handle stands for.
pub(super) fn exchange(handle: u64) -> Result<Arc<HeldExchange>, Error> {
    match find(handle) {
        Some(Held::Exchange(exchange)) => Ok(exchange),
        _ => Err(Error::Handle("exchange")),
    }
}

/// Makes the handle stand for nothing.
pub(super) fn release_exchange(handle: u64) -> Result<Arc<HeldExchange>, Error> {
    let exchange = exchange(handle)?;
    match release(handle) {
        true => Ok(exchange),
        // Another thread was quicker.
        false => Err(Error::Handle("exchange")),
    }
}

/// Makes a queue's handle, and those of its exchanges, stand for nothing; returns the exchanges.
pub(super) fn release_queue(handle: u64) -> Vec<Arc<HeldExchange>> {
    let of_queue: Vec<_> = {
        let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
        let places = (0u32..).zip(&table.places);
        let ours = places.filter_map(|(at, place)| match &place.held {
            Some(Held::Exchange(exchange)) if exchange.queue == handle => {
                Some((name(EXCHANGE, place.generation, at), Arc::clone(exchange)))
            }
            _ => None,
        });
        ours.collect()
    };
    release(handle);
    let released = of_queue.into_iter().filter(|(handle, _)| release(*handle));
    released.map(|(_, exchange)| exchange).collect()
}

fn hold(kind: u64, held: Held) -> u64 {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let at = table.free.pop().unwrap_or_else(|| {
        table.places.push(Place {
            generation: 0,
            held: None,
        });
        table.places.len() as u32 - 1
    });
    let place = &mut table.places[at as usize];
    place.held = Some(held);
    name(kind, place.generation, at)
}

fn release(handle: u64) -> bool {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let (at, generation) = parts(handle);
    let Some(place) = table.places.get_mut(at as usize) else {
        return false;
    };
    if place.generation != generation || place.held.is_none() {
        return false;
    }
    place.generation = (generation + 1) % GENERATIONS;
    let held = place.held.take();
    table.free.push(at);
    drop(table);
    // Outside the lock: it may be the last of it.
    drop(held);
    true
}

fn find(handle: u64) -> Option<Held> {
    let (at, generation) = parts(handle);
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let place = table.places.get(at as usize)?;
    let held = place.held.as_ref()?;
    let kind = match held {
        Held::Queue(_) => QUEUE,
        Held::Exchange(_) => EXCHANGE,
    };
    (handle == name(kind, generation, at) && place.generation == generation).then(|| held.clone())
}

fn name(kind: u64, generation: u32, at: u32) -> u64 {
    kind << 60 | u64::from(generation) << 32 | u64::from(at)
}

fn parts(handle: u64) -> (u32, u32) {
    let generation = (handle >> 32) as u32 & (GENERATIONS - 1);
    (handle as u32, generation)
}
