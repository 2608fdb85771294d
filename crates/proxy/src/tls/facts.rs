//! What is known of a client's connection beside its socket.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use ostler_delegation::control::{ConnectionFacts, TlsFacts as ToldOfTls};
use ostler_delegation::entry::ForwardedClient;
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
    /// What has been taken over of a request that says whose it is; of an exchange, never of a connection.
    claimed: Option<Box<Claimed>>,
    /// What relayed targets are told; made once.
    told: OnceLock<HeaderValue>,
}

/// What something that stands before the front says of a client, beside its address.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) is_https: bool,
    /// What was taken from the path's beginning.
    pub(crate) prefix: Option<String>,
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
            claimed: None,
            told: OnceLock::new(),
        }
    }

    /// Those of an exchange whose client is said to be this one.
    pub(crate) fn claimed(&self, client: Option<SocketAddr>, claimed: Claimed) -> Self {
        let connection = ConnectionFacts {
            client,
            ..self.connection
        };
        Self {
            claimed: Some(Box::new(claimed)),
            ..Self::new(connection, self.tls.clone())
        }
    }

    /// Who has asked, where the connection does not say it.
    pub(crate) fn forwarded(&self) -> Option<ForwardedClient> {
        self.claimed.as_ref().map(|claimed| ForwardedClient {
            address: self.connection.client,
            is_https: claimed.is_https,
        })
    }

    /// What a relayed target is told of the client, with each of its requests.
    /// Of the scheme it hears only if it
    /// `knows_schemes`.
    pub(crate) fn told(&self, sent_te: bool, knows_schemes: bool) -> HeaderValue {
        match sent_te || self.claimed.is_some() {
            true => self.tell(sent_te, knows_schemes),
            false => self.told.get_or_init(|| self.tell(false, true)).clone(),
        }
    }

    fn tell(&self, sent_te: bool, knows_schemes: bool) -> HeaderValue {
        let client = RelayedClient {
            facts: self.connection,
            tls: self.tls.as_deref().map(TlsFacts::to_target),
            sent_te,
            is_https: self.scheme_told(knows_schemes),
        };
        // Base64 always is a value. Were it none, the target would refuse the request.
        HeaderValue::try_from(client.encode()).unwrap_or(HeaderValue::from_static(""))
    }

    /// Whether the client has asked by https.
    pub(crate) fn is_https(&self) -> bool {
        let claimed = self.claimed.as_ref();
        claimed.map_or(self.tls.is_some(), |claimed| claimed.is_https)
    }

    /// The same, as a target hears it that may know no other than what TLS says.
    pub(crate) fn scheme_told(&self, knows_schemes: bool) -> bool {
        match knows_schemes {
            true => self.is_https(),
            false => self.tls.is_some(),
        }
    }

    /// The connection's ends, as transforms speak of them.
    pub(crate) fn ends(&self) -> ConnectionEnds<'_> {
        let tls = self.tls.as_deref();
        ConnectionEnds {
            remote: self.connection.client,
            local: self.connection.local,
            is_https: self.is_https(),
            prefix: self
                .claimed
                .as_ref()
                .and_then(|claimed| claimed.prefix.as_deref()),
            is_claimed: self.claimed.is_some(),
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
