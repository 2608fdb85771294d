//! A client's HTTP/1.1 connection, and what belongs to it for longer than an exchange.

use std::rc::Rc;
use std::time::Instant;

use ostler_config::HttpProtocols;
use ostler_delegation::front::SlotKey;
use ostler_http1::{BodyDecoder, BodyProgress, Framing, HeadDecoder, RequestHead};

use crate::client_socket::ClientSocket;
use crate::queues::{Channel, Handoff, LeaseHistory, NotTaken, Place, PlaceKey, RelayPlaces};
use crate::tls::ClientFacts;
use crate::watch::Watch;
use crate::worker::Worker;

/// A client's connection and everything that belongs to it for longer than an exchange.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: ClientSocket,
    pub(crate) worker: Rc<Worker>,
    /// Bytes received that no head has claimed: the start of a body, or of the next request.
    pub(crate) input: Vec<u8>,
    /// The client has ended its stream.
    pub(crate) read_closed: bool,
    pub(crate) handoff: Rc<Handoff>,
    /// Connections to relayed targets, opened for this client.
    pub(crate) relays: RelayPlaces,
    /// Who the client of the exchange under way is said to be, where it is not the connection's.
    pub(crate) claimed: Option<Box<ClientFacts>>,
    pub(crate) watch: Rc<Watch>,
    pub(crate) decoder: HeadDecoder,
    places: Vec<Place>,
    /// What its first bytes may be.
    pub(crate) begins_with: HttpProtocols,
    /// It has been given the time that is left for a request, since the front is stopping.
    pub(crate) is_told_to_end: bool,
    /// When the client's last exchange ended, on the worker's slow clock; `None` before the first.
    pub(crate) last_used: Option<Instant>,
    /// Whether targets are to read its requests themselves.
    pub(crate) history: LeaseHistory,
}

impl Connection {
    /// A connection whose client has asked for nothing yet.
    pub(crate) fn new(
        client: ClientSocket,
        worker: Rc<Worker>,
        watch: Rc<Watch>,
        begins_with: HttpProtocols,
    ) -> Self {
        Self {
            client,
            input: Vec::new(),
            read_closed: false,
            handoff: Rc::clone(&watch.handoff),
            relays: RelayPlaces::default(),
            claimed: None,
            watch,
            decoder: HeadDecoder::new(worker.limits().http1),
            places: Vec::new(),
            begins_with,
            is_told_to_end: false,
            last_used: None,
            history: LeaseHistory::default(),
            worker,
        }
    }

    /// Whether the connection ends with the exchange of `head`: the front is stopping, and nothing of
    /// a further request is here.
    pub(crate) fn is_last(&self, head: &RequestHead) -> bool {
        self.watch.is_ending() && !self.has_more(head)
    }

    /// Whether bytes are here that are not of the request of `head`, as far as can be seen.
    pub(crate) fn has_more(&self, head: &RequestHead) -> bool {
        let framing = head.framing();
        framing != Framing::Chunked && self.input.len() > self.body_prefix(framing).len()
    }

    /// Lets go of bytes that have arrived.
    pub(crate) fn consume(&mut self, consumed: usize) {
        if consumed == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..consumed);
        }
    }

    /// The client sends nothing more and nothing is left of what it sent.
    pub(crate) fn read_closed_and_empty(&self) -> bool {
        self.read_closed && self.input.is_empty()
    }

    /// The part of the body that arrived with the head. What follows it is the next request.
    pub(crate) fn body_prefix(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::None => &[],
            Framing::Length(length) => {
                let end = usize::try_from(length)
                    .unwrap_or(usize::MAX)
                    .min(self.input.len());
                &self.input[..end]
            }
            // Where a chunked body ends is for its reader to find.
            Framing::Chunked => &self.input,
        }
    }

    /// How many of the bytes that have arrived are a body that nobody has read, if it is all there and
    /// well formed.
    pub(crate) fn whole_body(&self, framing: Framing) -> Option<usize> {
        let mut decoder = BodyDecoder::new(framing);
        let mut length = 0;
        loop {
            match decoder.decode(&self.input[length..]).ok()? {
                BodyProgress::Data { consumed, .. } => length += consumed,
                BodyProgress::End { consumed } => return Some(length + consumed),
                BodyProgress::NeedMore { .. } => return None,
            }
        }
    }

    /// The exchange that was given the prefix is over; `leftover` comes behind it.
    pub(crate) fn consume_prefix(&mut self, framing: Framing, leftover: Vec<u8>) {
        let consumed = self.body_prefix(framing).len();
        self.consume(consumed);
        if !leftover.is_empty() {
            self.input.splice(0..0, leftover);
        }
    }

    /// This connection's slot in a channel, opened on first use.
    pub(crate) fn place_on(&mut self, channel: &Rc<Channel>) -> Result<SlotKey, NotTaken> {
        if let Some(place) = self.places.iter().find(|place| place.is_on(channel))
            && channel.holds(place.slot)
        {
            return Ok(place.slot);
        }
        // Those of targets that are gone hold memory for nothing, as do those that a target was to let go
        // of for others.
        self.places
            .retain(|place| place.is_of_use() && !place.is_on(channel));
        let place = channel.open_connection(&self.client)?;
        let slot = place.slot;
        self.places.push(place);
        Ok(slot)
    }

    /// The slot is spent, or both sides have let go of it.
    pub(crate) fn forget_place(&mut self, key: PlaceKey) {
        self.places.retain(|place| place.key() != key);
    }

    /// Lets go of every slot: targets keep what they have begun.
    pub(crate) fn forget_places(&mut self) {
        self.places.clear();
    }
}
