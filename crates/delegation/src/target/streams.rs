//! Streams of a channel, the target's end: what exchanges say of their responses and bodies.

use std::cell::Cell;
use std::marker::PhantomData;
use std::task::Waker;

use bytes::Bytes;
use http::HeaderMap;
use ostler_shm::PushError;

use super::{Completions, TargetShared};
use crate::entry::ExchangeKey;
use crate::stream_entry::{self, DATA_FIXED};
use crate::window::SmallEntries;

/// What a stream's response begins with.
#[derive(Debug)]
pub struct HeadToSend<'a> {
    /// The status.
    pub status: u16,
    /// How long the body is, if that is known.
    pub length: Option<u64>,
    /// The fields.
    pub fields: &'a HeaderMap,
    /// The start of the body.
    pub data: &'a Bytes,
    /// It is all of the body.
    pub is_last: bool,
}

thread_local! {
    /// The channel whose front this thread does not wake for now, by its address; 0 is none.
    static HELD_FOR: Cell<usize> = const { Cell::new(0) };
}

/// While this lasts, its thread leaves waking a front to the next flush.
#[derive(Debug)]
pub struct HeldWakes(PhantomData<*const ()>);

impl Drop for HeldWakes {
    fn drop(&mut self) {
        HELD_FOR.set(0);
    }
}

impl TargetShared {
    /// The most of a body that one entry holds.
    pub fn longest_data(&self) -> usize {
        self.longest_entry() - DATA_FIXED
    }

    /// The longest entry that the ring takes.
    pub fn longest_entry(&self) -> usize {
        self.lock().producer.max_entry()
    }

    /// How much of a body goes along with a response's head, whose fields these are.
    pub fn room_beside(&self, fields: &HeaderMap) -> usize {
        let head = stream_entry::head_length(fields);
        self.longest_entry().saturating_sub(head)
    }

    /// Bytes that each ring has room for.
    pub fn ring_capacity(&self) -> usize {
        self.own.spec().ring_capacity
    }

    /// Sends a response's head, final or interim. The front is not woken: see [`wake`](Self::wake).
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] when the ring has no room now: see [`poll_room`](Self::poll_room).
    /// `TooLarge` when no entry holds it.
    pub fn send_head(&self, key: ExchangeKey, head: &HeadToSend<'_>) -> Result<(), PushError> {
        self.lock().push(|scratch| {
            let (status, length) = (head.status, head.length);
            stream_entry::put_head(scratch, key, status, length, head.fields, head.is_last);
            head.data
        })
    }

    /// Sends a piece of a response's body; `is_last`: nothing of it follows. `small` counts this stream's
    /// entries.
    ///
    /// # Errors
    ///
    /// As [`send_head`](Self::send_head).
    pub fn send_data(
        &self,
        key: ExchangeKey,
        data: &[u8],
        is_last: bool,
        small: &mut SmallEntries,
    ) -> Result<(), PushError> {
        let capacity = self.ring_capacity();
        let mut completions = self.lock();
        if small.is_to_wait(data.len(), self.peer.entries_consumed(), capacity) {
            return Err(PushError::Full);
        }
        completions.push(|scratch| {
            stream_entry::put_data(scratch, key, is_last);
            data
        })?;
        small.sent(data.len(), self.own.entries_produced(), capacity);
        Ok(())
    }

    /// Ends a response's body with trailers.
    ///
    /// # Errors
    ///
    /// As [`send_head`](Self::send_head).
    pub fn send_trailers(&self, key: ExchangeKey, trailers: &HeaderMap) -> Result<(), PushError> {
        self.lock().push(|scratch| {
            stream_entry::put_trailers(scratch, key, trailers);
            &[]
        })
    }

    /// Lets the front send so many bytes more of a request's body.
    pub fn give_credit(&self, key: ExchangeKey, bytes: u32) {
        self.say(|scratch| stream_entry::put_credit(scratch, key, bytes));
    }

    /// Says that no more of a request's body is wanted.
    pub fn stop_body(&self, key: ExchangeKey) {
        self.say(|scratch| stream_entry::put_stop(scratch, key));
    }

    /// Wakes the front if it sleeps, unless [`hold_wakes`](Self::hold_wakes) leaves that to the next
    /// [`flush`](Self::flush).
    pub fn wake(&self) {
        self.wake_unless_held(&mut self.lock());
    }

    /// Leaves waking the front to the next [`flush`](Self::flush), of what this thread says while the value
    /// lasts: several entries share one wake-up. Whoever says something on another thread wakes at once, since
    /// a handler may stand still here.
    pub fn hold_wakes(&self) -> HeldWakes {
        HELD_FOR.set(self.address());
        HeldWakes(PhantomData)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(super) fn wake_unless_held(&self, completions: &mut Completions) {
        if HELD_FOR.get() != self.address() {
            completions.wake();
        }
    }

    /// Has `waker` woken by [`flush`](Self::flush) once there is room in the ring. True when there is
    /// some already.
    pub fn poll_room(&self, waker: &Waker) -> bool {
        let mut completions = self.lock();
        if !completions.room.iter().any(|known| known.will_wake(waker)) {
            completions.room.push(waker.clone());
        }
        // The front tells by waking this end, which flushes then.
        let half = completions.producer.pending_entries().div_ceil(2);
        if completions.room_mark.ask(half) {
            return false;
        }
        // Nothing is marked any more, so those that wait beside this one try again too.
        completions.room.retain(|known| !known.will_wake(waker));
        completions.call_for_room();
        true
    }

    /// Says something short that waits for room by itself.
    fn say(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut completions = self.lock();
        let mut entry = std::mem::take(&mut completions.scratch);
        write(&mut entry);
        completions.push_or_defer(&entry);
        completions.owes_wake = true;
        completions.scratch = entry;
        self.wake_unless_held(&mut completions);
    }
}

