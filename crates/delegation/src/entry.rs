//! Entries of the rings: one a request, one a completion; drawn in `docs/delegation-protocol.md`.
//!
//! Kinds from 16 upward are those of leases.

use std::net::SocketAddr;

use ostler_http1::{
    FieldRange, Framing, HeadIndex, HeadParts, RequestFacts, ResponseTransforms, Version,
};

use crate::address;
use crate::error::WireError;
use crate::handover::{Disposition, Ending};
use crate::lease::Lease;
use crate::stream_entry::{self, BodyEntry, StreamRequest};
use crate::wire::{Put, Reader};

const REQUEST: u8 = 1;
const CLIENT_GONE: u8 = 2;
const CLOSED: u8 = 3;
const STREAM: u8 = 4;
const FORWARDED_REQUEST: u8 = 10;
const COMPLETED: u8 = 1;
/// A request that grants a lease.
const LEASED: u8 = 16;
/// Of the target's ring: an exchange under a lease is over, and the lease goes on.
pub(crate) const TOLD: u8 = 16;

const HTTP_11: u8 = 1;
const KEEP_ALIVE: u8 = 1 << 1;
const HEAD: u8 = 1 << 2;
const CONNECT: u8 = 1 << 3;
const EXPECTS_CONTINUE: u8 = 1 << 4;
const UPGRADE: u8 = 1 << 5;
const LIMITED: u8 = 1 << 6;
const TRANSFORMS: u8 = 1 << 7;

const CHUNKED: u64 = u64::MAX;

/// Which exchange on which connection: the slot, the use of the slot, the number on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExchangeKey {
    /// Slot of the connection.
    pub slot: u32,
    /// Which use of the slot.
    pub generation: u32,
    /// Counts the exchanges of the slot, through all its uses.
    pub exchange: u32,
}

/// What the front's configuration bounds an exchange by, where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeLimits {
    /// When the exchange must be over: nanoseconds of `CLOCK_MONOTONIC`. `u64::MAX` is never.
    pub deadline_ns: u64,
    /// Most bytes of the request's body, framing excluded. `u64::MAX` is any number.
    pub body: u64,
    /// Status of the answer where the deadline passes before the response has begun.
    pub timeout_status: u16,
}

impl ExchangeLimits {
    /// Bytes it takes in an entry that has it.
    pub const LEN: usize = 24;

    /// No bound at all: takes no room in an entry.
    pub const NONE: Self = Self {
        deadline_ns: u64::MAX,
        body: u64::MAX,
        timeout_status: 0,
    };

    fn put(self, out: &mut Vec<u8>) {
        out.put_u64(self.deadline_ns);
        out.put_u64(self.body);
        out.put_u16(self.timeout_status);
        out.put(&[0; 6]);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let limits = Self {
            deadline_ns: reader.u64()?,
            body: reader.u64()?,
            timeout_status: reader.u16()?,
        };
        reader.bytes(6)?;
        Ok(limits)
    }
}

const _: () = assert!(ExchangeLimits::LEN == 8 + 8 + 2 + 6);

/// Who has asked, where something that stands before the front says it in place of the connection: a load
/// balancer's connection carries the requests of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedClient {
    /// Its address; port 0 where nothing is said of the port.
    pub address: Option<SocketAddr>,
    /// Whether it has asked by https.
    pub is_https: bool,
}

impl ForwardedClient {
    /// Bytes it takes in an entry that has it.
    pub const LEN: usize = 32;

    fn put(self, out: &mut Vec<u8>) {
        out.put_u8(self.is_https.into());
        out.put(&[0; 7]);
        address::put(out, self.address);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let is_https = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(WireError::Invalid("a forwarded client")),
        };
        reader.bytes(7)?;
        let address = address::read(reader)?;
        Ok(Self { address, is_https })
    }
}

const _: () = assert!(ForwardedClient::LEN == 8 + 24);

