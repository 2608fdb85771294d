//! hyper's clients: the pooled one for destinations, and single connections for relayed targets.

use std::error::Error;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;

use super::body::ForwardBody;

/// How long a connection attempt may take (YARP's fixed connect timeout).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an unused connection is kept. .NET's default is a minute as well.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The forwarding client of one thread, with a pool of connections for each destination.
#[derive(Debug)]
pub(crate) struct Clients {
    pooled: Client<HttpConnector, ForwardBody>,
}

impl Clients {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let pooled = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_max_buf_size(64 * 1024)
            .build(connector);
        Self { pooled }
    }

    pub(crate) fn send(
        &self,
        request: http::Request<ForwardBody>,
    ) -> impl Future<Output = Result<http::Response<Incoming>, SendError>> + use<> {
        let response = self.pooled.request(request);
        async move {
            response
                .await
                .map_err(|error| SendError::of(Box::new(error)))
        }
    }
}

/// The client's end of one connection to a relayed target.
#[derive(Debug)]
pub(crate) struct Sender(hyper::client::conn::http1::SendRequest<ForwardBody>);

impl Sender {
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    pub(crate) async fn send(
        &mut self,
        request: http::Request<ForwardBody>,
    ) -> Result<http::Response<Incoming>, SendError> {
        self.0
            .ready()
            .await
            .map_err(|error| SendError::of(Box::new(error)))?;
        self.0
            .send_request(request)
            .await
            .map_err(|error| SendError::of(Box::new(error)))
    }
}

/// Starts HTTP/1.1 on a socket whose other end a relayed target has.
pub(crate) async fn handshake(socket: UnixStream) -> Result<Sender, hyper::Error> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a relayed connection ended");
        }
    });
    Ok(Sender(sender))
}

/// A destination could not be asked.
#[derive(Debug)]
pub(crate) struct SendError {
    pub(crate) source: Box<dyn Error + Send + Sync>,
    pub(crate) timed_out: bool,
}

impl SendError {
    fn of(source: Box<dyn Error + Send + Sync>) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(source.as_ref());
        let mut timed_out = false;
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            timed_out |= io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
            cause = error.source();
        }
        Self { source, timed_out }
    }
}
