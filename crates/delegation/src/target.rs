//! The target's end of a channel to one front thread.

mod leases;
mod streams;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task;

use ostler_http1::FieldRange;
use ostler_shm::{
    Consumer, ControlSocket, OwnJournal, OwnRegion, PaceKeeper, PeerRegion, Producer, ReceiveError,
    RoomMark, Sleeper, Waker, full_fence,
};

use crate::control::{ConnectionFacts, FrontMessage, TargetMessage, TlsFacts};
use crate::entry::{Completed, ExchangeKey, FrontEntry, RequestEntry, connection_of};
use crate::error::{ChannelError, WireError};
use crate::front::MAX_SLOTS;
use crate::handover::{
    Disposition, Ending, Stage, too_slow_byte, with_body_awaited, with_stage, withdrawn_byte,
};
use crate::lease::Lease;
use crate::relayed_client::RelayedClient;
use crate::stream_entry::{BodyEntry, StreamRequest};
use crate::{LEASES_MINOR, PROTOCOL_MINOR, SHARED_RELAY_MINOR};

pub use leases::Told;
pub use streams::{HeadToSend, HeldWakes};

/// What this instance tells a front that connects.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// A text for people.
    pub label: String,
    /// The registered URL prefixes.
    pub url_prefixes: Vec<String>,
    /// Most client connections to hold on one channel.
    pub max_connections: u32,
}

/// What the first message of whoever connected asks for.
#[derive(Debug)]
pub enum Accepted {
    /// Nothing has come yet.
    NotYet(ControlSocket),
    /// A channel over rings.
    Rings(Box<TargetChannel>),
    /// A control socket over which relayed connections come.
    Relay(RelayChannel),
    /// A question about this instance; answer with [`TargetMessage::Info`].
    Query(ControlSocket),
}

/// Reads the first message of a front and answers it.
///
/// # Errors
///
/// When the message is no hello, its region is unusable, or the front is gone.
pub fn accept(control: ControlSocket, greeting: &Greeting) -> Result<Accepted, ChannelError> {
    let mut packet = Vec::new();
    let received = match control.receive(&mut packet) {
        Ok(received) => received,
        Err(ReceiveError::WouldBlock) => return Ok(Accepted::NotYet(control)),
        Err(error) => return Err(error.into()),
    };
    let welcome = |minor: u8| TargetMessage::Welcome {
        minor: minor.min(PROTOCOL_MINOR),
        pid: std::process::id(),
        max_connections: greeting.max_connections,
        label: greeting.label.clone(),
        url_prefixes: greeting.url_prefixes.clone(),
    };
    match FrontMessage::decode(&packet) {
        Ok(FrontMessage::HelloRings { minor, pid, spec }) => {
            let mut descriptors = received.descriptors.into_iter();
            let mut next = || {
                descriptors
                    .next()
                    .ok_or(WireError::MissingDescriptor("a hello"))
            };
            let (region, wake_target, wake_front, pace_front) =
                (next()?, next()?, next()?, next()?);
            let peer = PeerRegion::map(region)?;
            if peer.spec() != spec {
                return Err(WireError::Invalid("the region of a hello").into());
            }
            let own = OwnRegion::create("ostler-target", spec)?;
            let journal = match minor.min(PROTOCOL_MINOR) {
                LEASES_MINOR.. => TargetShared::journal(),
                _ => None,
            };
            let mut sent = vec![own.descriptor()];
            sent.extend(journal.as_ref().map(|journal| journal.descriptor()));
            control.send(&welcome(minor).encode(), &sent)?;
            let wakes = Wakes {
                wake_target,
                wake_front,
                pace_front,
            };
            Ok(Accepted::Rings(Box::new(TargetChannel::new(
                control,
                (own, journal),
                peer,
                wakes,
                pid,
            )?)))
        }
        Ok(FrontMessage::HelloRelay { minor, pid }) => {
            control.send(&welcome(minor).encode(), &[])?;
            Ok(Accepted::Relay(RelayChannel {
                control,
                minor: minor.min(PROTOCOL_MINOR),
                front_pid: pid,
                packet,
            }))
        }
        Ok(FrontMessage::Query) => Ok(Accepted::Query(control)),
        Ok(_) => Err(WireError::Invalid("the first message of a front").into()),
        Err(error) => {
            let refused = TargetMessage::Refused {
                reason: error.to_string(),
            };
            let _ = control.send(&refused.encode(), &[]);
            Err(error.into())
        }
    }
}

