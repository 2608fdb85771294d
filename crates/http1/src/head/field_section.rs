//! Field lines of a response, as clients take them from servers.
//!
//! Servers are older than RFC 9112 and do not change, so a few things that are refused in a request
//! are read here as every client reads them: lines that end in a bare LF (RFC 9112 section 2.2),
//! values that go on in the next line (section 5.2: unfolded, as .NET does, each byte of the line
//! end becoming a blank), blanks between name and colon (section 5.1: taken away by a proxy).
//! Control characters are refused all the same: nothing that begins another line gets through.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use crate::error::FieldSectionError;
use crate::fields::trim;

/// Where an empty line ends a section that begins at the start of `input`, and whether there is one.
/// Nothing before `searched` is looked at again.
pub(crate) fn find_end(input: &[u8], searched: &mut usize) -> Option<usize> {
    let mut from = *searched;
    while let Some(offset) = memchr(b'\n', input.get(from..)?) {
        let behind = from + offset + 1;
        match &input[behind..] {
            [b'\n', ..] => return Some(behind + 1),
            [b'\r', b'\n', ..] => return Some(behind + 2),
            // Whether the next line is empty is not known yet.
            [] | [b'\r'] => {
                *searched = from + offset;
                return None;
            }
            _ => from = behind,
        }
    }
    *searched = input.len();
    None
}

/// Reads the lines of a section, without the empty one that ends it; `section` is all of it. The
/// values are slices of it.
pub(crate) fn read(section: &Bytes) -> Result<HeaderMap, FieldSectionError> {
    let mut fields = HeaderMap::with_capacity(16);
    let mut at = 0;
    while at < section.len() {
        let line = line(section, at);
        let content = section[at..line.end].strip_suffix(b"\r");
        let end = at + content.map_or(line.end - at, <[u8]>::len);
        let (name, value) = field(section, at, end, line.folded)?;
        fields
            .try_append(name, value)
            .map_err(|_| FieldSectionError::TooMany)?;
        at = line.end + 1;
    }
    Ok(fields)
}

/// A line and those that it goes on in.
struct Line {
    /// Where the LF stands that ends it.
    end: usize,
    folded: bool,
}

fn line(section: &[u8], start: usize) -> Line {
    let mut from = start;
    loop {
        let lf = memchr(b'\n', &section[from..]);
        let end = lf.map_or(section.len(), |offset| from + offset);
        match section.get(end + 1) {
            Some(b' ' | b'\t') => from = end + 1,
            _ => {
                let folded = from != start;
                return Line { end, folded };
            }
        }
    }
}

fn field(
    section: &Bytes,
    start: usize,
    end: usize,
    folded: bool,
) -> Result<(HeaderName, HeaderValue), FieldSectionError> {
    let line = &section[start..end];
    let colon = memchr(b':', line).ok_or(FieldSectionError::Line)?;
    let blanks = line[..colon]
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b' ' | b'\t'));
    let name = &line[..colon - blanks.count()];
    let name = HeaderName::from_bytes(name).map_err(|_| FieldSectionError::Name)?;
    let value = trim(&line[colon + 1..]);
    let value = if value.is_empty() {
        Ok(HeaderValue::from_static(""))
    } else if folded {
        HeaderValue::from_maybe_shared(Bytes::from(unfolded(value)))
    } else {
        HeaderValue::from_maybe_shared(section.slice_ref(value))
    };
    let value = value.map_err(|_| FieldSectionError::Value(name.clone()))?;
    Ok((name, value))
}

/// Each byte of a line end within a value as a blank.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut unfolded = value.to_vec();
    for at in 0..unfolded.len() {
        if unfolded[at] == b'\n' {
            unfolded[at] = b' ';
            if at > 0 && unfolded[at - 1] == b'\r' {
                unfolded[at - 1] = b' ';
            }
        }
    }
    trim(&unfolded).to_vec()
}

/// Takes away what may not stand behind a body: what frames or routes a message, says who sends or
/// may see it, or how its content is to be read (RFC 9110 section 6.5.1).
pub fn keep_trailers(trailers: &mut HeaderMap) {
    retain(trailers, may_be_trailer);
}

/// Keeps the fields of these names, in their order.
pub(crate) fn retain(fields: &mut HeaderMap, keeps: impl Fn(&HeaderName) -> bool) {
    if fields.keys().all(&keeps) {
        return;
    }
    let mut kept = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields.iter().filter(|(name, _)| keeps(name)) {
        kept.append(name, value.clone());
    }
    *fields = kept;
}

fn may_be_trailer(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "age"
            | "authorization"
            | "cache-control"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "cookie"
            | "date"
            | "expect"
            | "expires"
            | "host"
            | "location"
            | "max-forwards"
            | "pragma"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "range"
            | "retry-after"
            | "set-cookie"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "vary"
            | "warning"
            | "www-authenticate"
    )
}
