//! Reading a request's body, as its framing says.

use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use crate::error::BodyError;
use crate::fields::{is_token, is_token_byte, is_value, trim};
use crate::framing::Framing;

/// Bounds of what surrounds the data of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Longest chunk line in bytes, extensions included: 4 KiB.
    pub chunk_line: usize,
    /// Longest trailer section in bytes, however many fields there are: 32 KiB, as heads.
    pub trailers: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            chunk_line: 4 * 1024,
            trailers: 32 * 1024,
        }
    }
}

/// Reads one body. It keeps no bytes: what it has not consumed is to be given again, with more.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    limits: BodyLimits,
    delivered: u64,
    trailer_bytes: usize,
    trailers: Option<HeaderMap>,
}

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of a body with a length. > 0
    Length(u64),
    /// A chunk line.
    ChunkLine,
    /// So many bytes of a chunk. > 0
    ChunkData(u64),
    /// The line end behind a chunk's data.
    ChunkEnd,
    /// A trailer field, or the empty line that ends the body.
    Trailer,
    End,
}

/// What a piece of input held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyProgress {
    /// `input[start..end]` is data, never empty; `consumed` bytes of the input are used up.
    Data {
        /// Where the data begins.
        start: usize,
        /// Where it ends.
        end: usize,
        /// Bytes used up. >= end
        consumed: usize,
    },
    /// More is needed; `consumed` bytes are used up, the rest is to be given again.
    NeedMore {
        /// Bytes used up.
        consumed: usize,
    },
    /// The body has ended; what is behind `consumed` belongs to the next message.
    End {
        /// Bytes used up.
        consumed: usize,
    },
}

impl BodyDecoder {
    /// A decoder for a body framed so, with the default limits.
    pub fn new(framing: Framing) -> Self {
        Self::with_limits(framing, BodyLimits::default())
    }

    /// A decoder with limits of one's own.
    pub fn with_limits(framing: Framing, limits: BodyLimits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkLine,
        };
        Self {
            state,
            limits,
            delivered: 0,
            trailer_bytes: 0,
            trailers: None,
        }
    }

    /// Reads on at the start of `input`.
    ///
    /// # Errors
    ///
    /// When the body is malformed. The decoder is of no more use.
    pub fn decode(&mut self, input: &[u8]) -> Result<BodyProgress, BodyError> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            match self.state {
                State::End => return Ok(BodyProgress::End { consumed }),
                State::Length(left) | State::ChunkData(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    if count == 0 {
                        return Ok(BodyProgress::NeedMore { consumed });
                    }
                    self.advance_data(left - count as u64);
                    self.delivered += count as u64;
                    let end = consumed + count;
                    return Ok(BodyProgress::Data {
                        start: consumed,
                        end,
                        consumed: end,
                    });
                }
                State::ChunkLine => {
                    let Some(line) =
                        line(rest, self.limits.chunk_line, BodyError::ChunkLineTooLong)?
                    else {
                        return Ok(BodyProgress::NeedMore { consumed });
                    };
                    consumed += line.len() + 2;
                    self.state = match chunk_size(line)? {
                        0 => State::Trailer,
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        consumed += 2;
                        self.state = State::ChunkLine;
                    }
                    [] | [b'\r'] => return Ok(BodyProgress::NeedMore { consumed }),
                    _ => return Err(BodyError::LineEnd),
                },
                State::Trailer => {
                    let room = self.limits.trailers - self.trailer_bytes;
                    let Some(line) = line(rest, room, BodyError::TrailersTooLong)? else {
                        return Ok(BodyProgress::NeedMore { consumed });
                    };
                    consumed += line.len() + 2;
                    self.trailer(line)?;
                }
            }
        }
    }

    /// Whether the body has ended.
    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// Most bytes worth reading now without running far past the body's end: what is left of it, or
    /// of the chunk and the shortest thing that can follow. At least 1.
    pub fn read_hint(&self) -> usize {
        /// A line end, and `0` with the two line ends that close a body.
        const BEHIND_CHUNK: usize = 2 + 5;
        let left = |left: u64| usize::try_from(left).unwrap_or(usize::MAX);
        match self.state {
            State::Length(length) => left(length),
            State::ChunkData(size) => left(size).saturating_add(BEHIND_CHUNK),
            State::ChunkEnd => BEHIND_CHUNK,
            State::ChunkLine => 1024,
            State::Trailer => 2,
            State::End => 1,
        }
    }

    /// Bytes left of a body with a length; `None` for chunks.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// The trailer section's fields, once, after the end of a body that had any.
    pub fn trailers(&mut self) -> Option<HeaderMap> {
        if self.state == State::End {
            self.trailers.take()
        } else {
            None
        }
    }

    /// Bytes delivered as data so far.
    pub fn consumed_body(&self) -> u64 {
        self.delivered
    }

    fn advance_data(&mut self, left: u64) {
        self.state = match (self.state, left) {
            (State::Length(_), 0) => State::End,
            (State::Length(_), left) => State::Length(left),
            (_, 0) => State::ChunkEnd,
            (_, left) => State::ChunkData(left),
        };
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), BodyError> {
        if line.is_empty() {
            self.state = State::End;
            return Ok(());
        }
        self.trailer_bytes += line.len() + 2;
        let colon = memchr(b':', line).ok_or(BodyError::Trailer)?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_token(name) || !is_value(value) || is_forbidden(name) {
            return Err(BodyError::Trailer);
        }
        let name = HeaderName::from_bytes(name).map_err(|_| BodyError::Trailer)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| BodyError::Trailer)?;
        let trailers = self.trailers.get_or_insert_default();
        trailers
            .try_append(name, value)
            .map_err(|_| BodyError::TrailersTooLong)?;
        Ok(())
    }
}