/// A request on its way to the target.
#[derive(Debug, Clone, Copy)]
pub struct RequestEntry<'a> {
    /// The head, untouched, with the index the front made of it.
    pub head: HeadParts<'a>,
    /// What the response encoder must know.
    pub facts: RequestFacts,
    /// How the body ends; the target obeys it.
    pub framing: Framing,
    /// `Expect: 100-continue`: the target sends 100 before it reads the body.
    pub expects_continue: bool,
    /// The client asks for an upgrade.
    pub upgrade: bool,
    /// When the head was complete: nanoseconds of `CLOCK_MONOTONIC`.
    pub head_received_ns: u64,
    /// When it was put into the queue.
    pub queued_ns: u64,
    /// What bounds the exchange.
    pub limits: ExchangeLimits,
    /// Who has asked, where the connection does not say it. Only for channels whose target
    /// [knows of that](crate::front::FrontChannel::tells_forwarded_clients); a stream says it otherwise.
    pub forwarded: Option<ForwardedClient>,
    /// What the target's library does to the response first: [`ResponseTransforms`], encoded; empty
    /// where it stays as it is. Only for channels whose target
    /// [does that](crate::front::FrontChannel::transforms_responses).
    pub transforms: &'a [u8],
    /// Fields the target's library adds to the response, as [`put_directive`] writes them.
    pub directives: &'a [u8],
    /// Body bytes that arrived with the head.
    pub prefix: &'a [u8],
}

impl RequestEntry<'_> {
    /// Bytes of the fixed part.
    pub const FIXED: usize = 56;
    /// The longest head: offsets into it have 16 bits. What has a longer one takes another way.
    pub const LONGEST_HEAD: usize = u16::MAX as usize;

    /// Writes the fixed part, the limits and the forwarded client if any, and the index; the entry is this, the response
    /// transforms, the directives, the raw head and the prefix, in this order.
    pub(crate) fn encode_fixed(&self, key: ExchangeKey, out: &mut Vec<u8>) {
        match self.forwarded {
            None => self.put_fixed(REQUEST, key, out),
            Some(client) => {
                self.put_fixed(FORWARDED_REQUEST, key, out);
                client.put(out);
            }
        }
        self.put_index(out);
    }

    /// The same of a request that grants a lease.
    pub(crate) fn encode_leased(&self, key: ExchangeKey, lease: &Lease, out: &mut Vec<u8>) {
        self.put_fixed(LEASED, key, out);
        lease.put(out);
        self.put_index(out);
    }

    fn put_fixed(&self, kind: u8, key: ExchangeKey, out: &mut Vec<u8>) {
        out.clear();
        let index = &self.head.index;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.put_u8(kind);
        out.put_u8(
            flag(index.version == Version::Http11, HTTP_11)
                | flag(self.facts.keep_alive, KEEP_ALIVE)
                | flag(self.facts.is_head, HEAD)
                | flag(self.facts.is_connect, CONNECT)
                | flag(self.expects_continue, EXPECTS_CONTINUE)
                | flag(self.upgrade, UPGRADE)
                | flag(self.limits != ExchangeLimits::NONE, LIMITED)
                | flag(!self.transforms.is_empty(), TRANSFORMS),
        );
        out.put_u16(index.fields.len() as u16);
        out.put_u32(key.slot);
        out.put_u32(key.generation);
        out.put_u32(key.exchange);
        out.put_u64(match self.framing {
            Framing::None => 0,
            Framing::Length(length) => length,
            Framing::Chunked => CHUNKED,
        });
        debug_assert!(self.head.raw.len() <= Self::LONGEST_HEAD);
        out.put_u16(index.method_len as u16);
        out.put_u16(index.target_start as u16);
        out.put_u16(index.target_len as u16);
        out.put_u16(self.directives.len() as u16);
        out.put_u32(self.head.raw.len() as u32);
        out.put_u32(self.prefix.len() as u32);
        out.put_u64(self.head_received_ns);
        out.put_u64(self.queued_ns);
        if self.limits != ExchangeLimits::NONE {
            self.limits.put(out);
        }
    }

    fn put_index(&self, out: &mut Vec<u8>) {
        for field in self.head.index.fields {
            out.put_u16(field.name_start as u16);
            out.put_u16(field.name_len as u16);
            out.put_u16(field.value_start as u16);
            out.put_u16(field.value_len as u16);
        }
    }
}

impl StreamRequest<'_> {
    /// As [`RequestEntry::encode_fixed`], with whose it is before the index.
    pub(crate) fn encode_fixed(&self, key: ExchangeKey, out: &mut Vec<u8>) {
        self.request.put_fixed(STREAM, key, out);
        self.put_client(out);
        self.request.put_index(out);
    }
}

