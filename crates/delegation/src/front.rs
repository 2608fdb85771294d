//! The front's end of a channel to one target instance.
//!
//! A channel is opened in two steps, since the target may take its time: [`Opening`] has sent its
//! hello, [`FrontChannel`] has been welcomed.

mod leases;
mod streams;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use ostler_shm::{
    Consumer, ControlSocket, OwnRegion, PaceKeeper, Pacer, PeerJournal, PeerRegion, Producer,
    PushError, ReceiveError, RegionSpec, Sleeper, Waker, event_descriptor,
};

use crate::capacity::{Capacity, InFlight};
use crate::control::{ConnectionFacts, FrontMessage, TargetMessage, TlsFacts};
use crate::entry::{self, Completed, ExchangeKey, RequestEntry};
use crate::error::{ChannelError, OpenConnectionError, WireError, is_busy, is_too_many_in_flight};
use crate::handover::{Disposition, Stage, is_body_awaited, too_slow_byte};
use crate::lease::Lease;
use crate::stream_entry::TargetEntry;
use crate::untaken::Untaken;
use crate::{FORWARDED_CLIENTS_MINOR, LEASES_MINOR, PROTOCOL_MINOR, RESPONSE_TRANSFORMS_MINOR};
use streams::Windows;

pub use leases::LeaseEpoch;

/// Connections one channel can hold, unless the target holds fewer.
pub const MAX_SLOTS: usize = 64 * 1024;

/// A channel whose hello is sent and not yet answered.
#[derive(Debug)]
pub struct Opening {
    control: ControlSocket,
    own: Arc<OwnRegion>,
    wake_target: OwnedFd,
    wake_front: OwnedFd,
    pace_front: OwnedFd,
}

/// What a target says of itself when it opens a channel.
#[derive(Debug, Clone)]
pub struct Welcome {
    /// The channel's minor version.
    pub minor: u8,
    /// Its process id, as it says.
    pub pid: u32,
    /// Most connections it will hold.
    pub max_connections: u32,
    /// Its text for people.
    pub label: String,
    /// The URL prefixes it registered.
    pub url_prefixes: Vec<String>,
}

impl Opening {
    /// Says hello on a socket connected to a target; `ring_capacity` is each ring's bytes.
    ///
    /// # Errors
    ///
    /// When memory or descriptors are short, or the socket does not take the message.
    pub fn start(control: ControlSocket, ring_capacity: usize) -> Result<Self, ChannelError> {
        let spec = RegionSpec {
            ring_capacity,
            slots: MAX_SLOTS,
        };
        let own = OwnRegion::create("ostler-front", spec)?;
        let wake_target = event_descriptor()?;
        let wake_front = event_descriptor()?;
        let pace_front = event_descriptor()?;
        let hello = FrontMessage::HelloRings {
            minor: PROTOCOL_MINOR,
            pid: std::process::id(),
            spec,
        };
        let descriptors = [
            own.descriptor(),
            wake_target.as_fd(),
            wake_front.as_fd(),
            pace_front.as_fd(),
        ];
        control.send(&hello.encode(), &descriptors)?;
        Ok(Self {
            control,
            own,
            wake_target,
            wake_front,
            pace_front,
        })
    }

    /// The socket to wait on.
    pub fn control(&self) -> &ControlSocket {
        &self.control
    }

