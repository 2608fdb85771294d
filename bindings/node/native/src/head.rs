//! Heads as texts: parts divided by line feeds.

use std::net::SocketAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version, header};
use ostler_target::{Arrival, RequestInfo};
use ostler_target_c::{Exchange, Head};

/// Bits of what is known of a request beyond its head.
mod flags {
    pub(super) const WANTS_UPGRADE: u32 = 1;
    pub(super) const HAS_BODY: u32 = 2;
    pub(super) const ENCRYPTED: u32 = 4;
    pub(super) const HTTP_1_0: u32 = 8;
    pub(super) const RELAYED: u32 = 16;
    pub(super) const STREAMED: u32 = 32;
}

/// The text of a request's head: flags, method, target, the client's address and port, the local ones, the
/// name that TLS was asked for, then names and values in turn. As latin-1, which is every byte as it is.
pub(crate) fn request_text(exchange: &Exchange) -> Vec<u8> {
    let request = exchange.request();
    let info = exchange.info();
    let tls = info.and_then(|info| info.tls());
    let mut text = Vec::with_capacity(512);
    let is_https = info.is_some_and(|info| info.scheme() == "https");
    let flags = flags_of(exchange, is_https);
    push(&mut text, flags.to_string().as_bytes());
    push(&mut text, request.method.as_str().as_bytes());
    push(&mut text, exchange.target().as_bytes());
    push_address(&mut text, info.and_then(|info| info.client_address()));
    push_address(&mut text, info.and_then(|info| info.local_address()));
    let server_name = tls.and_then(|tls| tls.server_name());
    push(&mut text, server_name.unwrap_or_default().as_bytes());
    for (name, value) in &request.headers {
        push(&mut text, name.as_str().as_bytes());
        push(&mut text, value.as_bytes());
    }
    // The last line feed would be one part more.
    text.pop();
    text
}

fn flags_of(exchange: &Exchange, encrypted: bool) -> u32 {
    let request = exchange.request();
    let mut all = 0;
    if exchange.wants_upgrade() {
        all |= flags::WANTS_UPGRADE;
    }
    let length = request.headers.get(header::CONTENT_LENGTH);
    if request.headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length != "0")
    {
        all |= flags::HAS_BODY;
    }
    if encrypted {
        all |= flags::ENCRYPTED;
    }
    all |= match exchange.info().map(RequestInfo::arrival) {
        Some(Arrival::Delegated) => 0,
        Some(Arrival::Streamed) => flags::STREAMED,
        _ => flags::RELAYED,
    };
    if request.version == Version::HTTP_10 {
        all |= flags::HTTP_1_0;
    }
    all
}

fn push(text: &mut Vec<u8>, part: &[u8]) {
    text.extend_from_slice(part);
    text.push(b'\n');
}

fn push_address(text: &mut Vec<u8>, address: Option<SocketAddr>) {
    let ip = address.map(|address| address.ip().to_string());
    push(text, ip.unwrap_or_default().as_bytes());
    let port = address.map(|address| address.port().to_string());
    push(text, port.unwrap_or_default().as_bytes());
}

/// Names and values, in turn.
pub(crate) fn fields_text(fields: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in fields {
        push(&mut text, name.as_str().as_bytes());
        push(&mut text, value.as_bytes());
    }
    text.pop();
    text
}

/// A response's head.
pub(crate) fn head(status: u32, fields: &[u8]) -> Result<Head, String> {
    let code = u16::try_from(status).ok();
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    Ok(Head {
        status: code.ok_or_else(|| format!("{status} is no status"))?,
        fields: fields_of(fields)?,
    })
}

/// Fields of a text of names and values.
pub(crate) fn fields_of(text: &[u8]) -> Result<HeaderMap, String> {
    let mut fields = HeaderMap::new();
    if text.is_empty() {
        return Ok(fields);
    }
    let mut parts = text.split(|byte| *byte == b'\n');
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let shown = || String::from_utf8_lossy(name).into_owned();
        let parsed = HeaderName::from_bytes(name)
            .map_err(|_| format!("{:?} is no field's name", shown()))?;
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| format!("the field {} has a value that it cannot have", shown()))?;
        let added = fields.try_append(parsed, value);
        added.map_err(|_| "more fields than a head can have".to_owned())?;
    }
    Ok(fields)
}
