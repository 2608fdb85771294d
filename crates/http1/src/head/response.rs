//! Reading a response's head, as a client: what follows it, and whether the connection lasts.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use memchr::memchr;

use crate::error::ResponseHeadError;
use crate::fields::{is_value, list, trim};
use crate::framing::{ResponseBody, ResponseFraming, Version};
use crate::head::decode::parse_length;
use crate::head::encode::has_no_body;
use crate::head::field_section;

/// Finds where a response's head ends.
#[derive(Debug, Clone)]
pub struct ResponseHeadDecoder {
    /// Longest head in bytes, the empty line included.
    most: usize,
    /// Input bytes known to hold no end of the head. <= input.len()
    searched: usize,
}

/// A response's head.
#[derive(Debug)]
pub struct ResponseHead {
    /// The version; a later minor one counts as 1.1.
    pub version: Version,
    /// The status.
    pub status: StatusCode,
    /// What the status line says behind the status, where it is something of its own.
    pub reason: Option<Bytes>,
    /// The fields, less those that `Connection` names (RFC 9110 section 7.6.1), and with no
    /// `Content-Length` that the framing does not obey.
    pub fields: HeaderMap,
    /// How the body is delimited, and whether another request can follow.
    pub framing: ResponseFraming,
    /// How long the connection may be unused, where the server says so: a second less than that.
    pub idle_timeout: Option<Duration>,
}

/// Most empty lines before a status line.
const EMPTY_LINES: usize = 4;

impl ResponseHeadDecoder {
    /// What clients take: 64 KiB, status line and all (.NET's `MaxResponseHeadersLength`). There is
    /// no bound but this: not how many fields there are, nor how they arrive.
    pub const LONGEST_HEAD: usize = 64 * 1024;

    /// A decoder for heads of at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { most, searched: 0 }
    }

    /// How many bytes at the start of `input`, which is to hold all bytes from the head's first on,
    /// the head has; `None` while its end has not arrived.
    ///
    /// # Errors
    ///
    /// As soon as what is there cannot become a head any more.
    pub fn decode(&mut self, input: &[u8]) -> Result<Option<usize>, ResponseHeadError> {
        let skipped = empty_lines(input)?;
        let message = &input[skipped..];
        let mut searched = self.searched.saturating_sub(skipped);
        let end = field_section::find_end(message, &mut searched);
        let Some(end) = end.map(|end| skipped + end) else {
            self.searched = skipped + searched;
            if input.len() > self.most {
                return Err(ResponseHeadError::TooLong { most: self.most });
            }
            check_begun(message)?;
            return Ok(None);
        };
        self.searched = 0;
        if end > self.most {
            return Err(ResponseHeadError::TooLong { most: self.most });
        }
        Ok(Some(end))
    }
}

/// Bytes of empty lines before the status line.
fn empty_lines(input: &[u8]) -> Result<usize, ResponseHeadError> {
    let mut skipped = 0;
    for _ in 0..=EMPTY_LINES {
        match &input[skipped..] {
            [b'\r', b'\n', ..] => skipped += 2,
            [b'\n', ..] => skipped += 1,
            _ => return Ok(skipped),
        }
    }
    Err(ResponseHeadError::StatusLine)
}

/// Nobody waits for the end of what does not begin as a response.
fn check_begun(message: &[u8]) -> Result<(), ResponseHeadError> {
    const BEGINS: &[u8] = b"HTTP/1.";
    let compared = message.len().min(BEGINS.len());
    if message == b"\r" || message[..compared] == BEGINS[..compared] {
        return Ok(());
    }
    Err(ResponseHeadError::StatusLine)
}