/// The eventfds of a hello.
#[derive(Debug)]
struct Wakes {
    wake_target: OwnedFd,
    wake_front: OwnedFd,
    pace_front: OwnedFd,
}

/// What a front says.
#[derive(Debug)]
pub enum Event<'a> {
    /// A client's connection, before the first request that speaks of it.
    Connection {
        /// Its slot; what was there is over.
        slot: u32,
        /// Which use of the slot.
        generation: u32,
        /// The client's socket.
        client: OwnedFd,
        /// Its two ends.
        facts: ConnectionFacts,
        /// What its handshake said, if the client speaks TLS, which the kernel then does for whoever
        /// uses the socket.
        tls: Option<TlsFacts>,
    },
    /// A request, and whether the connection's next ones may be read here.
    Request(ExchangeKey, RequestEntry<'a>, Option<Box<Lease>>),
    /// A request whose body and response travel in the rings.
    Stream(ExchangeKey, Box<StreamRequest<'a>>),
    /// Of such a request's body. One that is over is spoken of for a while.
    Body(ExchangeKey, BodyEntry),
    /// A request of a client whose socket this process had no room for. It is to be given back.
    Unreceived(ExchangeKey),
    /// The client of an exchange is gone.
    ClientGone(ExchangeKey),
    /// A connection is over.
    Closed {
        /// Its slot.
        slot: u32,
        /// Which use of the slot.
        generation: u32,
    },
    /// The front sends no further request.
    Goodbye,
}

/// A connection whose message has been read.
#[derive(Debug)]
struct Connected {
    slot: u32,
    generation: u32,
    client: OwnedFd,
    facts: ConnectionFacts,
    tls: Option<TlsFacts>,
}

impl From<Connected> for Event<'_> {
    fn from(connected: Connected) -> Self {
        let Connected {
            slot,
            generation,
            client,
            facts,
            tls,
        } = connected;
        Self::Connection {
            slot,
            generation,
            client,
            facts,
            tls,
        }
    }
}

/// The target's end of a channel: requests in, completions out.
#[derive(Debug)]
pub struct TargetChannel {
    control: ControlSocket,
    consumer: Consumer,
    sleeper: Sleeper,
    wake_target: OwnedFd,
    shared: Arc<TargetShared>,
    front_pid: u32,
    /// The generation in use of each slot; 0 is none.
    generations: Vec<u32>,
    /// Connections whose sockets this process had no room for, one a slot.
    lost: HashMap<u32, u32>,
    /// Control messages read while looking for a connection that an entry spoke of.
    connections: VecDeque<Connected>,
    goodbye: bool,
    /// The front has said goodbye.
    leaving: bool,
    /// The last entry is to be given again, now that its connection is known.
    again: bool,
    entry: Vec<u8>,
    packet: Vec<u8>,
    fields: Vec<FieldRange>,
}

/// The part of a channel that exchanges use, from whatever thread they run on.
#[derive(Debug)]
pub struct TargetShared {
    own: Arc<OwnRegion>,
    peer: Arc<PeerRegion>,
    /// What is received under leases; `None` where there are none.
    journal: Option<Arc<OwnJournal>>,
    pace: PaceKeeper,
    completions: Mutex<Completions>,
    active: AtomicU64,
    completed: AtomicU64,
    /// Connections that wait for their next request under a lease.
    resting: AtomicU64,
    /// Requests read under leases, and told of.
    leased: AtomicU64,
}

#[derive(Debug)]
struct Completions {
    producer: Producer,
    waker: Waker,
    /// Completions, and other short entries, that the ring had no room for, oldest first.
    deferred: VecDeque<Vec<u8>>,
    scratch: Vec<u8>,
    /// Something has been put into the ring that the front is to be woken for, and it has not been looked
    /// since whether it sleeps.
    owes_wake: bool,
    /// The front tells of room by waking this end, so what it writes is read by this end's loop alone.
    room_mark: RoomMark,
    /// Whoever waits for room in the ring.
    room: Vec<task::Waker>,
}

