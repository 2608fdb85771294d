//! Reading a response's body, as a client.
//!
//! As with heads, servers are taken as every client takes them: a chunk line may end in a bare LF
//! (.NET), have blanks behind its size and anything in its extensions (hyper). Where a chunk begins
//! and ends is never in doubt.

use bytes::Bytes;
use http::HeaderMap;
use memchr::memchr;

use super::decode::{BodyProgress, hexadecimal};
use crate::error::{BodyError, ResponseBodyError};
use crate::fields::{is_value, trim};
use crate::framing::ResponseBody;
use crate::head::field_section::{self, keep_trailers};
use crate::head::response::ResponseHeadDecoder;

/// Reads one response's body. It keeps no bytes: what it has not consumed is to be given again, with
/// more.
#[derive(Debug)]
pub struct ResponseBodyDecoder {
    state: State,
    trailers: Option<HeaderMap>,
}

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes. > 0
    Length(u64),
    UntilClose,
    ChunkLine,
    /// So many bytes of a chunk. > 0
    ChunkData(u64),
    /// The line end behind a chunk's data.
    ChunkEnd,
    /// The trailer section, of which so many bytes are known to hold no end.
    Trailers(usize),
    End,
}

/// Longest chunk line, extensions included (.NET).
const LONGEST_CHUNK_LINE: usize = 16 * 1024;
/// Longest trailer section: as a head.
const LONGEST_TRAILERS: usize = ResponseHeadDecoder::LONGEST_HEAD;

impl ResponseBodyDecoder {
    /// A decoder for a body framed so.
    pub fn new(body: ResponseBody) -> Self {
        let state = match body {
            ResponseBody::None | ResponseBody::Length(0) => State::End,
            ResponseBody::Length(length) => State::Length(length),
            ResponseBody::Chunked => State::ChunkLine,
            ResponseBody::UntilClose => State::UntilClose,
        };
        Self {
            state,
            trailers: None,
        }
    }

    /// Reads on at the start of `input`.
    ///
    /// # Errors
    ///
    /// When the body is malformed. The decoder is of no more use.
    pub fn decode(&mut self, input: &[u8]) -> Result<BodyProgress, ResponseBodyError> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            match self.state {
                State::End => return Ok(BodyProgress::End { consumed }),
                State::Length(_) | State::ChunkData(_) | State::UntilClose if rest.is_empty() => {
                    return Ok(BodyProgress::NeedMore { consumed });
                }
                State::Length(left) | State::ChunkData(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.advance(left - count as u64);
                    return Ok(data(consumed, count));
                }
                State::UntilClose => return Ok(data(consumed, rest.len())),
                State::ChunkLine => {
                    let Some((size, length)) = chunk_line(rest)? else {
                        return Ok(BodyProgress::NeedMore { consumed });
                    };
                    consumed += length;
                    self.state = match size {
                        0 => State::Trailers(0),
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkEnd => {
                    let Some(length) = empty_line(rest) else {
                        return match rest {
                            [] | [b'\r'] => Ok(BodyProgress::NeedMore { consumed }),
                            _ => Err(BodyError::LineEnd.into()),
                        };
                    };
                    consumed += length;
                    self.state = State::ChunkLine;
                }
                State::Trailers(searched) => {
                    let Some(length) = self.trailers_in(rest, searched)? else {
                        return Ok(BodyProgress::NeedMore { consumed });
                    };
                    consumed += length;
                    self.state = State::End;
                }
            }
        }
    }

    /// The connection has ended: whether the body has too.
    ///
    /// # Errors
    ///
    /// When it has not.
    pub fn end_of_stream(&mut self) -> Result<(), ResponseBodyError> {
        match self.state {
            State::UntilClose | State::End => {
                self.state = State::End;
                Ok(())
            }
            _ => Err(ResponseBodyError::CutOff),
        }
    }

    /// Whether the body has ended.
    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// Bytes left of a body whose length is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// The trailer section's fields, once, after the end of a body that had any. What means nothing
    /// behind a body is not among them ([`keep_trailers`]).
    pub fn trailers(&mut self) -> Option<HeaderMap> {
        match self.state {
            State::End => self.trailers.take(),
            _ => None,
        }
    }

    fn advance(&mut self, left: u64) {
        self.state = match (self.state, left) {
            (State::Length(_), 0) => State::End,
            (State::Length(_), left) => State::Length(left),
            (_, 0) => State::ChunkEnd,
            (_, left) => State::ChunkData(left),
        };
    }

    /// How long the trailer section is, once it is whole.
    fn trailers_in(
        &mut self,
        input: &[u8],
        mut searched: usize,
    ) -> Result<Option<usize>, ResponseBodyError> {
        if let Some(length) = empty_line(input) {
            return Ok(Some(length));
        }
        let end = field_section::find_end(input, &mut searched);
        if end.unwrap_or(input.len()) > LONGEST_TRAILERS {
            return Err(BodyError::TrailersTooLong.into());
        }
        let Some(end) = end else {
            self.state = State::Trailers(searched);
            return Ok(None);
        };
        let lines = &input[..end];
        let lines = lines.strip_suffix(b"\r\n").or(lines.strip_suffix(b"\n"));
        let section = Bytes::copy_from_slice(lines.unwrap_or_default());
        let mut trailers = field_section::read(&section)?;
        keep_trailers(&mut trailers);
        self.trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
        Ok(Some(end))
    }
}

fn data(start: usize, count: usize) -> BodyProgress {
    let end = start + count;
    BodyProgress::Data {
        start,
        end,
        consumed: end,
    }
}

/// The length of the empty line at the start of `input`, if there is one.
fn empty_line(input: &[u8]) -> Option<usize> {
    match input {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

/// A chunk's size, and the length of the line it stands in, once that is whole.
fn chunk_line(input: &[u8]) -> Result<Option<(u64, usize)>, BodyError> {
    let end = memchr(b'\n', input);
    if end.unwrap_or(input.len()) >= LONGEST_CHUNK_LINE {
        return Err(BodyError::ChunkLineTooLong);
    }
    let Some(end) = end else {
        // Nobody waits for the end of what is no chunk line.
        return match input {
            [] | [b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..] => Ok(None),
            _ => Err(BodyError::ChunkSize),
        };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let (size, behind) = hexadecimal(line)?;
    match trim(behind) {
        [] => Ok(Some((size, end + 1))),
        [b';', extensions @ ..] if is_value(extensions) => Ok(Some((size, end + 1))),
        [b';', ..] => Err(BodyError::ChunkExtension),
        _ => Err(BodyError::ChunkSize),
    }
}
