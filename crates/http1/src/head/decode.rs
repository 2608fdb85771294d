//! Reading a request's head: strictly, since whoever reads it decides where the message ends.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use crate::error::{HeadError, InvalidHeadParts};
use crate::fields::{FieldRange, is_token, is_value, list, slice};
use crate::framing::{Framing, Version};
use crate::head::parts::HeadParts;
use crate::head::request::RequestHead;
use crate::limits::Limits;
use crate::request_target::{self, Form, escape_request_target};

/// Reads heads of one connection, one after the other.
#[derive(Debug, Clone)]
pub struct HeadDecoder {
    limits: Limits,
    /// Input bytes known to hold no end of the head: they are not searched again. <= input.len()
    searched: usize,
}

/// How far a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadProgress {
    /// Its end has not arrived.
    Incomplete,
    /// It is whole.
    Complete {
        /// Bytes of the input it took, empty lines before it included.
        consumed: usize,
    },
}

/// Most empty lines before a request line: one is what RFC 9112 section 2.2 asks for.
const EMPTY_LINES: usize = 4;
/// The line end that ends the field lines.
const EMPTY_LINE: usize = 2;
/// Field slots on the stack; more are taken from the heap.
const FIELDS_ON_STACK: usize = 100;

impl HeadDecoder {
    /// A decoder with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.validated(),
            searched: 0,
        }
    }

    /// Starts with a new head.
    pub fn reset(&mut self) {
        self.searched = 0;
    }

    /// Reads the head at the start of `input`, which is to hold all bytes from its first on.
    ///
    /// # Errors
    ///
    /// As soon as what is there cannot become a head any more.
    pub fn decode(
        &mut self,
        input: &[u8],
        head: &mut RequestHead,
    ) -> Result<HeadProgress, HeadError> {
        let skipped = empty_lines(input)?;
        let message = &input[skipped..];
        let Some(end) = self.find_end(message)? else {
            self.check_incomplete(message)?;
            return Ok(HeadProgress::Incomplete);
        };
        self.searched = 0;
        self.check_lengths(&message[..end])?;
        self.parse(&message[..end], head)?;
        conclude(head)?;
        Ok(HeadProgress::Complete {
            consumed: skipped + end,
        })
    }

    /// Where the head ends. Every LF on the way must follow a CR.
    fn find_end(&mut self, message: &[u8]) -> Result<Option<usize>, HeadError> {
        let from = self.searched.min(message.len());
        for offset in memchr_iter(b'\n', &message[from..]) {
            let at = from + offset;
            if at == 0 || message[at - 1] != b'\r' {
                return Err(HeadError::LineEnd);
            }
            if message[..at - 1].ends_with(b"\r\n") {
                return Ok(Some(at + 1));
            }
        }
        self.searched = message.len();
        Ok(None)
    }

    fn check_lengths(&self, head: &[u8]) -> Result<(), HeadError> {
        let line = memchr(b'\n', head).map_or(head.len(), |at| at + 1);
        if line > self.limits.request_line {
            return Err(HeadError::RequestLineTooLong);
        }
        if head.len() - line > self.limits.field_lines + EMPTY_LINE {
            return Err(HeadError::HeadTooLong);
        }
        Ok(())
    }

    /// What can be said before the head has ended.
    fn check_incomplete(&self, message: &[u8]) -> Result<(), HeadError> {
        let line = memchr(b'\n', message);
        let length = line.map_or(message.len(), |at| at + 1);
        if length > self.limits.request_line {
            return Err(HeadError::RequestLineTooLong);
        }
        if message.len() - length > self.limits.field_lines + EMPTY_LINE {
            return Err(HeadError::HeadTooLong);
        }
        if line.is_none()
            && message
                .first()
                .is_some_and(|byte| !crate::fields::is_token_byte(*byte))
        {
            return Err(if message == b"\r" {
                return Ok(());
            } else {
                HeadError::RequestLine
            });
        }
        Ok(())
    }

    fn parse(&self, message: &[u8], head: &mut RequestHead) -> Result<(), HeadError> {
        let first = memchr(b'\r', message).unwrap_or(0);
        let (method_len, target) = request_line(&message[..first], &mut head.version)?;
        let mut on_stack = [httparse::EMPTY_HEADER; FIELDS_ON_STACK];
        let mut on_heap;
        let slots = if self.limits.fields <= FIELDS_ON_STACK {
            &mut on_stack[..self.limits.fields]
        } else {
            on_heap = vec![httparse::EMPTY_HEADER; self.limits.fields];
            &mut on_heap[..]
        };
        let fields_start = (first + 2).min(message.len());
        let fields = match httparse::parse_headers(&message[fields_start..], slots) {
            Ok(httparse::Status::Complete((end, fields)))
                if fields_start + end == message.len() =>
            {
                fields
            }
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyFields),
            _ => return Err(HeadError::Field),
        };
        let base = message.as_ptr().addr();
        let range = |part: &[u8]| (part.as_ptr().addr() - base) as u32;
        head.fields.clear();
        head.fields.extend(fields.iter().map(|field| FieldRange {
            name_start: range(field.name.as_bytes()),
            name_len: field.name.len() as u32,
            value_start: if field.value.is_empty() {
                0
            } else {
                range(field.value)
            },
            value_len: field.value.len() as u32,
        }));
        head.method_len = method_len as u32;
        head.target_start = target.0 as u32;
        head.target_len = target.1 as u32;
        head.raw.clear();
        head.raw.extend_from_slice(message);
        Ok(())
    }
}