impl TargetChannel {
    fn new(
        control: ControlSocket,
        (own, journal): (Arc<OwnRegion>, Option<Arc<OwnJournal>>),
        peer: Arc<PeerRegion>,
        wakes: Wakes,
        front_pid: u32,
    ) -> io::Result<Self> {
        let completions = Completions {
            room_mark: RoomMark::new(Arc::clone(&own), Arc::clone(&peer)),
            room: Vec::new(),
            producer: Producer::new(Arc::clone(&own), Arc::clone(&peer)),
            waker: Waker::new(Arc::clone(&peer), wakes.wake_front),
            deferred: VecDeque::new(),
            scratch: Vec::new(),
            owes_wake: false,
        };
        Ok(Self {
            control,
            consumer: Consumer::new(Arc::clone(&own), Arc::clone(&peer)),
            sleeper: Sleeper::new(Arc::clone(&own)),
            wake_target: wakes.wake_target,
            shared: Arc::new(TargetShared {
                pace: PaceKeeper::new(Arc::clone(&own), Arc::clone(&peer), wakes.pace_front),
                own,
                peer,
                journal,
                completions: Mutex::new(completions),
                active: AtomicU64::new(0),
                completed: AtomicU64::new(0),
                resting: AtomicU64::new(0),
                leased: AtomicU64::new(0),
            }),
            front_pid,
            generations: Vec::new(),
            lost: HashMap::new(),
            connections: VecDeque::new(),
            goodbye: false,
            leaving: false,
            again: false,
            entry: Vec::new(),
            packet: Vec::new(),
            fields: Vec::new(),
        })
    }

    /// The control socket: readable when the front says something there or dies.
    pub fn control(&self) -> &ControlSocket {
        &self.control
    }

    /// The eventfd by which the front wakes this end.
    pub fn wake_descriptor(&self) -> BorrowedFd<'_> {
        self.wake_target.as_fd()
    }

    /// The front's process id, as it says.
    pub fn front_pid(&self) -> u32 {
        self.front_pid
    }

    /// What exchanges use.
    pub fn shared(&self) -> &Arc<TargetShared> {
        &self.shared
    }

    /// The next thing the front said; `None` when there is nothing.
    ///
    /// # Errors
    ///
    /// When the front is gone or is no correct front: the channel is dead.
    pub fn poll_event(&mut self) -> Result<Option<Event<'_>>, ChannelError> {
        if let Some(connected) = self.connections.pop_front() {
            return Ok(Some(connected.into()));
        }
        if !self.again && !self.consumer.try_pop(&mut self.entry)? {
            return Ok(None);
        }
        self.again = false;
        if let Some((slot, generation)) = connection_of(&self.entry)
            && !self.knows(slot, generation)
            && !self.is_lost(slot, generation)
        {
            // The socket was sent before the entry was written, so it is there to be read.
            self.read_connections()?;
            if !self.is_lost(slot, generation) {
                let known = self.knows(slot, generation);
                if let Some(connected) = self.connections.pop_front().filter(|_| known) {
                    self.again = true;
                    return Ok(Some(connected.into()));
                }
                return Err(ChannelError::UnknownExchange { slot, exchange: 0 });
            }
        }
        Ok(Some(
            match FrontEntry::decode(&mut self.entry, &mut self.fields)? {
                FrontEntry::Request(key, ..)
                    if self.lost.get(&key.slot) == Some(&key.generation) =>
                {
                    Event::Unreceived(key)
                }
                FrontEntry::Request(key, request, lease) => Event::Request(key, request, lease),
                FrontEntry::Stream(key, request) => Event::Stream(key, request),
                FrontEntry::Body(key, body) => Event::Body(key, body),
                FrontEntry::ClientGone(key) => Event::ClientGone(key),
                FrontEntry::Closed { slot, generation } => Event::Closed { slot, generation },
            },
        ))
    }

    /// Reads the control socket, for when it becomes readable on its own.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Closed`] when the front is gone; others when it is no correct front.
    pub fn poll_control(&mut self) -> Result<Option<Event<'static>>, ChannelError> {
        self.read_connections()?;
        if std::mem::take(&mut self.goodbye) {
            return Ok(Some(Event::Goodbye));
        }
        Ok(self.connections.pop_front().map(Event::from))
    }

    /// Says that this end is about to sleep. Look for events once more before doing so.
    pub fn announce_sleep(&self) {
        self.sleeper.announce();
        // Behind the fence of the announcement: the last entries may have been no requests. A front
        // that cannot be told is dead, which the control socket says.
        let _ = self.shared.pace.check();
    }

    /// This end is awake.
    pub fn cancel_sleep(&self) {
        self.sleeper.cancel();
    }

    /// Sends a control message; one the front does not read in time is lost with the front.
    pub fn send(&self, message: &TargetMessage) {
        let _ = self.control.send(&message.encode(), &[]);
    }

    /// Whether a connection has come without its socket, for which there was no room.
    fn is_lost(&self, slot: u32, generation: u32) -> bool {
        self.lost.get(&slot) == Some(&generation)
    }

    /// Notes a connection whose socket could not be received. Its requests go back.
    fn lose(&mut self, slot: u32, generation: u32) {
        self.lost.insert(slot, generation);
        if let Some(known) = self.generations.get_mut(slot as usize) {
            *known = 0;
        }
    }

    fn knows(&self, slot: u32, generation: u32) -> bool {
        generation != 0 && self.generations.get(slot as usize) == Some(&generation)
    }

    fn read_connections(&mut self) -> Result<(), ChannelError> {
        loop {
            let (received, is_cut) = match self.control.receive_in_part(&mut self.packet) {
                Ok(received) => received,
                Err(ReceiveError::WouldBlock) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            match FrontMessage::decode(&self.packet)? {
                FrontMessage::Connection {
                    slot, generation, ..
                } if is_cut && (slot as usize) < MAX_SLOTS => {
                    self.lose(slot, generation);
                }
                FrontMessage::Connection {
                    slot,
                    generation,
                    facts,
                    tls,
                } => {
                    let client = received.descriptors.into_iter().next();
                    let client = client.ok_or(WireError::MissingDescriptor("a connection"))?;
                    let at = slot as usize;
                    if at >= MAX_SLOTS || self.connections.len() >= MAX_SLOTS {
                        return Err(WireError::Invalid("the slot of a connection").into());
                    }
                    if self.generations.len() <= at {
                        self.generations.resize(at + 1, 0);
                    }
                    self.generations[at] = generation;
                    self.lost.remove(&slot);
                    self.connections.push_back(Connected {
                        slot,
                        generation,
                        client,
                        facts,
                        tls,
                    });
                }
                // Behind a goodbye nothing comes: a second one is somebody's idea of a flood.
                FrontMessage::Goodbye if !self.leaving => {
                    self.goodbye = true;
                    self.leaving = true;
                }
                _ => return Err(WireError::Invalid("a message of a front").into()),
            }
        }
    }
}