/// An entry of the front's ring, as the target reads it.
#[derive(Debug)]
pub enum FrontEntry<'a> {
    /// A request, and what it grants.
    Request(ExchangeKey, RequestEntry<'a>, Option<Box<Lease>>),
    /// A request whose body and response travel in the rings.
    Stream(ExchangeKey, Box<StreamRequest<'a>>),
    /// Of such a request's body.
    Body(ExchangeKey, BodyEntry),
    /// The client of an exchange is gone: its handler is cancelled.
    ClientGone(ExchangeKey),
    /// The connection is over: the target closes its descriptor.
    Closed {
        /// The connection's slot.
        slot: u32,
        /// Which use of it.
        generation: u32,
    },
}

impl<'a> FrontEntry<'a> {
    /// Reads an entry; `fields` is scratch that holds the index. Much of a body keeps the entry's
    /// memory and leaves another in its place.
    ///
    /// # Errors
    ///
    /// When lengths disagree or a kind is unknown. The ranges of the index are checked where they
    /// are used, by `ostler-http1`.
    pub fn decode(
        entry: &'a mut Vec<u8>,
        fields: &'a mut Vec<FieldRange>,
    ) -> Result<Self, WireError> {
        let kind = entry.first();
        if let Some(&(stream_entry::DATA | stream_entry::TRAILERS | stream_entry::CREDIT)) = kind {
            let (key, body) = stream_entry::decode_body(entry)?;
            return Ok(Self::Body(key, body));
        }
        let mut reader = Reader::new(entry, "a request entry");
        match reader.u8()? {
            kind @ (REQUEST | STREAM | FORWARDED_REQUEST | LEASED) => {
                decode_request(kind, reader, fields)
            }
            CLIENT_GONE => {
                reader.bytes(3)?;
                let key = read_key(&mut reader)?;
                reader.end()?;
                Ok(Self::ClientGone(key))
            }
            CLOSED => {
                reader.bytes(3)?;
                let slot = reader.u32()?;
                let generation = reader.u32()?;
                reader.end()?;
                Ok(Self::Closed { slot, generation })
            }
            _ => Err(WireError::Invalid("the kind of a ring entry")),
        }
    }
}

fn decode_request<'a>(
    kind: u8,
    mut reader: Reader<'a>,
    fields: &'a mut Vec<FieldRange>,
) -> Result<FrontEntry<'a>, WireError> {
    let flags = reader.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let field_count = reader.u16()?;
    let key = read_key(&mut reader)?;
    let framing = match reader.u64()? {
        0 => Framing::None,
        CHUNKED => Framing::Chunked,
        length => Framing::Length(length),
    };
    let method_len = reader.u16()?.into();
    let target_start = reader.u16()?.into();
    let target_len = reader.u16()?.into();
    let directives_len = reader.u16()?;
    let head_len = reader.u32()?;
    let prefix_len = reader.u32()?;
    let head_received_ns = reader.u64()?;
    let queued_ns = reader.u64()?;
    let limits = if has(LIMITED) {
        ExchangeLimits::read(&mut reader)?
    } else {
        ExchangeLimits::NONE
    };
    let forwarded = match kind {
        FORWARDED_REQUEST => Some(ForwardedClient::read(&mut reader)?),
        _ => None,
    };
    let client = match kind {
        STREAM => Some(StreamRequest::read_client(&mut reader)?),
        _ => None,
    };
    let lease = match kind {
        LEASED => Some(Box::new(Lease::read(&mut reader)?)),
        _ => None,
    };
    read_index(&mut reader, field_count, fields)?;
    let transforms = if has(TRANSFORMS) {
        let len = ResponseTransforms::check(reader.rest());
        reader.bytes(len.map_err(|_| WireError::Invalid("response transforms"))?)?
    } else {
        &[]
    };
    let directives = reader.bytes(usize::from(directives_len))?;
    let raw = reader.bytes(head_len as usize)?;
    let prefix = reader.bytes(prefix_len as usize)?;
    reader.end()?;
    let version = if has(HTTP_11) {
        Version::Http11
    } else {
        Version::Http10
    };
    let index = HeadIndex {
        fields,
        method_len,
        target_start,
        target_len,
        version,
    };
    let facts = RequestFacts {
        is_head: has(HEAD),
        is_connect: has(CONNECT),
        version,
        keep_alive: has(KEEP_ALIVE),
    };
    let request = RequestEntry {
        head: HeadParts { raw, index },
        facts,
        framing,
        expects_continue: has(EXPECTS_CONTINUE),
        upgrade: has(UPGRADE),
        head_received_ns,
        queued_ns,
        limits,
        forwarded,
        transforms,
        directives,
        prefix,
    };
    Ok(match client {
        None => FrontEntry::Request(key, request, lease),
        Some((client, is_whole)) => FrontEntry::Stream(
            key,
            Box::new(StreamRequest {
                request,
                client,
                is_whole,
            }),
        ),
    })
}