/// Bytes of empty lines before the request line.
fn empty_lines(input: &[u8]) -> Result<usize, HeadError> {
    let mut skipped = 0;
    while input[skipped..].starts_with(b"\r\n") {
        skipped += 2;
        if skipped > 2 * EMPTY_LINES {
            return Err(HeadError::RequestLine);
        }
    }
    Ok(skipped)
}

/// Method, one blank, request-target, one blank, `HTTP/1.x` (RFC 9112 section 3). Returns the
/// method's length and where the target stands.
fn request_line(line: &[u8], version: &mut Version) -> Result<(usize, (usize, usize)), HeadError> {
    let method_len = memchr(b' ', line)
        .filter(|len| *len > 0)
        .ok_or(HeadError::RequestLine)?;
    if !is_token(&line[..method_len]) {
        return Err(HeadError::Method);
    }
    let rest = &line[method_len + 1..];
    let target_len = memchr(b' ', rest).ok_or(HeadError::RequestLine)?;
    *version = match &rest[target_len + 1..] {
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
            Version::Http11
        }
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(HeadError::Version);
        }
        _ => return Err(HeadError::RequestLine),
    };
    Ok((method_len, (method_len + 1, target_len)))
}

impl RequestHead {
    /// A head of parts that came from elsewhere. What the decoder concluded from the fields is
    /// concluded again.
    ///
    /// # Errors
    ///
    /// When a range is out of bounds or the head would not have been accepted.
    pub fn from_parts(parts: HeadParts<'_>) -> Result<Self, InvalidHeadParts> {
        let HeadParts { raw, index } = parts;
        let mut head = Self {
            raw: raw.to_vec(),
            fields: index.fields.to_vec(),
            method_len: index.method_len,
            target_start: index.target_start,
            target_len: index.target_len,
            version: index.version,
            ..Self::default()
        };
        let ranges_fit = head.fields.iter().all(|range| {
            range.name(raw).is_some_and(is_token) && range.value(raw).is_some_and(is_value)
        });
        let method = slice(raw, 0, index.method_len).filter(|method| is_token(method));
        let target = slice(raw, index.target_start, index.target_len);
        if !ranges_fit || method.is_none() || target.is_none() {
            return Err(InvalidHeadParts);
        }
        conclude(&mut head).map_err(|_| InvalidHeadParts)?;
        Ok(head)
    }
}

/// Draws the conclusions of a head whose ranges are known to fit: form of the target, host,
/// framing, persistence. What no URI has is escaped in the target.
fn conclude(head: &mut RequestHead) -> Result<(), HeadError> {
    let form = request_target::parse(head.request_target().as_bytes(), head.method().as_bytes())?;
    // Nothing but its path and query has come this far with such a character.
    if let Cow::Owned(target) = escape_request_target(head.request_target().as_bytes()) {
        head.replace_target(&target)?;
    }
    let RequestHead {
        raw,
        fields,
        target_start,
        target_len,
        version,
        ..
    } = head;
    let target = slice(raw, *target_start, *target_len).unwrap_or_default();
    let mut seen = Seen::default();
    for (at, range) in fields.iter().enumerate() {
        let (Some(name), Some(value)) = (range.name(raw), range.value(raw)) else {
            return Err(HeadError::Field);
        };
        seen.field(at as u32, name, value)?;
    }
    check_host(&seen, fields, raw, form, target, *version)?;
    let framing = seen.framing(*version)?;
    let http11 = *version == Version::Http11;
    head.form = form;
    head.framing = framing;
    head.host = seen.host;
    head.keep_alive = !seen.close && (http11 || seen.keep_alive);
    head.expects_continue = seen.expects_continue && http11 && framing != Framing::None;
    let upgrades = http11 && seen.lists_upgrade && framing == Framing::None;
    head.upgrade = seen.upgrade.filter(|_| upgrades);
    Ok(())
}

