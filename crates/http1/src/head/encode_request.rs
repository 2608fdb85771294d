//! Writing a request's head, as a client: this is where its framing is decided.

use http::header::{CONTENT_LENGTH, COOKIE, HeaderName, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, Method};

use crate::error::RequestHeadError;
use crate::framing::{BodyLength, ResponseBody, Version};

/// A request's head, to be written.
#[derive(Debug, Clone, Copy)]
pub struct RequestHeadParts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request-target, in the form that goes over the wire.
    pub target: &'a str,
    /// The version.
    pub version: Version,
    /// The fields. How the body is delimited is not taken from them.
    pub fields: &'a HeaderMap,
    /// What is known of the body.
    pub body: BodyLength,
    /// How several values of one name are written.
    pub same_name: SameName,
}

/// How several values of one name are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SameName {
    /// Each in a line of its own.
    #[default]
    Lines,
    /// In one line, as .NET writes them: `Cookie` joined by `; `, `User-Agent` by a blank, all
    /// others by `, ` (RFC 9110 section 5.3).
    OneLine,
}

/// Appends a request's head to `out` and says how its body is to be framed: with a length that is
/// known, else in chunks.
///
/// # Errors
///
/// When it cannot be written so that it is read as what it is.
pub fn encode_request_head(
    out: &mut Vec<u8>,
    head: RequestHeadParts<'_>,
) -> Result<ResponseBody, RequestHeadError> {
    let body = match (head.body, head.version) {
        (BodyLength::Empty, _) => ResponseBody::None,
        (BodyLength::Known(length), _) => ResponseBody::Length(length),
        (BodyLength::Unknown, Version::Http11) => ResponseBody::Chunked,
        // RFC 9112 section 6.1.
        (BodyLength::Unknown, Version::Http10) => return Err(RequestHeadError::ChunkedInHttp10),
    };
    let is_target = |byte: u8| byte > b' ' && byte != 0x7f;
    if head.target.is_empty() || !head.target.bytes().all(is_target) {
        return Err(RequestHeadError::Target);
    }
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(match head.version {
        Version::Http10 => b" HTTP/1.0\r\n",
        Version::Http11 => b" HTTP/1.1\r\n",
    });
    put_fields(out, head.fields, body, head.same_name);
    if body == ResponseBody::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(body)
}

/// The length stands where the fields have it, once.
fn put_fields(out: &mut Vec<u8>, fields: &HeaderMap, body: ResponseBody, same_name: SameName) {
    let mut has_length = false;
    let mut put_length = |out: &mut Vec<u8>| {
        let length = match body {
            ResponseBody::Length(length) => length,
            ResponseBody::None => 0,
            ResponseBody::Chunked | ResponseBody::UntilClose => return,
        };
        if !std::mem::replace(&mut has_length, true) {
            let mut digits = itoa::Buffer::new();
            let length = digits.format(length).as_bytes();
            put_field(out, CONTENT_LENGTH.as_str(), length);
        }
    };
    let mut last: Option<&HeaderName> = None;
    // All values of a name come one after the other.
    for (name, value) in fields {
        if *name == CONTENT_LENGTH {
            put_length(out);
        } else if *name == TRANSFER_ENCODING {
            continue;
        } else if same_name == SameName::OneLine && last == Some(name) {
            out.truncate(out.len() - b"\r\n".len());
            out.extend_from_slice(match *name {
                COOKIE => b"; ",
                USER_AGENT => b" ",
                _ => b", ",
            });
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        } else {
            put_field(out, name.as_str(), value.as_bytes());
        }
        last = Some(name);
    }
    if matches!(body, ResponseBody::Length(_)) {
        put_length(out);
    }
}

fn put_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