fn read_index(
    reader: &mut Reader<'_>,
    field_count: u16,
    fields: &mut Vec<FieldRange>,
) -> Result<(), WireError> {
    let index = reader.bytes(usize::from(field_count) * 8)?;
    fields.clear();
    fields.extend(index.chunks_exact(8).map(|range| {
        let at = |i: usize| u32::from(u16::from_le_bytes([range[i], range[i + 1]]));
        FieldRange {
            name_start: at(0),
            name_len: at(2),
            value_start: at(4),
            value_len: at(6),
        }
    }));
    Ok(())
}

/// Slot and generation of the connection a request entry speaks of; `None` for other entries.
pub(crate) fn connection_of(entry: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader::new(entry, "a request entry");
    if !matches!(reader.u8().ok()?, REQUEST | FORWARDED_REQUEST | LEASED) {
        return None;
    }
    reader.bytes(3).ok()?;
    Some((reader.u32().ok()?, reader.u32().ok()?))
}

/// The entry that says an exchange's client is gone.
pub(crate) fn client_gone(key: ExchangeKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.put(&[CLIENT_GONE, 0, 0, 0]);
    put_key(&mut out, key);
    out
}

/// The entry that says a connection is over.
pub(crate) fn closed(slot: u32, generation: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    out.put(&[CLOSED, 0, 0, 0]);
    out.put_u32(slot);
    out.put_u32(generation);
    out
}

/// Appends one response directive: a field for the target's library to add to the response.
/// False, and nothing written, when the directives would outgrow their 65,535 bytes.
pub fn put_directive(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> bool {
    if out.len() + 4 + name.len() + value.len() > usize::from(u16::MAX) {
        return false;
    }
    out.put_u16(name.len() as u16);
    out.put_u16(value.len() as u16);
    out.put(name);
    out.put(value);
    true
}

/// The directives of a request entry, one (name, value) after the other; stops at what is malformed.
pub fn directives(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut reader = Reader::new(bytes, "a response directive");
    std::iter::from_fn(move || {
        let name = reader.u16().ok()?;
        let value = reader.u16().ok()?;
        Some((
            reader.bytes(name.into()).ok()?,
            reader.bytes(value.into()).ok()?,
        ))
    })
}

/// What the target tells of a finished exchange: what http.sys cannot tell its delegator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Which exchange.
    pub key: ExchangeKey,
    /// What becomes of the connection.
    pub disposition: Disposition,
    /// How the exchange ended.
    pub ending: Ending,
    /// Status of the final response; 0 when none was begun.
    pub status: u16,
    /// Bytes given to the client's socket, head included.
    pub bytes_sent: u64,
    /// Bytes of the request's body, framing excluded.
    pub body_received: u64,
    /// When the target took the request out of the queue: nanoseconds of `CLOCK_MONOTONIC`.
    pub received_ns: u64,
    /// When it gave the first byte of the response to the socket; 0 when it gave none.
    pub first_byte_ns: u64,
    /// When the exchange was over.
    pub completed_ns: u64,
    /// Bytes read past the end of the request: the start of the next one.
    pub leftover: Vec<u8>,
}

impl Completed {
    /// Most bytes of leftover an entry carries; a target must not read further past the end.
    pub const MAX_LEFTOVER: usize = 16 * 1024;

