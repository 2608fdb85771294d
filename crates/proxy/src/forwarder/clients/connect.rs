//! Opening a connection to a destination: TCP, TLS, and HTTP on top.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use http::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::SendError;
use super::endpoint::Endpoint;
use super::tls::TlsConfigs;
use super::web_proxy::Via;
use crate::forwarder::body::ForwardBody;

/// How long opening a connection may take (YARP's fixed connect timeout).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest response head (reference part B, 16.4).
const LONGEST_HEAD: usize = 64 * 1024;

/// What a connection may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocols {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by prior knowledge in clear text, by ALPN over TLS.
    Http2,
    /// What ALPN agrees on.
    Either,
}

/// Opens connections to one endpoint.
#[derive(Debug)]
pub(super) struct Connector {
    endpoint: Endpoint,
    protocols: Protocols,
    tls: Option<Rc<TlsConfigs>>,
    via: Option<Via>,
}

/// A connection that has been opened.
#[derive(Debug)]
pub(super) enum Opened {
    Http1(http1::SendRequest<ForwardBody>),
    Http2(http2::SendRequest<ForwardBody>),
}

impl Connector {
    pub(super) fn new(
        endpoint: Endpoint,
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

    /// Opens a connection; one that is to be upgraded speaks HTTP/1.1.
    pub(super) async fn open(&self, upgrade: bool) -> Result<Opened, SendError> {
        let protocols = match upgrade {
            true => Protocols::Http1,
            false => self.protocols,
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, self.open_in_time(protocols)).await {
            Ok(opened) => opened,
            Err(_) => Err(SendError::of(io::Error::new(
                io::ErrorKind::TimedOut,
                "the connection was not open in time",
            ))),
        }
    }

    async fn open_in_time(&self, protocols: Protocols) -> Result<Opened, SendError> {
        let endpoint = &self.endpoint;
        if let Some(via) = &self.via {
            let stream = via.connect(endpoint, self.tls.as_deref()).await?;
            return self.open_over(stream, protocols).await;
        }
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
            .await
            .map_err(SendError::of)?;
        stream.set_nodelay(true).map_err(SendError::of)?;
        self.open_over(stream, protocols).await
    }

    /// TLS, where the destination wants it, and HTTP over a stream that leads to it.
    async fn open_over<S>(&self, stream: S, protocols: Protocols) -> Result<Opened, SendError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let endpoint = &self.endpoint;
        let Some(tls) = self.tls.as_ref().filter(|_| endpoint.is_https) else {
            return speak(TokioIo::new(stream), protocols == Protocols::Http2).await;
        };
        let name = ServerName::try_from(endpoint.server_name.clone()).map_err(SendError::of)?;
        let stream = TlsConnector::from(tls.of(protocols))
            .connect(name, stream)
            .await
            .map_err(SendError::of)?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if protocols == Protocols::Http2 && !is_http2 {
            return Err(SendError::of("the destination does not speak HTTP/2"));
        }
        speak(TokioIo::new(stream), is_http2).await
    }
}

async fn speak<I>(stream: I, is_http2: bool) -> Result<Opened, SendError>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    if !is_http2 {
        let sender = http1(stream).await.map_err(SendError::of)?;
        return Ok(Opened::Http1(sender));
    }
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .adaptive_window(true)
        .max_header_list_size(LONGEST_HEAD as u32)
        .handshake(stream)
        .await
        .map_err(SendError::of)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a destination ended");
        }
    });
    Ok(Opened::Http2(sender))
}

/// Starts HTTP/1.1 on a connection.
pub(super) async fn http1<I>(stream: I) -> Result<http1::SendRequest<ForwardBody>, hyper::Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .handshake(stream)
        .await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a destination ended");
        }
    });
    Ok(sender)
}