/// What the fields say that matters to the message itself.
#[derive(Default)]
struct Seen {
    host: Option<u32>,
    hosts: usize,
    length: Option<u64>,
    transfer_encoding: bool,
    chunked: bool,
    /// A coding stood before `chunked`, or alone.
    other_coding: bool,
    bad_coding: bool,
    close: bool,
    keep_alive: bool,
    lists_upgrade: bool,
    upgrade: Option<u32>,
    expects_continue: bool,
}

impl Seen {
    fn field(&mut self, at: u32, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        match name.len() {
            4 if is("host") => {
                self.hosts += 1;
                self.host = Some(at);
            }
            6 if is("expect") => {
                self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if is("upgrade") => self.upgrade = self.upgrade.or(Some(at)),
            10 if is("connection") => {
                for option in list(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    self.lists_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
                }
            }
            14 if is("content-length") => self.content_length(value)?,
            17 if is("transfer-encoding") => self.codings(value),
            _ => {}
        }
        Ok(())
    }

    /// Equal values may stand several times (RFC 9112 section 6.3, rule 5).
    fn content_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for text in value.split(|byte| *byte == b',') {
            let length = parse_length(crate::fields::trim(text)).ok_or(HeadError::ContentLength)?;
            if self.length.is_some_and(|other| other != length) {
                return Err(HeadError::ContentLength);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    fn codings(&mut self, value: &[u8]) {
        self.transfer_encoding = true;
        for coding in list(value) {
            // Nothing may stand behind `chunked`, itself included.
            self.bad_coding |= self.chunked;
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                // `identity` is no coding any more (RFC 9112 section 7).
                self.bad_coding |= coding.eq_ignore_ascii_case(b"identity");
                self.other_coding = true;
            }
        }
    }

    fn framing(&self, version: Version) -> Result<Framing, HeadError> {
        if !self.transfer_encoding {
            return Ok(match self.length {
                None | Some(0) => Framing::None,
                Some(length) => Framing::Length(length),
            });
        }
        if self.length.is_some() {
            return Err(HeadError::LengthAndTransferEncoding);
        }
        if version == Version::Http10 || self.bad_coding {
            return Err(HeadError::TransferEncoding);
        }
        if self.other_coding {
            return Err(HeadError::UnknownTransferCoding);
        }
        if self.chunked {
            Ok(Framing::Chunked)
        } else {
            Err(HeadError::TransferEncoding)
        }
    }
}

/// Digits only, and small enough that sums of it cannot overflow.
pub(crate) fn parse_length(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (length <= u64::MAX / 2).then_some(length)
}

fn check_host(
    seen: &Seen,
    fields: &[FieldRange],
    raw: &[u8],
    form: Form,
    target: &[u8],
    version: Version,
) -> Result<(), HeadError> {
    if seen.hosts > 1 || (seen.hosts == 0 && version == Version::Http11) {
        return Err(HeadError::HostCount);
    }
    let Some(range) = seen.host.and_then(|at| fields.get(at as usize)) else {
        return Ok(());
    };
    let host = range.value(raw).unwrap_or_default();
    let text = std::str::from_utf8(host).map_err(|_| HeadError::Host)?;
    // An empty Host goes with a target that has no authority (RFC 9112 section 3.2).
    if !text.is_empty() && !request_target::is_authority(text) {
        return Err(HeadError::Host);
    }
    // Kestrel's rule: two different authorities are one too many.
    match form {
        Form::Absolute {
            is_https,
            authority: (start, end),
            ..
        } => {
            let authority = target.get(start..end).unwrap_or_default();
            if request_target::is_same_authority(authority, host, is_https) {
                Ok(())
            } else {
                Err(HeadError::Host)
            }
        }
        _ => Ok(()),
    }
}
