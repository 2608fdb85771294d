//! The field by which a relayed request says whose it is.
//!
//! Connections to a relayed target are shared by all clients of a front's thread. What a target is
//! told of a client therefore travels with each request, in a field that only fronts write: they
//! drop one of that name that a client sends, and the target's library takes theirs away before the
//! application sees the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::control::{ConnectionFacts, TlsFacts, put_facts, put_tls, read_facts, read_tls};
use crate::error::WireError;
use crate::wire::{Put, Reader};

/// The field's name.
pub const CLIENT_FIELD: &str = "ostler-client";

/// TLS facts follow the connection's.
const HAS_TLS: u8 = 1;
/// The client itself has sent `TE: trailers`.
const SENT_TE: u8 = 2;
/// The client has asked by the scheme that its connection does not show.
const OTHER_SCHEME: u8 = 4;

/// What the field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedClient {
    /// The client's connection.
    pub facts: ConnectionFacts,
    /// What its handshake said, if it speaks TLS.
    pub tls: Option<TlsFacts>,
    /// Whether the client has sent `TE: trailers`, as the front does with every relayed request.
    pub sent_te: bool,
    /// Whether it has asked by https. Other than whether it speaks TLS only to targets of minor version
    /// [`FORWARDED_CLIENTS_MINOR`](crate::FORWARDED_CLIENTS_MINOR).
    pub is_https: bool,
}

impl RelayedClient {
    /// The field's value: base64.
    pub fn encode(&self) -> String {
        let mut out = Vec::with_capacity(80);
        let tls = if self.tls.is_some() { HAS_TLS } else { 0 };
        let te = if self.sent_te { SENT_TE } else { 0 };
        let differs = self.is_https != self.tls.is_some();
        let scheme = if differs { OTHER_SCHEME } else { 0 };
        out.put_u8(tls | te | scheme);
        put_facts(&mut out, &self.facts);
        if let Some(tls) = &self.tls {
            put_tls(&mut out, tls);
        }
        STANDARD_NO_PAD.encode(out)
    }

    /// Reads the field's value.
    ///
    /// # Errors
    ///
    /// When a front would not have written it.
    pub fn decode(value: &[u8]) -> Result<Self, WireError> {
        const WHAT: &str = "the client of a relayed request";
        let bytes = STANDARD_NO_PAD.decode(value);
        let bytes = bytes.map_err(|_| WireError::Invalid(WHAT))?;
        let mut reader = Reader::new(&bytes, WHAT);
        let flags = reader.u8()?;
        if flags & !(HAS_TLS | SENT_TE | OTHER_SCHEME) != 0 {
            return Err(WireError::Invalid(WHAT));
        }
        let facts = read_facts(&mut reader)?;
        let tls = match flags & HAS_TLS {
            0 => None,
            _ => Some(read_tls(&mut reader)?),
        };
        reader.end()?;
        Ok(Self {
            facts,
            is_https: tls.is_some() != (flags & OTHER_SCHEME != 0),
            tls,
            sent_te: flags & SENT_TE != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_said_arrives() {
        for (sent_te, is_https) in [(false, false), (true, false), (true, true)] {
            for tls in [
                None,
                Some(TlsFacts {
                    version: 0x0304,
                    server_name: Some("shop.example".into()),
                }),
                Some(TlsFacts {
                    version: 0x0303,
                    server_name: None,
                }),
            ] {
                let client = RelayedClient {
                    facts: ConnectionFacts {
                        client: Some("192.0.2.7:4711".parse().unwrap()),
                        local: Some("[::1]:80".parse().unwrap()),
                        accepted_ns: 42,
                    },
                    tls,
                    sent_te,
                    is_https,
                };
                let value = client.encode();
                assert_eq!(RelayedClient::decode(value.as_bytes()), Ok(client));
                let longer = format!("{value}AAAA");
                assert!(RelayedClient::decode(longer.as_bytes()).is_err());
                assert!(RelayedClient::decode(&value.as_bytes()[..8]).is_err());
            }
        }
    }

    #[test]
    fn unknown_flags_are_refused() {
        let mut bytes = vec![8];
        bytes.extend([0; 56]);
        let value = STANDARD_NO_PAD.encode(bytes);
        assert!(RelayedClient::decode(value.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = RelayedClient::decode(&value);
            let _ = RelayedClient::decode(STANDARD_NO_PAD.encode(&value).as_bytes());
        }
    }
}
