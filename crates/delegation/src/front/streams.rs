//! Streams of a channel, the front's end: exchanges that have a slot and no connection.

use std::io;

use http::HeaderMap;
use ostler_shm::{PushError, full_fence};

use super::{FrontChannel, MAX_SLOTS, Slot, SlotState};
use crate::STREAMS_MINOR;
use crate::entry::{ExchangeKey, client_gone};
use crate::error::ChannelError;
use crate::handover::Stage;
use crate::stream_entry::{self, BodyEntry, DATA_FIXED, StreamRequest, TargetEntry, first_window};
use crate::window::SmallEntries;

/// How many bytes of a body each side may send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    /// Of the request's body, before the target gives more.
    may_send: u32,
    /// Of the response's body: the target has been told of so many.
    may_receive: u32,
    small: SmallEntries,
}

impl FrontChannel {
    /// Whether the target takes exchanges whose bytes travel in the rings.
    pub fn speaks_streams(&self) -> bool {
        self.welcome.minor >= STREAMS_MINOR
    }

    /// The most of a body that one entry holds.
    pub fn longest_data(&self) -> usize {
        self.producer.max_entry() - DATA_FIXED
    }

    /// Bytes that each ring has room for.
    pub fn ring_capacity(&self) -> usize {
        self.own.spec().ring_capacity
    }

