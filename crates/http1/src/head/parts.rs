//! A head in the form in which it goes to another process, and becomes a request there.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};

use crate::error::InvalidHeadParts;
use crate::fields::FieldRange;
use crate::framing::Version;

/// A head's bytes and the index of them.
#[derive(Clone, Copy, Debug)]
pub struct HeadParts<'a> {
    /// The bytes as received.
    pub raw: &'a [u8],
    /// Where things stand in them.
    pub index: HeadIndex<'a>,
}

/// Where things stand in a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadIndex<'a> {
    /// The fields in their order.
    pub fields: &'a [FieldRange],
    /// Length of the method, which stands at the start.
    pub method_len: u32,
    /// Offset of the request-target.
    pub target_start: u32,
    /// Length of the request-target.
    pub target_len: u32,
    /// The version.
    pub version: Version,
}

/// The request for an application, without parsing the head again: field values are slices of
/// `raw`.
///
/// # Errors
///
/// When the index does not fit the bytes, or they hold what `http` has no type for.
pub fn to_http_request_parts(
    raw: &Bytes,
    index: &HeadIndex<'_>,
) -> Result<http::request::Parts, InvalidHeadParts> {
    let part = |start: u32, len: u32| {
        let (start, len) = (start as usize, len as usize);
        // An empty value's offset means nothing.
        if len == 0 {
            return Some(Bytes::new());
        }
        (start + len <= raw.len()).then(|| raw.slice(start..start + len))
    };
    let method = raw
        .get(..index.method_len as usize)
        .ok_or(InvalidHeadParts)?;
    let target = part(index.target_start, index.target_len).ok_or(InvalidHeadParts)?;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = Method::from_bytes(method).map_err(|_| InvalidHeadParts)?;
    parts.uri = Uri::from_maybe_shared(target).map_err(|_| InvalidHeadParts)?;
    parts.version = match index.version {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
    };
    parts.headers.reserve(index.fields.len());
    for range in index.fields {
        let name = range.name(raw).ok_or(InvalidHeadParts)?;
        let name = HeaderName::from_bytes(name).map_err(|_| InvalidHeadParts)?;
        let value = part(range.value_start, range.value_len).ok_or(InvalidHeadParts)?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| InvalidHeadParts)?;
        parts
            .headers
            .try_append(name, value)
            .map_err(|_| InvalidHeadParts)?;
    }
    Ok(parts)
}