impl TargetShared {
    /// Takes an exchange on. False: the front has withdrawn it; it has been given back.
    pub fn begin(&self, key: ExchangeKey) -> bool {
        self.store(key, Stage::Received { body_read: false });
        // Pairs with the fence in `FrontChannel::withdraw`, and with that of the front's pacer.
        full_fence();
        // A front that cannot be woken is dead, which the control socket says.
        let _ = self.pace.check();
        self.active.fetch_add(1, Ordering::Relaxed);
        if self.peer.slot(key.slot as usize) == withdrawn_byte(key.exchange) {
            self.give_back(key);
            return false;
        }
        true
    }

    /// Says that body bytes are about to be read from the client's socket.
    pub fn body_read(&self, key: ExchangeKey) {
        self.add(key, Stage::Received { body_read: true });
    }

    /// Says whether body bytes are waited for: only then is a client too slow that sends none.
    pub fn await_body(&self, key: ExchangeKey, awaited: bool) {
        self.own.update_slot(key.slot as usize, |byte| {
            with_body_awaited(byte, key.exchange, awaited)
        });
    }

    /// Whether the front has ended the client's stream because the body comes too slowly.
    pub fn is_body_too_slow(&self, key: ExchangeKey) -> bool {
        self.peer.slot(key.slot as usize) == too_slow_byte(key.exchange)
    }

    /// As [`responding`](Self::responding), of an exchange whose body may be read at the same time.
    pub fn responding_beside_body(&self, key: ExchangeKey) {
        self.add(key, Stage::Responding);
    }

    /// Says that response bytes are about to be written.
    pub fn responding(&self, key: ExchangeKey) {
        self.store(key, Stage::Responding);
    }

    /// Gives an exchange back that was begun in name only: nothing read, nothing written.
    pub fn give_back(&self, key: ExchangeKey) {
        self.complete(&Completed {
            key,
            disposition: Disposition::Returned,
            ending: Ending::NotBegun,
            status: 0,
            bytes_sent: 0,
            body_received: 0,
            received_ns: 0,
            first_byte_ns: 0,
            completed_ns: 0,
            leftover: Vec::new(),
        });
    }

