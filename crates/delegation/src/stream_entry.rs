//! Entries of streams: exchanges whose bytes travel in the rings, since their client's connection cannot
//! be handed over. Drawn in `docs/delegation-protocol.md`, section 18.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::control::{ConnectionFacts, TlsFacts, put_facts, put_tls, read_facts, read_tls};
use crate::entry::{Completed, ExchangeKey, RequestEntry, TOLD, put_key, read_key};
use crate::error::WireError;
use crate::wire::{Put, Reader};

/// Of both rings: a piece of a body.
pub(crate) const DATA: u8 = 5;
/// Of both rings: the trailers, behind which a body ends.
pub(crate) const TRAILERS: u8 = 6;
/// Of both rings: the peer may send more of the body.
pub(crate) const CREDIT: u8 = 7;
/// Of the target's ring: a response's head.
const HEAD: u8 = 8;
/// Of the target's ring: no more of the request's body is wanted.
const STOP: u8 = 9;

/// Of data: it is the last of the body, which has no trailers. Of a head: so is what stands in it.
const LAST: u8 = 1;

/// The client speaks TLS; its facts follow.
const HAS_TLS: u8 = 1;
/// The prefix is all of the body.
const WHOLE: u8 = 1 << 1;
/// The client has asked by the scheme that its connection does not show.
const OTHER_SCHEME: u8 = 1 << 2;

const UNKNOWN_LENGTH: u64 = u64::MAX;

/// What may be sent of a body in each direction before the reader gives credit, where the rings are not
/// so small that it would be [more than half](largest_window) of one.
///
/// No request's body goes beyond this before its target says that the application reads it: up to
/// then the front keeps a copy, and can give the request to another target.
pub const FIRST_WINDOW: u32 = 64 * 1024;

/// The first window over rings of this capacity.
pub fn first_window(ring_capacity: usize) -> u32 {
    FIRST_WINDOW.min(largest_window(ring_capacity))
}

/// What a data entry has in front of its data.
pub(crate) const DATA_FIXED: usize = 16;

/// The largest window of a stream over rings of this capacity: with all that one stream may have in a
/// ring, half of the ring is left to others.
pub fn largest_window(ring_capacity: usize) -> u32 {
    u32::try_from(ring_capacity / 2).unwrap_or(u32::MAX)
}

/// Which version of HTTP a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientVersion {
    /// HTTP/1.0.
    Http10 = 10,
    /// HTTP/1.1.
    Http11 = 11,
    /// HTTP/2.
    Http2 = 20,
}

impl ClientVersion {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Http10, Self::Http11, Self::Http2]
            .into_iter()
            .find(|version| *version as u8 == byte)
    }
}

/// Whose request a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamClient {
    /// The two ends of the client's connection.
    pub facts: ConnectionFacts,
    /// What its handshake said, if it speaks TLS.
    pub tls: Option<TlsFacts>,
    /// What it speaks.
    pub version: ClientVersion,
    /// Whether it has asked by https. Other than whether it speaks TLS only on channels whose target
    /// [knows of that](crate::front::FrontChannel::tells_forwarded_clients).
    pub is_https: bool,
}

/// A request whose body and response travel in the rings.
#[derive(Debug, Clone)]
pub struct StreamRequest<'a> {
    /// The head and what goes with it. The prefix is bytes of the body itself: chunks are undone.
    pub request: RequestEntry<'a>,
    /// Whose it is.
    pub client: StreamClient,
    /// The prefix is all of the body.
    pub is_whole: bool,
}

impl StreamRequest<'_> {
    /// Appends what a stream has between a request's fixed part and its index.
    pub(crate) fn put_client(&self, out: &mut Vec<u8>) {
        let tls = if self.client.tls.is_some() {
            HAS_TLS
        } else {
            0
        };
        let whole = if self.is_whole { WHOLE } else { 0 };
        let differs = self.client.is_https != self.client.tls.is_some();
        let scheme = if differs { OTHER_SCHEME } else { 0 };
        out.put_u8(tls | whole | scheme);
        out.put_u8(self.client.version as u8);
        out.put(&[0; 6]);
        put_facts(out, &self.client.facts);
        if let Some(tls) = &self.client.tls {
            put_tls(out, tls);
        }
    }

    /// Reads that, and whether the prefix is the whole body.
    pub(crate) fn read_client(reader: &mut Reader<'_>) -> Result<(StreamClient, bool), WireError> {
        const WHAT: &str = "the client of a stream";
        let flags = reader.u8()?;
        if flags & !(HAS_TLS | WHOLE | OTHER_SCHEME) != 0 {
            return Err(WireError::Invalid(WHAT));
        }
        let version = ClientVersion::from_byte(reader.u8()?).ok_or(WireError::Invalid(WHAT))?;
        reader.bytes(6)?;
        let facts = read_facts(reader)?;
        let tls = match flags & HAS_TLS {
            0 => None,
            _ => Some(read_tls(reader)?),
        };
        let client = StreamClient {
            facts,
            is_https: tls.is_some() != (flags & OTHER_SCHEME != 0),
            tls,
            version,
        };
        Ok((client, flags & WHOLE != 0))
    }
}

