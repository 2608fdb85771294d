//! A request's head: its bytes, and an index of what stands where.

use crate::error::HeadError;
use crate::fields::{Field, FieldRange, slice};
use crate::framing::{Framing, RequestFacts, Version};
use crate::head::parts::{HeadIndex, HeadParts};
use crate::limits::Limits;
use crate::request_target::Form;

/// A parsed head: the bytes as received (request line, fields, the empty line) and an index.
///
/// One value serves all requests of a connection, so that reading a head allocates nothing.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// `raw.len() <= Limits::MAX_HEAD`; request line and names are ASCII.
    pub(crate) raw: Vec<u8>,
    pub(crate) fields: Vec<FieldRange>,
    pub(crate) method_len: u32,
    pub(crate) target_start: u32,
    pub(crate) target_len: u32,
    pub(crate) version: Version,
    pub(crate) form: Form,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    /// Index into `fields`.
    pub(crate) host: Option<u32>,
    /// Index into `fields`, when the request asks for an upgrade.
    pub(crate) upgrade: Option<u32>,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            raw: Vec::new(),
            fields: Vec::new(),
            method_len: 0,
            target_start: 0,
            target_len: 0,
            version: Version::Http11,
            form: Form::Origin,
            framing: Framing::None,
            keep_alive: false,
            expects_continue: false,
            host: None,
            upgrade: None,
        }
    }
}

impl RequestHead {
    /// The bytes as received, without empty lines before them; what no URI has is escaped in the
    /// request-target.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The method, in its own case.
    pub fn method(&self) -> &str {
        self.text(0, self.method_len)
    }

    /// Whether the method is HEAD.
    pub fn is_head(&self) -> bool {
        self.method() == "HEAD"
    }

    /// Whether the method is CONNECT.
    pub fn is_connect(&self) -> bool {
        self.method() == "CONNECT"
    }

    /// The request-target as received; what no URI has is escaped.
    pub fn request_target(&self) -> &str {
        self.text(self.target_start, self.target_len)
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The fields in their order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> + '_ {
        self.fields.iter().map(|range| self.field_at(*range))
    }

    /// Where the fields stand.
    pub fn field_ranges(&self) -> &[FieldRange] {
        &self.fields
    }

    /// The first value of this name, compared without case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// All values of this name in their order.
    pub fn fields_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.fields()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// `host[:port]`: of an absolute-form request-target if there is one (RFC 9112 section 3.2.2),
    /// else of the Host field; empty when there is neither.
    pub fn authority(&self) -> &str {
        match self.form {
            Form::Absolute {
                authority: (start, end),
                ..
            } => self.request_target().get(start..end).unwrap_or_default(),
            Form::Authority => self.request_target(),
            Form::Origin | Form::Asterisk => {
                let host = self.host.and_then(|at| self.fields.get(at as usize));
                let host = host.and_then(|range| range.value(&self.raw));
                host.and_then(|host| std::str::from_utf8(host).ok())
                    .unwrap_or_default()
            }
        }
    }

    /// The path as received, without the query: `/` where an absolute-form has none, `*` for
    /// `OPTIONS *`, empty for CONNECT.
    pub fn path(&self) -> &str {
        let target = self.path_and_query();
        match target.split_once('?').map_or(target, |(path, _)| path) {
            "" if matches!(self.form, Form::Absolute { .. }) => "/",
            path => path,
        }
    }

    /// What follows the first `?`.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query()
            .split_once('?')
            .map(|(_, query)| query)
    }

    fn path_and_query(&self) -> &str {
        match self.form {
            Form::Absolute { path, .. } => self.request_target().get(path..).unwrap_or_default(),
            Form::Authority => "",
            Form::Origin | Form::Asterisk => self.request_target(),
        }
    }

    /// How the body is delimited.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the connection may carry another request (RFC 9112 section 9.3).
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// `Expect: 100-continue` of an HTTP/1.1 request that has a body (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The Upgrade field's value, of an HTTP/1.1 request without body whose Connection lists
    /// `upgrade`.
    pub fn upgrade(&self) -> Option<&[u8]> {
        let range = self.fields.get((self.upgrade?) as usize)?;
        range.value(&self.raw)
    }

    /// The bytes and the index, to be sent elsewhere.
    pub fn parts(&self) -> HeadParts<'_> {
        HeadParts {
            raw: &self.raw,
            index: HeadIndex {
                fields: &self.fields,
                method_len: self.method_len,
                target_start: self.target_start,
                target_len: self.target_len,
                version: self.version,
            },
        }
    }

    /// Puts another request-target in the place of the one that is there.
    pub(super) fn replace_target(&mut self, target: &[u8]) -> Result<(), HeadError> {
        let start = self.target_start as usize;
        let old = self.target_len as usize;
        let moved = |offset: u32| {
            u32::try_from(offset as usize + target.len() - old)
                .map_err(|_| HeadError::RequestLineTooLong)
        };
        self.raw.splice(start..start + old, target.iter().copied());
        if self.raw.len() > Limits::MAX_HEAD {
            return Err(HeadError::RequestLineTooLong);
        }
        for range in &mut self.fields {
            range.name_start = moved(range.name_start)?;
            // An empty value's offset means nothing.
            if range.value_len > 0 {
                range.value_start = moved(range.value_start)?;
            }
        }
        self.target_len = moved(self.target_len)?;
        Ok(())
    }

    fn field_at(&self, range: FieldRange) -> Field<'_> {
        Field {
            name: self.text(range.name_start, range.name_len),
            value: range.value(&self.raw).unwrap_or_default(),
        }
    }

    /// Only ever asked for what was checked to be ASCII; anything else is empty.
    fn text(&self, start: u32, len: u32) -> &str {
        slice(&self.raw, start, len)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl From<&RequestHead> for RequestFacts {
    fn from(head: &RequestHead) -> Self {
        Self {
            is_head: head.is_head(),
            is_connect: head.is_connect(),
            version: head.version(),
            keep_alive: head.keep_alive(),
        }
    }
}