    /// The channel once the target has welcomed it; gives itself back while it has not.
    ///
    /// # Errors
    ///
    /// When the target declines, misbehaves or goes away.
    pub fn try_finish(self) -> Result<Result<FrontChannel, Self>, ChannelError> {
        let mut packet = Vec::new();
        let received = match self.control.receive(&mut packet) {
            Ok(received) => received,
            Err(ReceiveError::WouldBlock) => return Ok(Err(self)),
            Err(error) => return Err(error.into()),
        };
        let welcome = match TargetMessage::decode(&packet)? {
            TargetMessage::Welcome { minor, .. } if minor > PROTOCOL_MINOR => {
                return Err(WireError::Invalid("the minor version of a welcome").into());
            }
            TargetMessage::Welcome {
                minor,
                pid,
                max_connections,
                label,
                url_prefixes,
                ..
            } => Welcome {
                minor,
                pid,
                max_connections,
                label,
                url_prefixes,
            },
            TargetMessage::Refused { reason } => return Err(ChannelError::Refused(reason)),
            _ => return Err(WireError::Invalid("the first message of a target").into()),
        };
        let mut descriptors = received.descriptors.into_iter();
        let region = descriptors.next();
        let region = region.ok_or(WireError::MissingDescriptor("a welcome"))?;
        let peer = PeerRegion::map(region)?;
        let journal = match descriptors.next() {
            Some(journal) if welcome.minor >= LEASES_MINOR => Some(PeerJournal::map(journal)?),
            _ => None,
        };
        if peer.spec().slots < MAX_SLOTS {
            return Err(WireError::Invalid("the slot count of a target's region").into());
        }
        let wake_target = self.wake_target.try_clone()?;
        Ok(Ok(FrontChannel {
            room_keeper: PaceKeeper::new(Arc::clone(&self.own), Arc::clone(&peer), wake_target),
            producer: Producer::new(Arc::clone(&self.own), Arc::clone(&peer)),
            consumer: Consumer::new(Arc::clone(&self.own), Arc::clone(&peer)),
            waker: Waker::new(Arc::clone(&peer), self.wake_target),
            sleeper: Sleeper::new(Arc::clone(&self.own)),
            pacer: Pacer::new(Arc::clone(&self.own), Arc::clone(&peer), self.pace_front),
            control: self.control,
            capacity: Arc::default(),
            in_flight: InFlight::default(),
            untaken: Arc::new(Untaken::new(Arc::clone(&self.own), Arc::clone(&peer))),
            own: self.own,
            peer,
            journal,
            wake_front: self.wake_front,
            welcome,
            slots: Vec::new(),
            free: Vec::new(),
            deferred: VecDeque::new(),
            scratch: Vec::new(),
        }))
    }
}

/// A connection's place in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotKey {
    /// Index of the slot.
    pub slot: u32,
    /// Which use of it.
    pub generation: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Never 0 once the slot has been used.
    generation: u32,
    exchange: u32,
    /// Which entry of the ring the last request is.
    entry: u64,
    state: SlotState,
    /// What may be sent of a stream's bodies; `None` of a connection.
    stream: Option<Windows>,
    /// Its exchange has been given a lease.
    has_lease: bool,
}

impl Slot {
    const FRESH: Self = Self {
        generation: 0,
        exchange: 0,
        entry: 0,
        state: SlotState::Free,
        stream: None,
        has_lease: false,
    };

    /// Whether the target holds a client's socket by it.
    fn holds_connection(&self) -> bool {
        self.state != SlotState::Free && self.stream.is_none()
    }

    /// The generation of the slot's next use: 0 stands for none, so it is left out.
    fn next_generation(&self) -> u32 {
        match self.generation.wrapping_add(1) {
            0 => 1,
            next => next,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    Free,
    Idle,
    InFlight,
    /// The front has let go of the connection; the slot is free when the target has, too.
    Abandoned,
}

/// The front's end of an open channel. Every call returns at once.
#[derive(Debug)]
pub struct FrontChannel {
    control: ControlSocket,
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    /// What the target receives under leases; `None` of one that takes none.
    journal: Option<PeerJournal>,
    producer: Producer,
    consumer: Consumer,
    waker: Waker,
    sleeper: Sleeper,
    pacer: Pacer,
    /// Tells the target of room in its ring, if it waits for some.
    room_keeper: PaceKeeper,
    wake_front: OwnedFd,
    welcome: Welcome,
    /// Connections that all channels to the target hold: no more than its welcome says.
    capacity: Arc<Capacity>,
    in_flight: InFlight,
    untaken: Arc<Untaken>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Short entries the ring had no room for.
    deferred: VecDeque<Vec<u8>>,
    scratch: Vec<u8>,
}

impl FrontChannel {
    /// What the target says of itself.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The control socket: readable when the target says something or dies.
    pub fn control(&self) -> &ControlSocket {
        &self.control
    }

    /// The eventfd by which the target wakes the front.
    pub fn wake_descriptor(&self) -> BorrowedFd<'_> {
        self.wake_front.as_fd()
    }

    /// Whether the target's library does what a request entry's response transforms say.
    pub fn transforms_responses(&self) -> bool {
        self.welcome.minor >= RESPONSE_TRANSFORMS_MINOR
    }

    /// Whether a request may say that its client is another than its connection's.
    pub fn tells_forwarded_clients(&self) -> bool {
        self.welcome.minor >= FORWARDED_CLIENTS_MINOR
    }

    /// Entries in the ring that the target has not taken.
    pub fn waiting(&self) -> u64 {
        self.producer.pending_entries()
    }

    /// What other threads may know of this channel.
    pub fn untaken(&self) -> &Arc<Untaken> {
        &self.untaken
    }

    /// The eventfd by which the target tells what [`ask_for_room`](Self::ask_for_room) and
    /// [`ask_for_taking`](Self::ask_for_taking) ask for.
    pub fn room_descriptor(&self) -> BorrowedFd<'_> {
        self.pacer.descriptor()
    }