impl ResponseHead {
    /// Reads a head that [`ResponseHeadDecoder::decode`] has found, the answer to a request with
    /// this method. Values are slices of `head`.
    ///
    /// # Errors
    ///
    /// When it is malformed, or where the message ends is not certain.
    pub fn parse(head: &Bytes, method: &Method) -> Result<Self, ResponseHeadError> {
        let start = empty_lines(head)?;
        let line_end = memchr(b'\n', &head[start..]).ok_or(ResponseHeadError::StatusLine)? + start;
        let line = &head[start..line_end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (version, status, reason) = status_line(line)?;
        let reason = match reason {
            b"" => None,
            reason if status.canonical_reason().map(str::as_bytes) == Some(reason) => None,
            reason => Some(head.slice_ref(reason)),
        };
        let section = section(head, line_end + 1)?;
        let mut fields = field_section::read(&section)?;
        let said = Said::by(&fields);
        let body = said.body(status, method, &mut fields)?;
        let keep_alive = said.keep_alive(version, body);
        said.remove_listed(&mut fields);
        Ok(Self {
            version,
            status,
            reason,
            fields,
            framing: ResponseFraming { body, keep_alive },
            idle_timeout: said.idle_timeout,
        })
    }
}

/// The field lines, without the empty line behind them.
fn section(head: &Bytes, from: usize) -> Result<Bytes, ResponseHeadError> {
    let lines = &head[from..];
    let lines = lines
        .strip_suffix(b"\r\n")
        .or(lines.strip_suffix(b"\n"))
        .ok_or(ResponseHeadError::StatusLine)?;
    // A value goes on in a line that begins with a blank; the status line has none.
    if lines
        .first()
        .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        return Err(ResponseHeadError::StatusLine);
    }
    Ok(head.slice_ref(lines))
}

/// `HTTP/1.x SP status [ SP reason ]` (RFC 9112 section 4). .NET takes each minor version.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode, &[u8]), ResponseHeadError> {
    let rest = line
        .strip_prefix(b"HTTP/1.")
        .ok_or(ResponseHeadError::StatusLine)?;
    let (version, rest) = match rest {
        [b'0', b' ', rest @ ..] => (Version::Http10, rest),
        [minor, b' ', rest @ ..] if minor.is_ascii_digit() => (Version::Http11, rest),
        _ => return Err(ResponseHeadError::StatusLine),
    };
    let (status, reason) = match rest {
        [a, b, c] => ([*a, *b, *c], &[][..]),
        [a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
        _ => return Err(ResponseHeadError::StatusLine),
    };
    let status = StatusCode::from_bytes(&status).map_err(|_| ResponseHeadError::Status)?;
    if !is_value(reason) {
        return Err(ResponseHeadError::StatusLine);
    }
    Ok((version, status, reason))
}

/// What the fields say of the message and its connection.
#[derive(Debug, Default)]
struct Said {
    lengths: Lengths,
    codings: Codings,
    closes: bool,
    persists: bool,
    /// `Connection` names fields.
    lists: bool,
    idle_timeout: Option<Duration>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    #[default]
    None,
    One(u64),
    /// The same several times, which is sent on as one (RFC 9110 section 8.6).
    Repeated(u64),
    Invalid,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Codings {
    #[default]
    None,
    /// `identity`, which RFC 2616 had for no coding, or an empty list.
    Identity,
    Chunked,
    Other,
}

impl Said {
    fn by(fields: &HeaderMap) -> Self {
        let mut said = Self::default();
        for (name, value) in fields {
            let value = value.as_bytes();
            match *name {
                CONTENT_LENGTH => said.length(value),
                TRANSFER_ENCODING => said.codings(value),
                CONNECTION => {
                    for option in list(value) {
                        let is = |wanted: &str| option.eq_ignore_ascii_case(wanted.as_bytes());
                        match () {
                            () if is("close") => said.closes = true,
                            () if is("keep-alive") => said.persists = true,
                            () => said.lists = true,
                        }
                    }
                }
                _ if name == "keep-alive" => said.keep_alive_parameters(value),
                _ => {}
            }
        }
        said
    }

    fn length(&mut self, value: &[u8]) {
        for text in value.split(|byte| *byte == b',') {
            let length = parse_length(trim(text));
            self.lengths = match (self.lengths, length) {
                (Lengths::None, Some(length)) => Lengths::One(length),
                (Lengths::One(other) | Lengths::Repeated(other), Some(length))
                    if other == length =>
                {
                    Lengths::Repeated(length)
                }
                _ => Lengths::Invalid,
            };
        }
    }

