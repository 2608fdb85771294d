//! Field lines: where they stand in a head, and the grammar of names and values.

/// Where a field's name and value stand in the raw head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRange {
    /// Offset of the name.
    pub name_start: u32,
    /// Length of the name.
    pub name_len: u32,
    /// Offset of the value, white space before it skipped.
    pub value_start: u32,
    /// Length of the value, white space behind it not counted.
    pub value_len: u32,
}

/// A field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it was spelled.
    pub name: &'a str,
    /// The value, any byte of 0x80 and above as it came.
    pub value: &'a [u8],
}

impl FieldRange {
    pub(crate) fn name(self, raw: &[u8]) -> Option<&[u8]> {
        slice(raw, self.name_start, self.name_len)
    }

    pub(crate) fn value(self, raw: &[u8]) -> Option<&[u8]> {
        slice(raw, self.value_start, self.value_len)
    }
}

pub(crate) fn slice(raw: &[u8], start: u32, len: u32) -> Option<&[u8]> {
    let start = start as usize;
    raw.get(start..start + len as usize)
}

/// Whether a field that is added to a response takes the place of those of its name there: the
/// `Access-Control-` fields, with two of which a browser refuses a response (Fetch, section 4.9), and
/// `Strict-Transport-Security`, of which it reads the first (RFC 6797 section 8.1).
/// Others (`Set-Cookie`, `Vary`) stand beside what is there.
pub fn is_set_once(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"access-control-";
    if name.eq_ignore_ascii_case(b"strict-transport-security") {
        return true;
    }
    name.get(..PREFIX.len())
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

/// `tchar` (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
        | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
}

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// `field-content` and white space: no control characters but the tab (RFC 9110 section 5.5).
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
}

/// White space around a value: blanks and tabs only.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(start, |at| at + 1);
    &bytes[start..end]
}

/// The elements of a comma-separated list, empty ones left out (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}
