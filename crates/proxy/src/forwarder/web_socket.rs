//! WebSocket handshakes where the two sides speak different versions of HTTP.
//!
//! HTTP/1.1 proves with a key and its hash that both ends mean a WebSocket (RFC 6455 section 4.2);
//! HTTP/2 has a pseudo-header field for that and no key (RFC 8441 section 5). Who stands between the
//! two says to each what it expects (reference B12.4).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use ostler_http1::RequestHead;

use crate::answer::Why;
use crate::delegation::{decode_like, write_field};

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The handshake of one exchange, whose two sides differ.
#[derive(Debug, Clone)]
pub(super) struct Handshake {
    accept: HeaderValue,
}

/// A `Sec-WebSocket-Key` that is none.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the Sec-WebSocket-Key is not 24 characters long")]
pub(super) struct InvalidKey;

impl Handshake {
    /// Of an HTTP/2 client, for an HTTP/1.1 destination: there must be a key.
    pub(super) fn with_key(fields: &mut HeaderMap) -> Result<Self, InvalidKey> {
        let key = match fields.get(SEC_WEBSOCKET_KEY) {
            Some(key) => check(key)?,
            None => {
                let mut nonce = [0; 16];
                rand::fill(&mut nonce).map_err(|_| InvalidKey)?;
                let key = HeaderValue::from_str(&STANDARD.encode(nonce));
                let key = key.map_err(|_| InvalidKey)?;
                fields.insert(SEC_WEBSOCKET_KEY, key.clone());
                key
            }
        };
        Self::of(&key)
    }

    /// Of an HTTP/1.1 client, for an HTTP/2 destination: it must have said a key.
    pub(super) fn of_client(fields: &HeaderMap) -> Result<Self, InvalidKey> {
        let key = fields.get(SEC_WEBSOCKET_KEY).ok_or(InvalidKey)?;
        Self::of(&check(key)?)
    }

    fn of(key: &HeaderValue) -> Result<Self, InvalidKey> {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
        let accept = HeaderValue::from_str(&STANDARD.encode(hash));
        let accept = accept.map_err(|_| InvalidKey)?;
        Ok(Self { accept })
    }

    /// Takes the proof out of a destination's 101; false when it proves nothing.
    pub(super) fn is_accepted(&self, fields: &mut HeaderMap) -> bool {
        let proof = fields.remove(SEC_WEBSOCKET_ACCEPT);
        proof.is_some_and(|proof| proof == self.accept)
    }

    /// Puts the proof into the 101 for an HTTP/1.1 client.
    pub(super) fn accept(&self, fields: &mut HeaderMap) {
        let upgrade = HeaderValue::from_static("websocket");
        for (name, value) in [
            (SEC_WEBSOCKET_ACCEPT, self.accept.clone()),
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, upgrade),
        ] {
            fields.entry(name).or_insert(value);
        }
    }
}

/// The head of a WebSocket's request as an HTTP/1.1 application is to have it, where a client of HTTP/2
/// has not said a key.
pub(crate) fn with_key(
    head: &RequestHead,
    version: Version,
) -> Result<Option<Box<RequestHead>>, Why> {
    if version != Version::HTTP_2 || head.upgrade().is_none() || key(head).is_some() {
        return Ok(None);
    }
    let mut fields = HeaderMap::new();
    Handshake::with_key(&mut fields).map_err(invalid_key)?;
    let mut bytes = head.raw().to_vec();
    // The empty line comes behind.
    bytes.truncate(bytes.len().saturating_sub(2));
    for (name, value) in &fields {
        write_field(&mut bytes, name.as_str(), value.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    let made = decode_like(head, &bytes).map_err(|_| Why::NotTransformed)?;
    Ok(Some(Box::new(made)))
}

/// The handshake of an HTTP/2 client's WebSocket, whose request has a key by now.
pub(super) fn handshake_of(head: &RequestHead, version: Version) -> Result<Option<Handshake>, Why> {
    if version != Version::HTTP_2 || head.upgrade().is_none() {
        return Ok(None);
    }
    let key = key(head).and_then(|key| HeaderValue::from_bytes(key).ok());
    let key = key.ok_or(InvalidKey).and_then(|key| check(&key));
    key.and_then(|key| Handshake::of(&key))
        .map(Some)
        .map_err(invalid_key)
}

fn key(head: &RequestHead) -> Option<&[u8]> {
    head.fields_named(SEC_WEBSOCKET_KEY.as_str()).next()
}

/// An upgrade's request as an extended CONNECT.
pub(super) fn as_connect(upgrade: &Parts) -> Parts {
    let mut parts = upgrade.clone();
    parts.method = Method::CONNECT;
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY] {
        parts.headers.remove(name);
    }
    parts
}

fn check(key: &HeaderValue) -> Result<HeaderValue, InvalidKey> {
    match key.len() {
        24 => Ok(key.clone()),
        _ => Err(InvalidKey),
    }
}

pub(super) fn invalid_key(error: InvalidKey) -> Why {
    Why::InvalidKey(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handshake of RFC 6455 section 1.2.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn http2_to_http1_has_a_key_and_checks_its_proof() {
        let mut fields = HeaderMap::new();
        let handshake = Handshake::with_key(&mut fields).unwrap();
        assert_eq!(fields[SEC_WEBSOCKET_KEY].len(), 24);
        let mut other = HeaderMap::new();
        other.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(ACCEPT));
        assert!(!handshake.is_accepted(&mut other), "of another key");
        assert!(!handshake.is_accepted(&mut HeaderMap::new()), "none");

        fields.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
        let handshake = Handshake::with_key(&mut fields).unwrap();
        let mut answer = HeaderMap::new();
        answer.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(ACCEPT));
        assert!(handshake.is_accepted(&mut answer));
        assert!(answer.is_empty(), "HTTP/2 has no use for it");
    }

    #[test]
    fn http1_to_http2_gives_the_proof_itself() {
        let mut fields = HeaderMap::new();
        fields.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
        let handshake = Handshake::of_client(&fields).unwrap();
        let mut answer = HeaderMap::new();
        handshake.accept(&mut answer);
        assert_eq!(answer[SEC_WEBSOCKET_ACCEPT], ACCEPT);
        assert_eq!(answer[CONNECTION], "Upgrade");
        assert_eq!(answer[UPGRADE], "websocket");
        assert!(Handshake::of_client(&HeaderMap::new()).is_err());
        fields.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("short"));
        assert!(Handshake::with_key(&mut fields).is_err());
    }
}