/// A response's head, interim or final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// The status: from 100 to 999.
    pub status: u16,
    /// How long the body is, if that is known.
    pub length: Option<u64>,
    /// The fields.
    pub fields: HeaderMap,
    /// The start of the body.
    pub data: Bytes,
    /// It is all of the body.
    pub is_last: bool,
}

/// What either end says of a stream's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEntry {
    /// A piece of it.
    Data {
        /// The bytes; none only where they are the last.
        data: Bytes,
        /// Nothing follows.
        is_last: bool,
    },
    /// Its trailers: it ends.
    Trailers(HeaderMap),
    /// So many bytes more may be sent of the body that goes the other way.
    Credit(u32),
}

/// An entry of the target's ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetEntry {
    /// An exchange is over.
    Completed(Completed),
    /// An exchange under a lease is over, and the lease goes on. Its head, if the front has asked for it,
    /// stands where a completion has its leftover.
    Told(Completed),
    /// A stream's response begins, or an interim one has come.
    Head(ExchangeKey, StreamHead),
    /// Of a stream's body.
    Body(ExchangeKey, BodyEntry),
    /// No more of the request's body is wanted.
    Stop(ExchangeKey),
}

impl TargetEntry {
    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// When lengths disagree, a kind is unknown or a field is none.
    pub fn decode(entry: &mut Vec<u8>) -> Result<Self, WireError> {
        match entry.first() {
            Some(&HEAD) => decode_head(entry),
            Some(&STOP) => {
                let mut reader = Reader::new(entry, "a stop entry");
                reader.bytes(4)?;
                let key = read_key(&mut reader)?;
                reader.end()?;
                Ok(Self::Stop(key))
            }
            Some(&(DATA | TRAILERS | CREDIT)) => {
                let (key, body) = decode_body(entry)?;
                Ok(Self::Body(key, body))
            }
            Some(&TOLD) => Completed::decode_told(entry).map(Self::Told),
            _ => Completed::decode(entry).map(Self::Completed),
        }
    }

    /// Which exchange it speaks of.
    pub fn key(&self) -> ExchangeKey {
        match self {
            Self::Completed(completed) | Self::Told(completed) => completed.key,
            Self::Head(key, _) | Self::Body(key, _) | Self::Stop(key) => *key,
        }
    }
}

fn decode_head(entry: &mut Vec<u8>) -> Result<TargetEntry, WireError> {
    const WHAT: &str = "a response head";
    let mut reader = Reader::new(entry, WHAT);
    reader.u8()?;
    let flags = reader.u8()?;
    let status = reader.u16()?;
    let key = read_key(&mut reader)?;
    let length = Some(reader.u64()?).filter(|length| *length != UNKNOWN_LENGTH);
    let fields = read_fields(&mut reader, WHAT)?;
    let data = reader.rest().len();
    let is_last = flags & LAST != 0;
    let is_interim = (100..200).contains(&status) && status != 101;
    let is_strange = flags & !LAST != 0 || !(100..1000).contains(&status);
    if is_strange || (is_interim && (is_last || data > 0)) {
        return Err(WireError::Invalid(WHAT));
    }
    let head = StreamHead {
        status,
        length,
        fields,
        data: take_data(entry, data),
        is_last,
    };
    Ok(TargetEntry::Head(key, head))
}