impl Completions {
    /// Wakes the front if it sleeps.
    pub(super) fn wake(&mut self) {
        self.owes_wake = false;
        // A front that cannot be woken is dead, which the control socket says.
        let _ = self.waker.wake_if_asleep();
    }

    /// Puts what waits for room into the ring. False when there is no room for all of it.
    pub(super) fn send_deferred(&mut self) -> Result<bool, PushError> {
        while let Some(entry) = self.deferred.front() {
            match self.producer.try_push(&[entry]) {
                Ok(()) => self.deferred.pop_front(),
                Err(PushError::Full) => return Ok(false),
                Err(error) => return Err(error),
            };
        }
        Ok(true)
    }

    /// Has all who wait for room try again.
    pub(super) fn call_for_room(&mut self) {
        if !self.room.is_empty() {
            self.room_mark.answered();
            self.room.drain(..).for_each(Waker::wake);
        }
    }

    /// Puts an entry into the ring: what `write` leaves in the buffer, and the data it gives.
    fn push<'d, D>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> &'d D) -> Result<(), PushError>
    where
        D: AsRef<[u8]> + ?Sized + 'd,
    {
        if !self.send_deferred()? {
            return Err(PushError::Full);
        }
        let data = write(&mut self.scratch);
        self.owes_wake = true;
        self.producer.try_push(&[&self.scratch, data.as_ref()])
    }

    /// Puts a short entry into the ring, or behind those that wait for room.
    pub(super) fn push_or_defer(&mut self, entry: &[u8]) {
        let is_next = matches!(self.send_deferred(), Ok(true));
        if !is_next || self.producer.try_push(&[entry]).is_err() {
            self.deferred.push_back(entry.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use ostler_shm::{
        Consumer, ControlSocket, OwnRegion, Producer, RegionSpec, RoomMark, Sleeper,
        event_descriptor,
    };

    use super::*;
    use crate::target::{TargetChannel, Wakes};

    /// What a target says, and the front's end of the ring.
    fn ends() -> (Completions, Consumer) {
        let spec = RegionSpec {
            ring_capacity: 4096,
            slots: 1,
        };
        let (target, front) = (OwnRegion::heap(spec), OwnRegion::heap(spec));
        let peer = front.peer_view();
        let completions = Completions {
            producer: Producer::new(Arc::clone(&target), Arc::clone(&peer)),
            waker: ostler_shm::Waker::new(Arc::clone(&peer), event_descriptor().unwrap()),
            deferred: VecDeque::new(),
            scratch: Vec::new(),
            owes_wake: false,
            room_mark: RoomMark::new(Arc::clone(&target), peer),
            room: Vec::new(),
        };
        (completions, Consumer::new(front, target.peer_view()))
    }

    #[test]
    fn what_other_threads_say_is_not_held_back() {
        let spec = RegionSpec {
            ring_capacity: 4096,
            slots: 1,
        };
        let (front, own) = (OwnRegion::heap(spec), OwnRegion::heap(spec));
        let (ours, theirs) = ControlSocket::pair().unwrap();
        let wakes = Wakes {
            wake_target: event_descriptor().unwrap(),
            wake_front: event_descriptor().unwrap(),
            pace_front: event_descriptor().unwrap(),
        };
        let peer = front.peer_view();
        let channel = TargetChannel::new(ours, (own, None), peer, wakes, 0).unwrap();
        let shared = channel.shared();
        let key = ExchangeKey {
            slot: 0,
            generation: 1,
            exchange: 1,
        };
        let is_woken_by = |say: &dyn Fn()| {
            Sleeper::new(Arc::clone(&front)).announce();
            say();
            !shared.lock().waker.wake_if_asleep().unwrap()
        };
        let held = shared.hold_wakes();
        assert!(!is_woken_by(&|| shared.give_credit(key, 1)));
        let on_another = || {
            std::thread::scope(|scope| {
                scope.spawn(|| shared.give_credit(key, 1));
            });
        };
        assert!(is_woken_by(&on_another));
        drop(held);
        assert!(is_woken_by(&|| shared.give_credit(key, 1)));
        drop(theirs);
    }

    #[test]
    fn what_waited_for_room_goes_first_and_does_not_hold_up_what_comes_behind_it() {
        let (mut completions, mut consumer) = ends();
        let push = |completions: &mut Completions, data: &'static [u8]| {
            completions.push(|scratch| {
                scratch.clear();
                data
            })
        };
        while push(&mut completions, b"before").is_ok() {}
        completions.push_or_defer(b"deferred");
        let full = push(&mut completions, b"behind");
        assert!(matches!(full, Err(PushError::Full)), "{full:?}");

        let mut entry = Vec::new();
        while consumer.try_pop(&mut entry).unwrap() {
            assert_eq!(entry, b"before");
        }
        // Nobody has flushed: whoever sends next does not wait for that.
        push(&mut completions, b"behind").unwrap();
        for expected in [&b"deferred"[..], b"behind"] {
            assert!(consumer.try_pop(&mut entry).unwrap());
            assert_eq!(entry, expected);
        }
    }
}