    fn codings(&mut self, value: &[u8]) {
        if self.codings == Codings::None {
            self.codings = Codings::Identity;
        }
        for coding in list(value) {
            let is = |wanted: &str| coding.eq_ignore_ascii_case(wanted.as_bytes());
            self.codings = match self.codings {
                Codings::Identity | Codings::None if is("chunked") => Codings::Chunked,
                codings if is("identity") => codings,
                // What it has been coded with would not be said to the client.
                _ => Codings::Other,
            };
        }
    }

    /// `timeout=5, max=100`. Some servers close exactly then, so that a request sent in the last
    /// second may be lost (as .NET).
    fn keep_alive_parameters(&mut self, value: &[u8]) {
        const AHEAD: u64 = 1;
        for parameter in list(value) {
            let mut parts = parameter.splitn(2, |byte| *byte == b'=').map(trim);
            let (Some(name), Some(number)) = (parts.next(), parts.next().and_then(parse_length))
            else {
                continue;
            };
            if name.eq_ignore_ascii_case(b"timeout") {
                match number.saturating_sub(AHEAD) {
                    0 => self.closes = true,
                    seconds => {
                        let timeout = Duration::from_secs(seconds);
                        let least = self
                            .idle_timeout
                            .map_or(timeout, |other| other.min(timeout));
                        self.idle_timeout = Some(least);
                    }
                }
            } else if name.eq_ignore_ascii_case(b"max") {
                self.closes |= number == 0;
            }
        }
    }

    /// RFC 9112 section 6.3. Fields that say something else of the length are taken away.
    fn body(
        &self,
        status: StatusCode,
        method: &Method,
        fields: &mut HeaderMap,
    ) -> Result<ResponseBody, ResponseHeadError> {
        if let Lengths::Repeated(length) = self.lengths {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let tunnels = *method == Method::CONNECT && status.is_success();
        if *method == Method::HEAD || has_no_body(status) || tunnels {
            // What a GET would give is only said.
            match self.codings {
                Codings::Chunked => drop(fields.remove(CONTENT_LENGTH)),
                _ if self.lengths == Lengths::Invalid => {
                    return Err(ResponseHeadError::ContentLength);
                }
                _ => {}
            }
            return Ok(ResponseBody::None);
        }
        match self.codings {
            Codings::Other => return Err(ResponseHeadError::TransferCoding),
            Codings::Chunked => {
                fields.remove(CONTENT_LENGTH);
                return Ok(ResponseBody::Chunked);
            }
            Codings::None | Codings::Identity => {}
        }
        let body = match self.lengths {
            Lengths::Invalid => return Err(ResponseHeadError::ContentLength),
            Lengths::One(length) | Lengths::Repeated(length) => ResponseBody::Length(length),
            Lengths::None => ResponseBody::UntilClose,
        };
        // RFC 9110 section 15.3.6.
        if status == StatusCode::RESET_CONTENT && matches!(body, ResponseBody::Length(1..)) {
            return Err(ResponseHeadError::ContentInReset);
        }
        Ok(body)
    }

    /// RFC 9112 section 9.3. Where a transfer coding stands that is none, or in HTTP/1.0, which has
    /// none (section 6.1), the server is not trusted with another request.
    fn keep_alive(&self, version: Version, body: ResponseBody) -> bool {
        let has_coding = self.codings != Codings::None;
        let is_certain = match version {
            Version::Http10 => self.persists && !has_coding,
            Version::Http11 => self.codings != Codings::Identity,
        };
        is_certain && !self.closes && body != ResponseBody::UntilClose
    }

    /// Names that `Connection` lists are those of fields for this connection. `Upgrade` is read by
    /// whoever switches the protocol.
    fn remove_listed(&self, fields: &mut HeaderMap) {
        if !self.lists {
            return;
        }
        let listed: Vec<_> = fields
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| list(value.as_bytes()))
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .filter(|name| *name != CONNECTION && *name != UPGRADE)
            .collect();
        field_section::retain(fields, |name| !listed.contains(name));
    }
}