/// Fields that frame or route a message mean nothing behind it (RFC 9110 section 6.5.1).
fn is_forbidden(name: &[u8]) -> bool {
    [
        "content-length",
        "transfer-encoding",
        "host",
        "connection",
        "trailer",
        "te",
        "upgrade",
    ]
    .iter()
    .any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes()))
}

/// A line without its end, once it is whole; it may have `most` bytes with its end.
fn line(input: &[u8], most: usize, too_long: BodyError) -> Result<Option<&[u8]>, BodyError> {
    let Some(end) = memchr(b'\n', input) else {
        // A CR that nothing but an LF may follow.
        if let Some(at) = memchr(b'\r', input)
            && at + 1 < input.len()
        {
            return Err(BodyError::LineEnd);
        }
        return if input.len() > most {
            Err(too_long)
        } else {
            Ok(None)
        };
    };
    if end >= most {
        return Err(too_long);
    }
    match input[..end].strip_suffix(b"\r") {
        Some(line) if memchr(b'\r', line).is_none() => Ok(Some(line)),
        _ => Err(BodyError::LineEnd),
    }
}

/// `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1).
fn chunk_size(line: &[u8]) -> Result<u64, BodyError> {
    let (size, extensions) = hexadecimal(line)?;
    // White space is allowed before the semicolon that begins an extension, nothing else is.
    match trim(extensions).first() {
        None if extensions.is_empty() => Ok(size),
        Some(b';') => check_extensions(trim(extensions)).map(|()| size),
        _ => Err(BodyError::ChunkSize),
    }
}

/// The number at the start of a chunk line, and what stands behind it.
pub(super) fn hexadecimal(line: &[u8]) -> Result<(u64, &[u8]), BodyError> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    if digits == 0 {
        return Err(BodyError::ChunkSize);
    }
    let mut size: u64 = 0;
    for digit in &line[..digits] {
        let digit = char::from(*digit)
            .to_digit(16)
            .ok_or(BodyError::ChunkSize)?;
        size = size.checked_mul(16).ok_or(BodyError::ChunkSize)? + u64::from(digit);
    }
    if size > u64::MAX / 2 {
        return Err(BodyError::ChunkSize);
    }
    Ok((size, &line[digits..]))
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` (RFC 9112 section 7.1.1).
fn check_extensions(mut rest: &[u8]) -> Result<(), BodyError> {
    while !rest.is_empty() {
        rest = trim(rest.strip_prefix(b";").ok_or(BodyError::ChunkExtension)?);
        rest = skip_token(rest)?;
        if let Some(value) = rest.strip_prefix(b"=") {
            let value = trim(value);
            rest = if value.first() == Some(&b'"') {
                skip_quoted(value)?
            } else {
                skip_token(value)?
            };
        }
    }
    Ok(())
}

fn skip_token(from: &[u8]) -> Result<&[u8], BodyError> {
    match from.iter().take_while(|byte| is_token_byte(**byte)).count() {
        0 => Err(BodyError::ChunkExtension),
        length => Ok(trim(&from[length..])),
    }
}

fn skip_quoted(from: &[u8]) -> Result<&[u8], BodyError> {
    let mut at = 1;
    loop {
        match from.get(at) {
            Some(b'"') => return Ok(trim(&from[at + 1..])),
            Some(b'\\') if from.get(at + 1).is_some_and(|byte| is_value(&[*byte])) => at += 2,
            Some(byte) if *byte != b'\\' && is_value(&[*byte]) => at += 1,
            _ => return Err(BodyError::ChunkExtension),
        }
    }
}