    /// Asks to be told once the target has taken half of what is in the ring: there is room then, and
    /// for more than one. False when it has taken that much meanwhile.
    pub fn ask_for_room(&mut self) -> bool {
        self.pacer.ask(self.waiting().div_ceil(2))
    }

    /// Asks to be told once the target takes anything. False when it has done so meanwhile.
    pub fn ask_for_taking(&mut self) -> bool {
        self.pacer.ask(1)
    }

    /// What was asked for has been told of.
    pub fn told_of_room(&mut self) {
        self.pacer.answered();
    }

    /// Entries the target has taken since the channel opened: whether it moves at all.
    pub fn taken(&self) -> u64 {
        self.peer.entries_consumed()
    }

    /// The next control message.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Closed`] when the target is gone; `None` when it has nothing to say.
    pub fn poll_control(&mut self) -> Result<Option<TargetMessage>, ChannelError> {
        self.scratch.clear();
        match self.control.receive(&mut self.scratch) {
            Ok(_) => {}
            Err(ReceiveError::WouldBlock) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let message = TargetMessage::decode(&self.scratch)?;
        if let TargetMessage::Prefixes { url_prefixes } = &message {
            self.welcome.url_prefixes.clone_from(url_prefixes);
        }
        Ok(Some(message))
    }

    /// Hands the target a client's socket, once a connection.
    ///
    /// # Errors
    ///
    /// [`OpenConnectionError::TooMany`] and [`Busy`](OpenConnectionError::Busy) pass; a channel
    /// error means the channel is dead.
    pub fn open_connection(
        &mut self,
        client: BorrowedFd<'_>,
        facts: ConnectionFacts,
        tls: Option<TlsFacts>,
    ) -> Result<SlotKey, OpenConnectionError> {
        if !self.has_room_for_connection() {
            return Err(OpenConnectionError::TooMany);
        }
        if !self.in_flight.has_room(self.peer.entries_consumed()) {
            return Err(OpenConnectionError::NotReceived);
        }
        let slot = match self.free.last() {
            Some(slot) => *slot,
            None if self.slots.len() < MAX_SLOTS => {
                self.slots.push(Slot::FRESH);
                let slot = (self.slots.len() - 1) as u32;
                self.free.push(slot);
                slot
            }
            None => return Err(OpenConnectionError::TooMany),
        };
        let entry = &mut self.slots[slot as usize];
        let generation = entry.next_generation();
        let message = FrontMessage::Connection {
            slot,
            generation,
            facts,
            tls,
        };
        match self.control.send(&message.encode(), &[client]) {
            Ok(()) => {}
            Err(error) if is_too_many_in_flight(&error) => {
                return Err(OpenConnectionError::TooManyInFlight);
            }
            Err(error) if is_busy(&error) => return Err(OpenConnectionError::Busy),
            Err(error) => return Err(ChannelError::Io(error).into()),
        }
        self.in_flight.sent(self.own.entries_produced());
        self.capacity.take();
        self.free.pop();
        // Exchanges count on: the target's state byte still has the tag of the slot's last one, and
        // must not be taken for the state of the next.
        entry.generation = generation;
        entry.state = SlotState::Idle;
        entry.stream = None;
        // The slot's last exchange may have been withdrawn: forget it before its number returns.
        self.own.set_slot(slot as usize, 0);
        Ok(SlotKey { slot, generation })
    }

    /// Whether the target may hold another connection.
    pub fn has_room_for_connection(&self) -> bool {
        let is_slot_free = !self.free.is_empty() || self.slots.len() < MAX_SLOTS;
        is_slot_free && self.capacity.held() < self.welcome.max_connections as usize
    }

    /// Counts connections together with the other channels to the same target.
    pub fn share_capacity(&mut self, capacity: Arc<Capacity>) {
        let held = self.slots.iter().filter(|slot| slot.holds_connection());
        held.for_each(|_| {
            self.capacity.give_back();
            capacity.take();
        });
        self.capacity = capacity;
    }

    /// Whether the target holds a connection by this key.
    pub fn holds(&self, connection: SlotKey) -> bool {
        self.slots
            .get(connection.slot as usize)
            .is_some_and(|slot| {
                let is_held = matches!(slot.state, SlotState::Idle | SlotState::InFlight);
                is_held && slot.generation == connection.generation
            })
    }

    /// Lets go of connections that have been in no exchange for longest: an eighth of those that are in
    /// none, so that looking for them is worth it. Their clients stay, and their sockets are handed over
    /// anew with their next requests. Gives their number.
    pub fn release_idle(&mut self) -> usize {
        const MOST: usize = 64;
        let slots = self.slots.iter().enumerate();
        let idle = slots.filter(|(_, slot)| slot.state == SlotState::Idle);
        // A later exchange has a later entry.
        let mut idle: Vec<_> = idle
            .map(|(at, slot)| (slot.entry, at as u32, slot.generation))
            .collect();
        let released = match idle.len() {
            0 => return 0,
            idle => (idle / 8).clamp(1, MOST),
        };
        idle.select_nth_unstable(released - 1);
        for (_, slot, generation) in &idle[..released] {
            self.close_connection(SlotKey {
                slot: *slot,
                generation: *generation,
            });
        }
        released
    }

    /// Puts a request into the ring, and what it grants. The target is not woken: see
    /// [`wake`](Self::wake).
    ///
    /// # Errors
    ///
    /// [`PushError::Full`] when the ring has no room now, `TooLarge` when it never has.
    pub fn delegate(
        &mut self,
        connection: SlotKey,
        request: &RequestEntry<'_>,
        lease: Option<&Lease>,
    ) -> Result<ExchangeKey, PushError> {
        if !self.flush_deferred()? {
            return Err(PushError::Full);
        }
        debug_assert!(request.transforms.is_empty() || self.transforms_responses());
        debug_assert!(request.forwarded.is_none() || self.tells_forwarded_clients());
        let slot = &mut self.slots[connection.slot as usize];
        debug_assert_eq!(
            (slot.generation, slot.state),
            (connection.generation, SlotState::Idle)
        );
        let exchange = slot.exchange.wrapping_add(1);
        let key = ExchangeKey {
            slot: connection.slot,
            generation: connection.generation,
            exchange,
        };
        match lease {
            None => request.encode_fixed(key, &mut self.scratch),
            Some(lease) => {
                // An earlier exchange's of the same tag, which would end the lease.
                self.own.set_slot(connection.slot as usize, 0);
                request.encode_leased(key, lease, &mut self.scratch);
            }
        }
        let parts = [
            &self.scratch[..],
            request.transforms,
            request.directives,
            request.head.raw,
            request.prefix,
        ];
        self.producer.try_push(&parts)?;
        slot.exchange = exchange;
        slot.entry = self.own.entries_produced();
        slot.state = SlotState::InFlight;
        slot.has_lease = lease.is_some();
        Ok(key)
    }

    /// Wakes the target if it sleeps; true when that took a system call.
    ///
    /// # Errors
    ///
    /// When the eventfd cannot be written.
    pub fn wake(&mut self) -> io::Result<bool> {
        self.waker.wake_if_asleep()
    }

    /// Sleeps until the target has taken three quarters of the requests that wait in the ring, if that is enough
    /// to sleep for and at most `longest`: what arrives meanwhile shares one wake-up. True when it slept.
    /// Pieces of bodies are no reason to: whoever sends them is to be read from.
    pub fn pace(&self, longest: Duration) -> bool {
        /// Fewer are gone before the sleep has paid for itself.
        const LEAST: u64 = 4;
        /// More would let the target run dry before what arrives meanwhile is in the ring.
        const MOST: u64 = 48;
        // Nearly always that many entries are that many requests, and asking costs less.
        if self.waiting() < LEAST {
            return false;
        }
        match self.untaken.requests() {
            waiting if waiting < LEAST => false,
            waiting => self.pacer.wait((waiting * 3 / 4).min(MOST), longest),
        }
    }

    /// How far the target says it is.
    pub fn stage(&self, key: ExchangeKey) -> Stage {
        match Stage::from_byte(self.peer.slot(key.slot as usize), key.exchange) {
            // Of one that was not let read on, it is no telling what has been done to the connection.
            Stage::Resting | Stage::Reading if !self.is_leased(key) => Stage::Responding,
            stage => stage,
        }
    }

    /// Whether the target says that it waits for bytes of the body.
    pub fn awaits_body(&self, key: ExchangeKey) -> bool {
        is_body_awaited(self.peer.slot(key.slot as usize), key.exchange)
    }

    /// Says that the body comes too slowly. Then the client's stream is to be ended, which wakes the
    /// target's read.
    pub fn body_too_slow(&self, key: ExchangeKey) {
        self.own
            .set_slot(key.slot as usize, too_slow_byte(key.exchange));
    }

    /// Takes a request back that the target has not taken. True: it is back for certain, and the
    /// connection's slot is spent. False: the target has it, or is about to return it; a
    /// [`Completed`] comes.
    pub fn withdraw(&mut self, key: ExchangeKey) -> bool {
        if !self.try_withdraw(key) {
            return false;
        }
        self.leave_out(key);
        self.abandon(key);
        self.defer(entry::closed(key.slot, key.generation));
        true
    }

    /// No longer counts a request among those that wait, wherever it is: its client seems to be gone.
    pub fn leave_out(&self, key: ExchangeKey) {
        if let Some(slot) = self.slots.get(key.slot as usize)
            && slot.exchange == key.exchange
        {
            self.untaken.leave_out(slot.entry);
        }
    }

    /// Which entry of the ring a request is: those with lower numbers lie before it.
    pub fn entry_number(&self, key: ExchangeKey) -> u64 {
        let slot = self.slots.get(key.slot as usize);
        slot.map_or(0, |slot| slot.entry)
    }

    /// Tells the target that an exchange's client is gone.
    pub fn client_gone(&mut self, key: ExchangeKey) {
        self.defer(entry::client_gone(key));
    }

    /// Lets go of every connection that is in no exchange.
    pub fn close_idle_connections(&mut self) {
        for at in 0..self.slots.len() {
            let slot = self.slots[at];
            if slot.state == SlotState::Idle {
                self.close_connection(SlotKey {
                    slot: at as u32,
                    generation: slot.generation,
                });
            }
        }
    }

    /// Lets go of a connection. If an exchange of it is in flight its completion still comes.
    pub fn close_connection(&mut self, connection: SlotKey) {
        let Some(slot) = self.slots.get_mut(connection.slot as usize) else {
            return;
        };
        if slot.generation != connection.generation {
            return;
        }
        match slot.state {
            SlotState::Free | SlotState::Abandoned => return,
            SlotState::Idle => {
                slot.state = SlotState::Free;
                self.free.push(connection.slot);
                self.capacity.give_back();
            }
            SlotState::InFlight => slot.state = SlotState::Abandoned,
        }
        self.defer(entry::closed(connection.slot, connection.generation));
    }

    /// The next thing that the target says of an exchange.
    ///
    /// # Errors
    ///
    /// When the ring or an entry is not what a correct target writes: the channel is dead.
    pub fn poll_entry(&mut self) -> Result<Option<TargetEntry>, ChannelError> {
        loop {
            let mut entry = std::mem::take(&mut self.scratch);
            let popped = self.consumer.try_pop(&mut entry);
            let decoded = match popped {
                Ok(true) => TargetEntry::decode(&mut entry).map(Some),
                Ok(false) => Ok(None),
                Err(error) => return Err(error.into()),
            };
            self.scratch = entry;
            match decoded? {
                None => return Ok(None),
                Some(TargetEntry::Completed(completed)) => {
                    self.take_completed(&completed)?;
                    return Ok(Some(TargetEntry::Completed(completed)));
                }
                Some(TargetEntry::Told(told)) => {
                    self.check_told(&told)?;
                    return Ok(Some(TargetEntry::Told(told)));
                }
                // Of one that nobody waits for the end is still to come.
                Some(entry) => {
                    if let Some(entry) = self.take_stream_entry(entry)? {
                        return Ok(Some(entry));
                    }
                }
            }
        }
    }

    /// Notes what a completion makes of its slot.
    fn take_completed(&mut self, completed: &Completed) -> Result<(), ChannelError> {
        let key = completed.key;
        let unknown = ChannelError::UnknownExchange {
            slot: key.slot,
            exchange: key.exchange,
        };
        let Some(slot) = self.slots.get_mut(key.slot as usize) else {
            return Err(unknown);
        };
        if (slot.generation, slot.exchange) != (key.generation, key.exchange) {
            return Err(unknown);
        }
        match (slot.state, completed.disposition) {
            (SlotState::InFlight, Disposition::Keep | Disposition::Returned)
                if slot.stream.is_none() =>
            {
                slot.state = SlotState::Idle;
            }
            (SlotState::InFlight | SlotState::Abandoned, _) => {
                if slot.holds_connection() {
                    self.capacity.give_back();
                }
                slot.state = SlotState::Free;
                self.free.push(key.slot);
            }
            (SlotState::Free | SlotState::Idle, _) => return Err(unknown),
        }
        Ok(())
    }

    /// Asks to be woken by the next completion. Look once more before sleeping.
    pub fn ask_for_wake(&self) {
        self.sleeper.announce();
    }

    /// No longer needs to be woken.
    pub fn cancel_wake(&self) {
        self.sleeper.cancel();
    }

    /// Sends no further request.
    pub fn goodbye(&self) {
        // A target that does not read it sees the socket close soon after.
        let _ = self.control.send(&FrontMessage::Goodbye.encode(), &[]);
    }

    /// Sends what the ring had no room for; false while it still has none.
    ///
    /// # Errors
    ///
    /// When the ring is inconsistent: the channel is dead.
    pub fn flush_deferred(&mut self) -> Result<bool, PushError> {
        while let Some(entry) = self.deferred.front() {
            match self.producer.try_push(&[entry]) {
                Ok(()) => self.deferred.pop_front(),
                Err(PushError::Full) => return Ok(false),
                Err(error) => return Err(error),
            };
            // It is no request, so it does not wait as one.
            self.untaken.leave_out(self.own.entries_produced());
        }
        Ok(true)
    }

    fn defer(&mut self, entry: Vec<u8>) {
        self.deferred.push_back(entry);
        // A ring found inconsistent here is found so again by the next call that can say it.
        let _ = self.flush_deferred();
    }

    fn abandon(&mut self, key: ExchangeKey) {
        let slot = &mut self.slots[key.slot as usize];
        debug_assert_eq!(slot.state, SlotState::InFlight);
        slot.state = SlotState::Abandoned;
    }
}

impl Drop for FrontChannel {
    /// A target whose channel is gone holds none of its connections.
    fn drop(&mut self) {
        let held = self.slots.iter().filter(|slot| slot.holds_connection());
        held.for_each(|_| self.capacity.give_back());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_s_generation_is_never_0() {
        let slot = |generation| Slot {
            generation,
            ..Slot::FRESH
        };
        assert_eq!(slot(0).next_generation(), 1);
        assert_eq!(slot(u32::MAX - 1).next_generation(), u32::MAX);
        assert_eq!(slot(u32::MAX).next_generation(), 1);
    }
}