    /// Writes the entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.put(COMPLETED, &self.leftover, out);
    }

    /// Writes the entry that tells of an exchange while its lease goes on: `head` is its head, if the
    /// front wants that.
    pub fn encode_told(&self, head: &[u8], out: &mut Vec<u8>) {
        self.put(TOLD, head, out);
    }

    fn put(&self, kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.put_u8(kind);
        out.put_u8(self.disposition as u8);
        out.put_u16(self.status);
        put_key(out, self.key);
        out.put_u64(self.bytes_sent);
        out.put_u64(self.body_received);
        out.put_u64(self.received_ns);
        out.put_u64(self.first_byte_ns);
        out.put_u64(self.completed_ns);
        out.put_u8(self.ending as u8);
        out.put(&[0; 3]);
        out.put_u32(bytes.len() as u32);
        out.put(bytes);
    }

    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// When lengths disagree or a value means nothing.
    pub fn decode(entry: &[u8]) -> Result<Self, WireError> {
        Self::read(COMPLETED, entry)
    }

    /// Reads the entry that tells of an exchange while its lease goes on, whose head stands where the
    /// leftover is.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_told(entry: &[u8]) -> Result<Self, WireError> {
        Self::read(TOLD, entry)
    }

    fn read(kind: u8, entry: &[u8]) -> Result<Self, WireError> {
        const WHAT: &str = "a completed entry";
        let mut reader = Reader::new(entry, WHAT);
        if reader.u8()? != kind {
            return Err(WireError::Invalid("the kind of a ring entry"));
        }
        let disposition = Disposition::from_byte(reader.u8()?).ok_or(WireError::Invalid(WHAT))?;
        let status = reader.u16()?;
        let key = read_key(&mut reader)?;
        let bytes_sent = reader.u64()?;
        let body_received = reader.u64()?;
        let received_ns = reader.u64()?;
        let first_byte_ns = reader.u64()?;
        let completed_ns = reader.u64()?;
        let ending = Ending::from_byte(reader.u8()?).ok_or(WireError::Invalid(WHAT))?;
        reader.bytes(3)?;
        let leftover_len = reader.u32()? as usize;
        if leftover_len > Self::MAX_LEFTOVER {
            return Err(WireError::Invalid("the leftover of a completed entry"));
        }
        let leftover = reader.bytes(leftover_len)?.to_vec();
        reader.end()?;
        Ok(Self {
            key,
            disposition,
            ending,
            status,
            bytes_sent,
            body_received,
            received_ns,
            first_byte_ns,
            completed_ns,
            leftover,
        })
    }
}

pub(crate) fn put_key(out: &mut Vec<u8>, key: ExchangeKey) {
    out.put_u32(key.slot);
    out.put_u32(key.generation);
    out.put_u32(key.exchange);
}

