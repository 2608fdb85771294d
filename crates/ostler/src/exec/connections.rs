//! Connections to the program: kept for the next request as long as they are good for one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ostler_target::Body;

use super::connect::connect;
use super::listening::Address;

/// What is sent: a client's body, or none.
pub(super) type SentBody = Either<Body, Empty<Bytes>>;

/// No response has come.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// No connection opens.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// A connection failed.
    #[error(transparent)]
    Failed(#[from] hyper::Error),
}

/// The connections to a program.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    address: Address,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Http1(Arc<Idle>),
    /// One for everybody.
    Http2(Arc<tokio::sync::Mutex<Option<http2::SendRequest<SentBody>>>>),
}

impl Connections {
    /// Those to an address; idle ones are closed after `keep`.
    pub(super) fn new(address: Address, is_http2: bool, keep: Duration) -> Self {
        let kind = match is_http2 {
            true => Kind::Http2(Arc::default()),
            false => Kind::Http1(Idle::new(keep)),
        };
        Self { address, kind }
    }

    /// Whether a connection carries many requests, and none becomes something else.
    pub(super) fn are_http2(&self) -> bool {
        matches!(self.kind, Kind::Http2(_))
    }

    /// Sends a request and waits for its response's head. The lease is to be kept until the response's end,
    /// and then given back.
    pub(super) async fn send(
        &self,
        mut request: Request<SentBody>,
    ) -> Result<(Response<Incoming>, Option<Lease>), SendError> {
        let idle = match &self.kind {
            Kind::Http1(idle) => idle,
            Kind::Http2(shared) => {
                let mut sender = self.http2(shared).await?;
                return Ok((sender.send_request(request).await?, None));
            }
        };
        while let Some(mut sender) = idle.take() {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, idle.lease(sender))),
                // Closed before anything was said over it.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        self.send_alone(request).await
    }

    /// The same on a connection that nobody has used.
    pub(super) async fn send_anew(
        &self,
        request: Request<SentBody>,
    ) -> Result<(Response<Incoming>, Option<Lease>), SendError> {
        match &self.kind {
            Kind::Http1(_) => self.send_alone(request).await,
            Kind::Http2(_) => self.send(request).await,
        }
    }

    async fn send_alone(
        &self,
        request: Request<SentBody>,
    ) -> Result<(Response<Incoming>, Option<Lease>), SendError> {
        let connection = connect(&self.address).await.map_err(SendError::Connect)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MOST_FIELDS)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .handshake(connection)
            .await?;
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await?;
        let lease = match &self.kind {
            Kind::Http1(idle) => idle.lease(sender),
            Kind::Http2(_) => None,
        };
        Ok((response, lease))
    }

    async fn http2(
        &self,
        shared: &tokio::sync::Mutex<Option<http2::SendRequest<SentBody>>>,
    ) -> Result<http2::SendRequest<SentBody>, SendError> {
        let mut shared = shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let connection = connect(&self.address).await.map_err(SendError::Connect)?;
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .handshake(connection)
            .await?;
        tokio::spawn(connection);
        sender.ready().await?;
        Ok(shared.insert(sender).clone())
    }
}

/// A program's responses may have as many; what is needed for them is asked for with each.
const MOST_FIELDS: usize = 512;

/// Connections without a request, the last one that became so at the end.
#[derive(Debug)]
struct Idle {
    senders: Mutex<Vec<(http1::SendRequest<SentBody>, Age)>>,
    keep: Duration,
}

/// Looked at so many times without a request since.
type Age = u32;

/// How often a connection is looked at while it is kept.
const LOOKS: Age = 4;

impl Idle {
    fn new(keep: Duration) -> Arc<Self> {
        let idle = Arc::new(Self {
            senders: Mutex::default(),
            keep,
        });
        if !keep.is_zero() {
            tokio::spawn(Self::close_old(Arc::downgrade(&idle), keep / LOOKS));
        }
        idle
    }

    /// A server that takes one connection at a time would else wait with an idle one for ever.
    async fn close_old(idle: Weak<Self>, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            let Some(idle) = idle.upgrade() else { return };
            idle.lock().retain_mut(|(sender, age)| {
                *age += 1;
                *age <= LOOKS && !sender.is_closed()
            });
        }
    }

    fn take(&self) -> Option<http1::SendRequest<SentBody>> {
        let mut senders = self.lock();
        while let Some((sender, _)) = senders.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn lease(self: &Arc<Self>, sender: http1::SendRequest<SentBody>) -> Option<Lease> {
        (!self.keep.is_zero()).then(|| Lease {
            sender,
            idle: Arc::clone(self),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(http1::SendRequest<SentBody>, Age)>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection whose response is under way. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Lease {
    sender: http1::SendRequest<SentBody>,
    idle: Arc<Idle>,
}

impl Lease {
    /// The response has been taken in whole.
    pub(super) fn give_back(self) {
        let Self { mut sender, idle } = self;
        if sender.is_ready() {
            idle.lock().push((sender, 0));
            return;
        }
        // It has yet to see that itself; or the request's body is still under way.
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                idle.lock().push((sender, 0));
            }
        });
    }
}