    /// Tells the front that an exchange is over.
    pub fn complete(&self, completed: &Completed) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        // What goes back is somebody else's to complete, and what was told of has been counted.
        if completed.ending != Ending::NotBegun {
            self.completed.fetch_add(1, Ordering::Relaxed);
        }
        let mut completions = self.lock();
        let mut entry = std::mem::take(&mut completions.scratch);
        completed.encode(&mut entry);
        completions.push_or_defer(&entry);
        completions.owes_wake = true;
        completions.scratch = entry;
        self.wake_unless_held(&mut completions);
    }

    /// Sends what the ring had no room for, and has whoever waits for room try; false while it still
    /// has none.
    pub fn flush(&self) -> bool {
        let mut completions = self.lock();
        completions.owes_wake |= !completions.deferred.is_empty();
        let sent = completions.send_deferred();
        if completions.owes_wake {
            completions.wake();
        }
        match sent {
            Ok(true) => completions.call_for_room(),
            Ok(false) => return false,
            // The channel is dead; its driver finds out.
            Err(_) => {}
        }
        true
    }

    /// Requests the front has sent and this end has not taken out.
    pub fn waiting(&self) -> u64 {
        self.peer
            .entries_produced()
            .saturating_sub(self.own.entries_consumed())
    }

    /// Requests taken out and not completed, and connections that wait under a lease.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Requests completed.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Stores a stage that another thread's may stand beside.
    fn add(&self, key: ExchangeKey, stage: Stage) {
        self.own.update_slot(key.slot as usize, |byte| {
            with_stage(byte, key.exchange, stage)
        });
    }

    fn store(&self, key: ExchangeKey, stage: Stage) {
        self.own
            .set_slot(key.slot as usize, stage.to_byte(key.exchange));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Completions> {
        // Nothing between lock and unlock can panic halfway through an entry.
        self.completions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A control socket over which a front sends relayed connections: one that does not trust this
/// process, or has clients whose sockets cannot be handed over.
#[derive(Debug)]
pub struct RelayChannel {
    control: ControlSocket,
    minor: u8,
    front_pid: u32,
    packet: Vec<u8>,
}

/// A connection over which a front speaks HTTP/1.1 for clients.
#[derive(Debug)]
pub struct RelayedConnection {
    /// This connection.
    pub socket: OwnedFd,
    /// The one client it is for; `None` where each request says whose it is.
    pub client: Option<RelayedClient>,
}

impl RelayChannel {
    /// The socket to wait on.
    pub fn control(&self) -> &ControlSocket {
        &self.control
    }

    /// The front's process id, as it says.
    pub fn front_pid(&self) -> u32 {
        self.front_pid
    }

    /// The next relayed connection.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Closed`] when the front is gone or will send none; others when it is no
    /// correct front.
    pub fn poll_connection(&mut self) -> Result<Option<RelayedConnection>, ChannelError> {
        let received = match self.control.receive(&mut self.packet) {
            Ok(received) => received,
            Err(ReceiveError::WouldBlock) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let client = match FrontMessage::decode(&self.packet)? {
            FrontMessage::RelayConnection { facts, tls } => Some(RelayedClient {
                facts,
                is_https: tls.is_some(),
                tls,
                // Such a front passes on what the client has sent, and adds nothing.
                sent_te: true,
            }),
            FrontMessage::SharedRelayConnection if self.minor >= SHARED_RELAY_MINOR => None,
            FrontMessage::Goodbye => return Err(ChannelError::Closed),
            _ => return Err(WireError::Invalid("a message of a front").into()),
        };
        let socket = received.descriptors.into_iter().next();
        let socket = socket.ok_or(WireError::MissingDescriptor("a relayed connection"))?;
        Ok(Some(RelayedConnection { socket, client }))
    }

    /// Sends a control message.
    pub fn send(&self, message: &TargetMessage) {
        let _ = self.control.send(&message.encode(), &[]);
    }
}

/// Asks the instance at the other end for its counts; waits for nothing.
///
/// # Errors
///
/// When the message cannot be sent.
pub fn ask_for_info(control: &ControlSocket) -> io::Result<()> {
    control.send(&FrontMessage::Query.encode(), &[])
}