pub(crate) fn read_key(reader: &mut Reader<'_>) -> Result<ExchangeKey, WireError> {
    Ok(ExchangeKey {
        slot: reader.u32()?,
        generation: reader.u32()?,
        exchange: reader.u32()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stage, page};
    use ostler_http1::{HeadDecoder, HeadProgress, Limits, RequestHead};
    use proptest::prelude::*;

    const KEY: ExchangeKey = ExchangeKey {
        slot: 7,
        generation: 2,
        exchange: 9,
    };

    fn head(text: &str) -> RequestHead {
        let mut head = RequestHead::default();
        let progress = HeadDecoder::new(Limits::default()).decode(text.as_bytes(), &mut head);
        assert!(matches!(progress, Ok(HeadProgress::Complete { .. })));
        head
    }

    #[test]
    fn a_request_crosses_whole() {
        let head = head(
            "POST /a?b HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 9\r\n\r\n",
        );
        let mut directives_bytes = Vec::new();
        assert!(put_directive(&mut directives_bytes, b"Set-Cookie", b"a=b"));
        assert!(put_directive(&mut directives_bytes, b"X", b""));
        let transforms = ResponseTransforms {
            copies_fields: false,
            ..ResponseTransforms::default()
        };
        let transforms = transforms.encode().unwrap();
        let client = ForwardedClient {
            address: Some("[2001:db8::7]:0".parse().unwrap()),
            is_https: true,
        };
        let entry = RequestEntry {
            head: head.parts(),
            facts: RequestFacts::from(&head),
            framing: head.framing(),
            expects_continue: false,
            upgrade: false,
            head_received_ns: 11,
            queued_ns: 12,
            limits: ExchangeLimits {
                deadline_ns: 13,
                body: 14,
                timeout_status: 504,
            },
            forwarded: Some(client),
            transforms: &transforms,
            directives: &directives_bytes,
            prefix: b"first",
        };
        let mut bytes = Vec::new();
        entry.encode_fixed(KEY, &mut bytes);
        bytes.extend_from_slice(entry.transforms);
        bytes.extend_from_slice(entry.directives);
        bytes.extend_from_slice(entry.head.raw);
        bytes.extend_from_slice(entry.prefix);
        let mut fields = Vec::new();
        let FrontEntry::Request(key, read, None) =
            FrontEntry::decode(&mut bytes, &mut fields).unwrap()
        else {
            panic!("a request was written");
        };
        assert_eq!(key, KEY);
        assert_eq!(read.framing, Framing::Length(9));
        assert_eq!((read.head_received_ns, read.queued_ns), (11, 12));
        assert_eq!(read.limits, entry.limits);
        assert_eq!(read.forwarded, Some(client));
        assert_eq!(read.transforms, &*transforms);
        assert_eq!(read.prefix, b"first");
        let found: Vec<_> = directives(read.directives).collect();
        assert_eq!(found, [(&b"Set-Cookie"[..], &b"a=b"[..]), (b"X", b"")]);
        let again = RequestHead::from_parts(read.head).unwrap();
        assert_eq!(again.raw(), head.raw());
        assert_eq!(
            again.fields_named("x-twice").collect::<Vec<_>>(),
            [b"1", b"2"]
        );
    }

    #[test]
    fn malformed_response_transforms_are_refused() {
        let head = head("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        for transforms in [&b"\0"[..], b"\x06\0\0\0\x09\0\0\0\0\0"] {
            let entry = RequestEntry {
                head: head.parts(),
                facts: RequestFacts::from(&head),
                framing: Framing::None,
                expects_continue: false,
                upgrade: false,
                head_received_ns: 0,
                queued_ns: 0,
                limits: ExchangeLimits::NONE,
                forwarded: None,
                transforms,
                directives: &[],
                prefix: &[],
            };
            let mut bytes = Vec::new();
            entry.encode_fixed(KEY, &mut bytes);
            bytes.extend_from_slice(entry.transforms);
            bytes.extend_from_slice(entry.head.raw);
            let error = FrontEntry::decode(&mut bytes, &mut Vec::new()).unwrap_err();
            assert_eq!(error, WireError::Invalid("response transforms"));
        }
    }

    #[test]
    fn small_entries_round_trip() {
        let mut fields = Vec::new();
        let mut gone = client_gone(KEY);
        assert!(matches!(
            FrontEntry::decode(&mut gone, &mut fields),
            Ok(FrontEntry::ClientGone(KEY))
        ));
        let mut over = closed(3, 4);
        assert!(matches!(
            FrontEntry::decode(&mut over, &mut fields),
            Ok(FrontEntry::Closed {
                slot: 3,
                generation: 4
            })
        ));
    }

    #[test]
    fn completed_round_trips() {
        let completed = Completed {
            key: KEY,
            disposition: Disposition::Keep,
            ending: Ending::Answered,
            status: 206,
            bytes_sent: 1,
            body_received: 2,
            received_ns: 3,
            first_byte_ns: 4,
            completed_ns: 5,
            leftover: b"GET / HTTP/1.1\r\n".to_vec(),
        };
        let mut bytes = Vec::new();
        completed.encode(&mut bytes);
        assert_eq!(Completed::decode(&bytes), Ok(completed));
    }

    /// The bytes that `docs/delegation-protocol.md` shows.
    #[test]
    fn what_is_told_is_written_as_the_page_shows() {
        let completed = Completed {
            key: KEY,
            disposition: Disposition::Keep,
            ending: Ending::Answered,
            status: 200,
            bytes_sent: 148,
            body_received: 0,
            received_ns: 3,
            first_byte_ns: 4,
            completed_ns: 5,
            leftover: Vec::new(),
        };
        let mut bytes = Vec::new();
        completed.encode_told(b"", &mut bytes);
        let shown: Vec<_> = bytes
            .chunks(16)
            .map(|line| {
                line.iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let page = include_str!("../../../docs/delegation-protocol.md");
        assert!(page.contains(&shown.join("\n")), "{shown:?}");
        assert_eq!(Completed::decode_told(&bytes), Ok(completed));
        assert!(Completed::decode(&bytes).is_err());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let head = head("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let limited = ExchangeLimits {
            body: 0,
            ..ExchangeLimits::NONE
        };
        let client = ForwardedClient {
            address: None,
            is_https: false,
        };
        for (limits, forwarded, len) in [
            (ExchangeLimits::NONE, None, 0),
            (limited, None, ExchangeLimits::LEN),
            (ExchangeLimits::NONE, Some(client), ForwardedClient::LEN),
            (
                limited,
                Some(client),
                ExchangeLimits::LEN + ForwardedClient::LEN,
            ),
        ] {
            let entry = RequestEntry {
                head: head.parts(),
                facts: RequestFacts::from(&head),
                framing: Framing::None,
                expects_continue: false,
                upgrade: false,
                head_received_ns: 0,
                queued_ns: 0,
                limits,
                forwarded,
                transforms: &[],
                directives: &[],
                prefix: &[],
            };
            let mut bytes = Vec::new();
            entry.encode_fixed(KEY, &mut bytes);
            assert_eq!(bytes.len(), RequestEntry::FIXED + len + 8);
            bytes.extend_from_slice(entry.head.raw);
            for end in 0..bytes.len() {
                assert!(
                    FrontEntry::decode(&mut bytes[..end].to_vec(), &mut Vec::new()).is_err(),
                    "{end}"
                );
            }
        }
    }

    /// The bytes in `docs/delegation-protocol.md`, section 19.
    #[test]
    fn the_page_s_examples_are_what_is_written() {
        let head = head("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
        let entry = RequestEntry {
            head: head.parts(),
            facts: RequestFacts::from(&head),
            framing: head.framing(),
            expects_continue: false,
            upgrade: false,
            head_received_ns: 1000,
            queued_ns: 2000,
            limits: ExchangeLimits::NONE,
            forwarded: None,
            transforms: &[],
            directives: &[],
            prefix: b"he",
        };
        let mut bytes = Vec::new();
        entry.encode_fixed(KEY, &mut bytes);
        bytes.extend_from_slice(entry.head.raw);
        bytes.extend_from_slice(entry.prefix);
        page::shows("a request", &bytes);
        page::shows("ClientGone", &client_gone(KEY));
        page::shows("Closed", &closed(KEY.slot, KEY.generation));
        let mut completed = Completed {
            key: KEY,
            disposition: Disposition::Keep,
            ending: Ending::Answered,
            status: 200,
            bytes_sent: 120,
            body_received: 5,
            received_ns: 3000,
            first_byte_ns: 4000,
            completed_ns: 5000,
            leftover: Vec::new(),
        };
        completed.encode(&mut bytes);
        page::shows("Completed", &bytes);
        completed = Completed {
            disposition: Disposition::Returned,
            ending: Ending::NotBegun,
            status: 0,
            bytes_sent: 0,
            body_received: 0,
            received_ns: 0,
            first_byte_ns: 0,
            completed_ns: 0,
            ..completed
        };
        completed.encode(&mut bytes);
        page::shows("returned", &bytes);
        assert_eq!(Stage::Received { body_read: false }.to_byte(9), 0x91);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(entry in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut fields = Vec::new();
            if let Ok(FrontEntry::Request(_, request, _)) = FrontEntry::decode(&mut entry.clone(), &mut fields) {
                let _ = RequestHead::from_parts(request.head);
                let _ = directives(request.directives).count();
                let _ = ResponseTransforms::decode(request.transforms);
            }
            let _ = Completed::decode(&entry);
            let _ = Completed::decode_told(&entry);
        }

        #[test]
        fn garbage_after_a_valid_start_never_panics(
            mut entry in proptest::collection::vec(any::<u8>(), 60..400), kind in 0u8..17
        ) {
            entry[0] = kind;
            let mut fields = Vec::new();
            if let Ok(FrontEntry::Request(_, request, _)) = FrontEntry::decode(&mut entry.clone(), &mut fields) {
                let _ = RequestHead::from_parts(request.head);
            }
            let _ = Completed::decode(&entry);
            let _ = Completed::decode_told(&entry);
        }
    }
}
