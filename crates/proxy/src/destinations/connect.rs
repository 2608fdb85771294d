//! Opening a connection to a destination: TCP, TLS, and HTTP on top.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::Request;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::connection_key::ConnectionKey;
use super::http1::{Http1, Stream};
use super::http2::Http2;
use super::protocols::Protocols;
use super::send_error::SendError;
use super::tls::{HandshakeError, TlsConfigs};
use super::web_proxy::Via;

/// How long opening a connection may take (YARP's fixed connect timeout).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Opens connections to one endpoint.
#[derive(Debug)]
pub(super) struct Connector {
    endpoint: ConnectionKey,
    protocols: Protocols,
    tls: Option<Rc<TlsConfigs>>,
    via: Option<Via>,
}

/// A connection that has been opened.
#[derive(Debug)]
pub(super) enum Opened {
    Http1(Http1),
    Http2(Http2),
}

impl Connector {
    pub(super) fn new(
        endpoint: ConnectionKey,
        protocols: Protocols,
        tls: Option<Rc<TlsConfigs>>,
        via: Option<Via>,
    ) -> Self {
        Self {
            endpoint,
            protocols,
            tls,
            via,
        }
    }

    /// Puts a request for a proxy itself into the form for it; false where it is for the destination.
    pub(super) fn in_proxy_form<B>(&self, request: &mut Request<B>) -> Result<bool, SendError> {
        match &self.via {
            None => Ok(false),
            Some(via) => via.in_proxy_form(request, &self.endpoint),
        }
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.endpoint.is_https {
            "https"
        } else {
            "http"
        }
    }

    /// Whether requests may share one connection, unless they are upgrades.
    pub(super) fn may_speak_http2(&self) -> bool {
        self.protocols != Protocols::Http1
    }

    pub(super) fn may_speak_http1(&self) -> bool {
        self.protocols != Protocols::Http2
    }

    /// Opens a connection; one that is to be upgraded speaks HTTP/1.1.
    pub(super) async fn open(
        &self,
        upgrade: bool,
        now: &Rc<Cell<Instant>>,
    ) -> Result<Opened, SendError> {
        let protocols = match upgrade {
            true => Protocols::Http1,
            false => self.protocols,
        };
        // On the heap, so that exchanges over connections that are open do not carry the room for it.
        let opening = Box::pin(self.open_in_time(protocols, now));
        match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(SendError::of(io::Error::new(
                io::ErrorKind::TimedOut,
                "the connection was not open in time",
            ))),
        }
    }

    async fn open_in_time(
        &self,
        protocols: Protocols,
        now: &Rc<Cell<Instant>>,
    ) -> Result<Opened, SendError> {
        let endpoint = &self.endpoint;
        if let Some(via) = &self.via {
            let stream = via.connect(endpoint, self.tls.as_deref()).await?;
            return self.open_over(stream, protocols, now).await;
        }
        if let Some(path) = &endpoint.socket {
            let stream = UnixStream::connect(path).await.map_err(SendError::of)?;
            return self.open_over(stream, protocols, now).await;
        }
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
            .await
            .map_err(SendError::of)?;
        stream.set_nodelay(true).map_err(SendError::of)?;
        self.open_over(stream, protocols, now).await
    }

    /// TLS, where the destination wants it, and HTTP over a stream that leads to it.
    async fn open_over<S>(
        &self,
        stream: S,
        protocols: Protocols,
        now: &Rc<Cell<Instant>>,
    ) -> Result<Opened, SendError>
    where
        S: Stream + 'static,
    {
        let endpoint = &self.endpoint;
        let Some(tls) = self.tls.as_ref().filter(|_| endpoint.is_https) else {
            return speak(stream, protocols == Protocols::Http2, now).await;
        };
        let name = ServerName::try_from(endpoint.server_name.clone()).map_err(SendError::of)?;
        let stream = TlsConnector::from(tls.of(protocols))
            .connect(name, stream)
            .await
            .map_err(|error| SendError::of(HandshakeError::new(error, &endpoint.server_name)))?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if protocols == Protocols::Http2 && !is_http2 {
            return Err(SendError::of("the destination does not speak HTTP/2"));
        }
        speak(stream, is_http2, now).await
    }
}

async fn speak<I>(stream: I, is_http2: bool, now: &Rc<Cell<Instant>>) -> Result<Opened, SendError>
where
    I: Stream + 'static,
{
    if is_http2 {
        let connection = Http2::handshake(stream, Rc::clone(now)).await;
        return connection.map(Opened::Http2).map_err(SendError::of);
    }
    Ok(Opened::Http1(Http1::new(stream)))
}