    /// Puts a request into the ring whose body and response come the same way. The target is not
    /// woken: see [`wake`](Self::wake).
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] when the ring has no room now, `TooLarge` when it never has.
    pub fn open_stream(&mut self, request: &StreamRequest<'_>) -> Result<ExchangeKey, PushError> {
        debug_assert!(self.speaks_streams());
        if !self.flush_deferred()? {
            return Err(PushError::Full);
        }
        let at = match self.free.last() {
            Some(slot) => *slot,
            None if self.slots.len() < MAX_SLOTS => {
                self.slots.push(Slot::FRESH);
                let slot = (self.slots.len() - 1) as u32;
                self.free.push(slot);
                slot
            }
            None => return Err(PushError::Full),
        };
        let slot = &self.slots[at as usize];
        let key = ExchangeKey {
            slot: at,
            generation: slot.next_generation(),
            exchange: slot.exchange.wrapping_add(1),
        };
        request.encode_fixed(key, &mut self.scratch);
        let parts = [
            &self.scratch[..],
            request.request.transforms,
            request.request.directives,
            request.request.head.raw,
            request.request.prefix,
        ];
        // Before the target can see the request: the slot's last exchange may have been withdrawn.
        self.own.set_slot(at as usize, 0);
        self.producer.try_push(&parts)?;
        self.free.pop();
        let prefix = request.request.prefix.len();
        let first = first_window(self.ring_capacity());
        self.slots[at as usize] = Slot {
            generation: key.generation,
            exchange: key.exchange,
            entry: self.own.entries_produced(),
            state: SlotState::InFlight,
            stream: Some(Windows {
                may_send: first.saturating_sub(prefix as u32),
                may_receive: first,
                small: SmallEntries::default(),
            }),
            has_lease: false,
        };
        Ok(key)
    }

    /// How many bytes of a request's body may be sent now; 0 of one that is over.
    pub fn may_send(&self, key: ExchangeKey) -> usize {
        self.stream(key)
            .map_or(0, |windows| windows.may_send as usize)
    }

    /// Sends a piece of a request's body, within what [`may_send`](Self::may_send) and
    /// [`longest_data`](Self::longest_data) say. `is_last`: nothing of it follows.
    ///
    /// # Errors
    ///
    /// As [`open_stream`](Self::open_stream). What is sent of an exchange that is over is lost.
    pub fn send_data(
        &mut self,
        key: ExchangeKey,
        data: &[u8],
        is_last: bool,
    ) -> Result<(), PushError> {
        debug_assert!(self.stream(key).is_none() || data.len() <= self.may_send(key));
        let (taken, capacity) = (self.peer.entries_consumed(), self.ring_capacity());
        let Some(windows) = self.stream_mut(key) else {
            return Ok(());
        };
        if windows.small.is_to_wait(data.len(), taken, capacity) {
            return Err(PushError::Full);
        }
        stream_entry::put_data(&mut self.scratch, key, is_last);
        let scratch = std::mem::take(&mut self.scratch);
        let pushed = self.push_piece(&[&scratch, data]);
        self.scratch = scratch;
        pushed?;
        if let Some(windows) = self.slots[key.slot as usize].stream.as_mut() {
            windows.may_send = windows.may_send.saturating_sub(data.len() as u32);
            let entry = self.own.entries_produced();
            windows.small.sent(data.len(), entry, capacity);
        }
        Ok(())
    }

    /// Ends a request's body with trailers.
    ///
    /// # Errors
    ///
    /// As [`send_data`](Self::send_data); `TooLarge` for trailers that no entry holds.
    pub fn send_trailers(
        &mut self,
        key: ExchangeKey,
        trailers: &HeaderMap,
    ) -> Result<(), PushError> {
        if self.stream(key).is_none() {
            return Ok(());
        }
        stream_entry::put_trailers(&mut self.scratch, key, trailers);
        let scratch = std::mem::take(&mut self.scratch);
        let pushed = self.push_piece(&[&scratch]);
        self.scratch = scratch;
        pushed
    }

    /// Lets the target send so many bytes more of a response's body.
    pub fn give_credit(&mut self, key: ExchangeKey, bytes: u32) {
        let Some(windows) = self.stream_mut(key) else {
            return;
        };
        windows.may_receive = windows.may_receive.saturating_add(bytes);
        let mut entry = Vec::with_capacity(20);
        stream_entry::put_credit(&mut entry, key, bytes);
        self.defer(entry);
    }

    /// Has the target cancel a stream's exchange, which nobody waits for any more.
    pub fn cancel_stream(&mut self, key: ExchangeKey) {
        if self.stream(key).is_some() {
            self.abandon(key);
            self.defer(client_gone(key));
        }
    }

    /// Takes a stream's request back that the target has not taken: see [`withdraw`](Self::withdraw).
    pub fn withdraw_stream(&mut self, key: ExchangeKey) -> bool {
        if self.stream(key).is_none() || !self.try_withdraw(key) {
            return false;
        }
        self.leave_out(key);
        self.abandon(key);
        true
    }

    /// Tells a target that waits for room in its ring that there is some. To be called when what was
    /// there has been taken.
    ///
    /// # Errors
    ///
    /// When the target cannot be told.
    pub fn tell_of_room(&self) -> io::Result<()> {
        full_fence();
        self.room_keeper.check()
    }

    /// Checks an entry of a stream and notes what it changes. `None` where nobody waits for it.
    pub(super) fn take_stream_entry(
        &mut self,
        entry: TargetEntry,
    ) -> Result<Option<TargetEntry>, ChannelError> {
        let key = entry.key();
        let unknown = ChannelError::UnknownExchange {
            slot: key.slot,
            exchange: key.exchange,
        };
        let slot = self.slots.get_mut(key.slot as usize);
        let slot =
            slot.filter(|slot| (slot.generation, slot.exchange) == (key.generation, key.exchange));
        let Some(slot) = slot else {
            return Err(unknown);
        };
        let (Some(windows), SlotState::InFlight | SlotState::Abandoned) =
            (slot.stream.as_mut(), slot.state)
        else {
            return Err(unknown);
        };
        let received = match &entry {
            TargetEntry::Head(_, head) => head.data.len(),
            TargetEntry::Body(_, BodyEntry::Data { data, .. }) => data.len(),
            TargetEntry::Body(_, BodyEntry::Credit(bytes)) => {
                windows.may_send = windows.may_send.saturating_add(*bytes);
                0
            }
            _ => 0,
        };
        let left = u32::try_from(received)
            .ok()
            .and_then(|received| windows.may_receive.checked_sub(received));
        let Some(left) = left else {
            return Err(ChannelError::BeyondCredit {
                slot: key.slot,
                exchange: key.exchange,
            });
        };
        windows.may_receive = left;
        let is_awaited = slot.state == SlotState::InFlight;
        Ok(is_awaited.then_some(entry))
    }

    /// Takes a request back: true where the target has not taken it.
    pub(super) fn try_withdraw(&self, key: ExchangeKey) -> bool {
        self.own.set_slot(
            key.slot as usize,
            crate::handover::withdrawn_byte(key.exchange),
        );
        // Pairs with the fence in `TargetShared::begin`: of the two sides, each storing its byte
        // and then reading the other's, at least one sees both.
        full_fence();
        self.stage(key) == Stage::Queued
    }

    fn push_piece(&mut self, parts: &[&[u8]]) -> Result<(), PushError> {
        if !self.flush_deferred()? {
            return Err(PushError::Full);
        }
        self.producer.try_push(parts)?;
        // It is no request, so it does not wait as one.
        self.untaken.leave_out(self.own.entries_produced());
        Ok(())
    }

    fn stream(&self, key: ExchangeKey) -> Option<&Windows> {
        let slot = self.slots.get(key.slot as usize)?;
        let is_it = (slot.generation, slot.exchange) == (key.generation, key.exchange);
        let windows = slot.stream.as_ref()?;
        (is_it && slot.state == SlotState::InFlight).then_some(windows)
    }

    fn stream_mut(&mut self, key: ExchangeKey) -> Option<&mut Windows> {
        self.stream(key)?;
        self.slots[key.slot as usize].stream.as_mut()
    }
}
