//! The handshake with a client. What fails or stands still here concerns its own connection only.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use ostler_config::HttpProtocols;
use ostler_delegation::control::ConnectionFacts;
use rustls::CertificateError;
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::plain_http;
use crate::account::Account;
use crate::connection_counts::Counted;
use crate::error_chain::Chain;
use crate::metrics::ConnectionEnd;
use crate::serve::{Accepted, Begun};
use crate::tls::{ClientFacts, Followed, TlsEndpoint, TlsFacts, TlsSession};
use crate::watch::Watch;
use crate::worker::Worker;

/// A connection with which HTTP can begin.
pub(super) enum Ready {
    Http1(Begun),
    Http2(Pin<Box<dyn Future<Output = ()>>>),
}

/// A fatal `unrecognized_name` (RFC 6066 section 3), before any key is agreed on.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Why a connection has no session.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("it takes too long")]
    TimedOut,
    #[error("nothing is served by the name {0:?}")]
    UnknownName(Option<String>),
    #[error("the client agrees to no protocol that is spoken here")]
    NoProtocol,
    #[error("it speaks http in clear text")]
    PlainHttp,
    #[error("the handshake fails")]
    Failed(#[from] io::Error),
}

impl HandshakeError {
    /// A client whose certificate is refused has something that an operator can mend; whoever else fails
    /// may be anybody.
    fn log(&self, connection: &ConnectionFacts) {
        let client = connection.client;
        let error = Chain(self);
        match self.refused_certificate() {
            Some(remedy) => {
                tracing::info!(?client, %error, remedy, "a client's certificate is refused");
            }
            None => tracing::debug!(?client, %error, "no TLS with a client"),
        }
    }

    fn refused_certificate(&self) -> Option<&'static str> {
        let Self::Failed(error) = self else {
            return None;
        };
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::NoCertificatesPresented => {
                Some("it shows none; ClientCertificateMode AllowCertificate does without")
            }
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Some("it is over; the client needs a new one"),
            rustls::Error::InvalidCertificate(CertificateError::InvalidPurpose) => {
                Some("it is not for clients (extended key usage)")
            }
            rustls::Error::InvalidCertificate(_) => {
                Some("put it, or its issuer's, into Ostler:Tls:ClientCertificateAuthorities")
            }
            _ => None,
        }
    }
}

/// Shakes hands with a client.
pub(super) async fn shake(
    worker: Rc<Worker>,
    socket: OwnedFd,
    endpoint: Arc<TlsEndpoint>,
    connection: ConnectionFacts,
    counted: Counted,
) -> Option<Ready> {
    // Two flights of small records follow each other.
    let _ = ostler_shm::set_no_delay(socket.as_fd());
    // One in the file system will do, too: only what every stream can do is asked of it.
    let stream = TcpStream::from_std(std::net::TcpStream::from(socket)).ok()?;
    let limit = worker.limits().head_timeout;
    let handshake = tokio::time::timeout(limit, handshake(stream, &worker, &endpoint, &connection));
    let shaken = match handshake.await {
        Ok(shaken) => shaken,
        Err(_elapsed) => Err(HandshakeError::TimedOut),
    };
    let (stream, is_http2) = match shaken {
        Ok(shaken) => shaken,
        Err(error) => {
            error.log(&connection);
            counted.ends_by(ConnectionEnd::TlsHandshakeFailed);
            return None;
        }
    };
    let tls = Some(Arc::new(TlsFacts::of(stream.get_ref().1)));
    let facts = ClientFacts::new(connection, tls);
    if is_http2 {
        // Whoever watches the connection keeps a descriptor of its own.
        let socket = stream.get_ref().0.stream.as_fd().try_clone_to_owned();
        let watch = Watch::new(Rc::new(socket.ok()?), connection.client, counted);
        let registered = worker.register(Rc::clone(&watch));
        let connection = crate::http2::serve(worker, stream, facts, watch, registered);
        return Some(Ready::Http2(Box::pin(connection)));
    }
    let (Followed { stream, boundary }, session) = stream.into_inner();
    let session = TlsSession::new(session, boundary);
    match stream.into_std() {
        Ok(stream) => {
            let accepted = Accepted {
                socket: OwnedFd::from(stream),
                facts,
                session: Some(session),
                protocols: HttpProtocols::Http1,
                counted,
            };
            Begun::new(&worker, accepted).map(Ready::Http1)
        }
        Err(error) => {
            tracing::error!(%error, "a connection cannot be served");
            None
        }
    }
}

/// The session, and whether HTTP/2 is spoken over it.
async fn handshake(
    stream: TcpStream,
    worker: &Worker,
    endpoint: &TlsEndpoint,
    connection: &ConnectionFacts,
) -> Result<(TlsStream<Followed<TcpStream>>, bool), HandshakeError> {
    if plain_http::is_spoken(&stream).await {
        let told = worker.told_malformed(connection, true, &[]);
        plain_http::answer(stream, Account::begin(worker.pipeline(), told)).await;
        return Err(HandshakeError::PlainHttp);
    }
    let stream = Followed::new(stream);
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let name = start.client_hello().server_name().map(str::to_owned);
    let Some(host) = endpoint.host(name.as_deref()) else {
        let _ = start.io.write_all(&UNRECOGNIZED_NAME).await;
        return Err(HandshakeError::UnknownName(name));
    };
    let stream = start.into_stream(host.config).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    // A client that knows nothing of ALPN speaks HTTP/1.1.
    if !is_http2 && !host.protocols.has_http1() {
        return Err(HandshakeError::NoProtocol);
    }
    Ok((stream, is_http2))
}
