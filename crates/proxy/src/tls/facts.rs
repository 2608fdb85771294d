//! What is known of a client's connection beside its socket.

use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use ostler_delegation::control::{ConnectionFacts, TlsFacts as ToldOfTls};
use ostler_delegation::relayed_client::RelayedClient;
use ostler_model::transforms::ConnectionEnds;
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;

/// A client's connection: its ends, and what its handshake said if it speaks TLS.
#[derive(Debug, Clone)]
pub(crate) struct ClientFacts {
    pub(crate) connection: ConnectionFacts,
    /// Shared by the requests of a connection.
    pub(crate) tls: Option<Arc<TlsFacts>>,
    /// What relayed targets are told; made once.
    told: OnceLock<HeaderValue>,
}

impl ClientFacts {
    /// Of a connection in clear text.
    pub(crate) fn clear(connection: ConnectionFacts) -> Self {
        Self::new(connection, None)
    }

    pub(crate) fn new(connection: ConnectionFacts, tls: Option<Arc<TlsFacts>>) -> Self {
        Self {
            connection,
            tls,
            told: OnceLock::new(),
        }
    }

    /// What a relayed target is told of the client, with each of its requests.
    pub(crate) fn told(&self, sent_te: bool) -> HeaderValue {
        match sent_te {
            true => self.tell(true),
            false => self.told.get_or_init(|| self.tell(false)).clone(),
        }
    }

    fn tell(&self, sent_te: bool) -> HeaderValue {
        let client = RelayedClient {
            facts: self.connection,
            tls: self.tls.as_deref().map(TlsFacts::to_target),
            sent_te,
        };
        // Base64 always is a value. Were it none, the target would refuse the request.
        HeaderValue::try_from(client.encode()).unwrap_or(HeaderValue::from_static(""))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.tls.is_some()
    }

    /// The connection's ends, as transforms speak of them.
    pub(crate) fn ends(&self) -> ConnectionEnds<'_> {
        let tls = self.tls.as_deref();
        ConnectionEnds {
            remote: self.connection.client,
            local: self.connection.local,
            is_https: self.is_https(),
            client_certificate: tls.and_then(|tls| tls.client_certificate.as_deref()),
        }
    }
}

/// What a handshake said.
#[derive(Debug)]
pub(crate) struct TlsFacts {
    /// The host that the client asked for (RFC 6066 section 3), in lower case.
    pub(crate) server_name: Option<String>,
    /// As on the wire: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3.
    pub(crate) version: u16,
    /// The client's certificate, which has been verified.
    pub(crate) client_certificate: Option<CertificateDer<'static>>,
}

impl TlsFacts {
    /// What a relayed target is told.
    pub(crate) fn to_target(&self) -> ToldOfTls {
        ToldOfTls {
            version: self.version,
            server_name: self.server_name.clone(),
        }
    }

    /// Of a session whose handshake is over.
    pub(crate) fn of(session: &ServerConnection) -> Self {
        let certificates = session.peer_certificates().unwrap_or_default();
        Self {
            server_name: session.server_name().map(str::to_owned),
            version: session.protocol_version().map_or(0, u16::from),
            client_certificate: certificates.first().map(|first| first.clone().into_owned()),
        }
    }
}