/// Reads what either end says of a body.
pub(crate) fn decode_body(entry: &mut Vec<u8>) -> Result<(ExchangeKey, BodyEntry), WireError> {
    const WHAT: &str = "an entry of a stream";
    let mut reader = Reader::new(entry, WHAT);
    let kind = reader.u8()?;
    let flags = reader.u8()?;
    reader.bytes(2)?;
    let key = read_key(&mut reader)?;
    let body = match kind {
        DATA => {
            let data = reader.rest().len();
            let is_last = flags & LAST != 0;
            if flags & !LAST != 0 || (data == 0 && !is_last) {
                return Err(WireError::Invalid(WHAT));
            }
            BodyEntry::Data {
                data: take_data(entry, data),
                is_last,
            }
        }
        TRAILERS => {
            let fields = read_fields(&mut reader, WHAT)?;
            reader.end()?;
            BodyEntry::Trailers(fields)
        }
        CREDIT => {
            let bytes = reader.u32()?;
            reader.end()?;
            BodyEntry::Credit(bytes)
        }
        _ => return Err(WireError::Invalid("the kind of a ring entry")),
    };
    Ok((key, body))
}

/// The last bytes of an entry: of its own memory where they are most of it.
fn take_data(entry: &mut Vec<u8>, len: usize) -> Bytes {
    /// Below this a copy is cheaper than memory of its own for the next entry.
    const FEW: usize = 4 * 1024;
    let start = entry.len() - len;
    if len < FEW {
        return Bytes::copy_from_slice(&entry[start..]);
    }
    Bytes::from(std::mem::take(entry)).slice(start..)
}

/// Writes the head's entry up to its data.
pub(crate) fn put_head(
    out: &mut Vec<u8>,
    key: ExchangeKey,
    status: u16,
    length: Option<u64>,
    fields: &HeaderMap,
    is_last: bool,
) {
    out.clear();
    out.put_u8(HEAD);
    out.put_u8(if is_last { LAST } else { 0 });
    out.put_u16(status);
    put_key(out, key);
    out.put_u64(length.unwrap_or(UNKNOWN_LENGTH));
    put_fields(out, fields);
}

/// What [`put_head`] writes, in bytes.
pub(crate) fn head_length(fields: &HeaderMap) -> usize {
    /// The head in front of its fields, their number included.
    const FIXED: usize = 28;
    /// What a field has beside its bytes.
    const FIELD: usize = 8;
    let fields = fields.iter();
    let fields = fields.map(|(name, value)| FIELD + name.as_str().len() + value.len());
    FIXED + fields.sum::<usize>()
}

/// Writes a data entry up to its data.
pub(crate) fn put_data(out: &mut Vec<u8>, key: ExchangeKey, is_last: bool) {
    out.clear();
    out.put(&[DATA, if is_last { LAST } else { 0 }, 0, 0]);
    put_key(out, key);
    debug_assert_eq!(out.len(), DATA_FIXED);
}

pub(crate) fn put_trailers(out: &mut Vec<u8>, key: ExchangeKey, fields: &HeaderMap) {
    out.clear();
    out.put(&[TRAILERS, 0, 0, 0]);
    put_key(out, key);
    put_fields(out, fields);
}

pub(crate) fn put_credit(out: &mut Vec<u8>, key: ExchangeKey, bytes: u32) {
    out.clear();
    out.put(&[CREDIT, 0, 0, 0]);
    put_key(out, key);
    out.put_u32(bytes);
}

pub(crate) fn put_stop(out: &mut Vec<u8>, key: ExchangeKey) {
    out.clear();
    out.put(&[STOP, 0, 0, 0]);
    put_key(out, key);
}

/// Fields: their number, then each with its lengths.
fn put_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    out.put_u32(fields.len() as u32);
    for (name, value) in fields {
        out.put_u16(name.as_str().len() as u16);
        out.put_u16(0);
        out.put_u32(value.len() as u32);
        out.put(name.as_str().as_bytes());
        out.put(value.as_bytes());
    }
}

fn read_fields(reader: &mut Reader<'_>, what: &'static str) -> Result<HeaderMap, WireError> {
    /// What the shortest field takes: a count beyond what the entry has room for is found before
    /// memory is asked for.
    const LEAST: usize = 9;
    let count = reader.u32()? as usize;
    if count > reader.rest().len() / LEAST {
        return Err(WireError::Short(what));
    }
    let mut fields = HeaderMap::new();
    let reserved = fields.try_reserve(count);
    reserved.map_err(|_| WireError::Invalid(what))?;
    for _ in 0..count {
        let name = reader.u16()?;
        reader.u16()?;
        let value = reader.u32()? as usize;
        let name = HeaderName::from_bytes(reader.bytes(name.into())?);
        let value = HeaderValue::from_bytes(reader.bytes(value)?);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(WireError::Invalid(what));
        };
        let added = fields.try_append(name, value);
        added.map_err(|_| WireError::Invalid(what))?;
    }
    Ok(fields)
}

#[cfg(test)]
mod tests;
