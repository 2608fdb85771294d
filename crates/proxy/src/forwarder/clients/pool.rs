//! The connections of one thread to one endpoint.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};

use super::SendError;
use super::connect::{Connector, Opened};
use crate::forwarder::body::ForwardBody;

/// How long an unused connection is kept (reference part B, 16.4).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may take to be ready again once a response has been passed on.
const TURNAROUND: Duration = Duration::from_secs(2);

/// Connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Connector,
    /// Ready HTTP/1.1 connections, the one used last at the end: those in front grow old.
    idle: RefCell<Vec<Idle>>,
    http2: RefCell<Option<Shared>>,
    /// Held while an HTTP/2 connection is opened, so that those who wait find it open.
    opening: tokio::sync::Mutex<()>,
    now: Rc<Cell<Instant>>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<ForwardBody>,
    since: Instant,
}

/// An HTTP/2 connection, which requests share.
#[derive(Debug, Clone)]
struct Shared {
    sender: http2::SendRequest<ForwardBody>,
    streams: Rc<Streams>,
}

#[derive(Debug)]
struct Streams {
    open: Cell<usize>,
    last_used: Cell<Instant>,
}

/// The connection an exchange is on, until its response has been passed on.
#[derive(Debug)]
pub(crate) enum Lease {
    Http1 {
        pool: Rc<Pool>,
        sender: http1::SendRequest<ForwardBody>,
    },
    Http2 {
        /// Counts for as long as it lives.
        _stream: Stream,
    },
}

/// One stream of a shared connection.
#[derive(Debug)]
pub(crate) struct Stream(Rc<Streams>, Rc<Cell<Instant>>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.last_used.set(self.1.get());
    }
}

impl Pool {
    pub(super) fn new(connector: Connector, now: Rc<Cell<Instant>>) -> Self {
        Self {
            connector,
            idle: RefCell::default(),
            http2: RefCell::default(),
            opening: tokio::sync::Mutex::new(()),
            now,
        }
    }

    /// Sends a request, whose URI is a path with query and which has a `Host`.
    ///
    /// One that a connection from before had not begun to send when it ended is sent on another: the
    /// destination may have closed it for its age. A connection of its own is not tried twice.
    pub(crate) async fn send(
        self: &Rc<Self>,
        mut request: Request<ForwardBody>,
        upgrade: bool,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        while let Some(taken) = self.take(upgrade) {
            match self.send_on(taken, request).await {
                Ok(sent) => return Ok(sent),
                Err(Failed::Unsent(unsent, _)) => request = *unsent,
                Err(Failed::Lost(error)) => return Err(error),
            }
        }
        let taken = self.open(upgrade).await?;
        self.send_on(taken, request)
            .await
            .map_err(|failed| match failed {
                Failed::Unsent(_, error) | Failed::Lost(error) => error,
            })
    }

    async fn send_on(
        self: &Rc<Self>,
        taken: Taken,
        mut request: Request<ForwardBody>,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        let mut error = match taken {
            Taken::Http1(mut sender) => {
                if !self
                    .connector
                    .in_proxy_form(&mut request)
                    .map_err(Failed::Lost)?
                {
                    in_http1_form(&mut request);
                }
                match sender.try_send_request(request).await {
                    Ok(response) => {
                        let pool = Rc::clone(self);
                        return Ok((response, Lease::Http1 { pool, sender }));
                    }
                    Err(error) => error,
                }
            }
            Taken::Http2(mut shared) => {
                in_http2_form(&mut request, self.connector.scheme()).map_err(Failed::Lost)?;
                let stream = self.begin(&shared);
                if let Err(error) = shared.sender.ready().await {
                    self.forget(&shared);
                    return Err(Failed::Unsent(Box::new(request), SendError::of(error)));
                }
                match shared.sender.try_send_request(request).await {
                    Ok(response) => return Ok((response, Lease::Http2 { _stream: stream })),
                    Err(error) => {
                        // A request that was lost alone says nothing of the connection.
                        if error.message().is_some() {
                            self.forget(&shared);
                        }
                        error
                    }
                }
            }
        };
        let unsent = error.take_message();
        let error = SendError::of(error.into_error());
        Err(match unsent {
            Some(unsent) => Failed::Unsent(Box::new(unsent), error),
            None => Failed::Lost(error),
        })
    }

    /// Nobody else is given a connection that has ended.
    fn forget(&self, ended: &Shared) {
        self.http2
            .borrow_mut()
            .take_if(|shared| Rc::ptr_eq(&shared.streams, &ended.streams));
    }

    fn begin(&self, shared: &Shared) -> Stream {
        shared.streams.open.set(shared.streams.open.get() + 1);
        Stream(Rc::clone(&shared.streams), Rc::clone(&self.now))
    }

    /// A connection that is open already.
    fn take(&self, upgrade: bool) -> Option<Taken> {
        if !upgrade {
            let mut http2 = self.http2.borrow_mut();
            if http2
                .as_ref()
                .is_some_and(|shared| shared.sender.is_closed())
            {
                *http2 = None;
            }
            if let Some(shared) = http2.as_ref() {
                return Some(Taken::Http2(shared.clone()));
            }
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { sender, .. }) = idle.pop() {
            if sender.is_ready() {
                return Some(Taken::Http1(sender));
            }
        }
        None
    }

    /// Opens one. Where requests may share it, the first opens it for all.
    async fn open(&self, upgrade: bool) -> Result<Taken, SendError> {
        let shareable = !upgrade && self.connector.may_speak_http2();
        let _opening = match shareable {
            true => Some(self.opening.lock().await),
            false => None,
        };
        if shareable && let Some(taken) = self.take(upgrade) {
            return Ok(taken);
        }
        Ok(match self.connector.open(upgrade).await? {
            Opened::Http1(sender) => Taken::Http1(sender),
            Opened::Http2(sender) => {
                let shared = Shared {
                    sender,
                    streams: Rc::new(Streams {
                        open: Cell::new(0),
                        last_used: Cell::new(self.now.get()),
                    }),
                };
                *self.http2.borrow_mut() = Some(shared.clone());
                Taken::Http2(shared)
            }
        })
    }

    fn put_back(&self, sender: http1::SendRequest<ForwardBody>) {
        let since = self.now.get();
        self.idle.borrow_mut().push(Idle { sender, since });
    }

    /// Closes what nobody has used for a while; true when nothing is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let fresh = |since: Instant| now.saturating_duration_since(since) < IDLE_TIMEOUT;
        self.idle
            .borrow_mut()
            .retain(|idle| fresh(idle.since) && !idle.sender.is_closed());
        let mut http2 = self.http2.borrow_mut();
        let unused = |shared: &Shared| {
            let streams = &shared.streams;
            streams.open.get() == 0 && !fresh(streams.last_used.get())
        };
        if http2
            .as_ref()
            .is_some_and(|shared| shared.sender.is_closed() || unused(shared))
        {
            *http2 = None;
        }
        http2.is_none() && self.idle.borrow().is_empty()
    }
}

/// Why a request has no response.
enum Failed {
    /// Not a byte of it was sent: it can be sent elsewhere.
    Unsent(Box<Request<ForwardBody>>, SendError),
    /// Some of it may have arrived.
    Lost(SendError),
}

/// A connection for one request.
enum Taken {
    Http1(http1::SendRequest<ForwardBody>),
    Http2(Shared),
}

impl Lease {
    /// Gives the connection to whoever needs one next, if its response has been read whole; any
    /// other is closed when the lease is dropped.
    pub(crate) fn give_back(self) {
        let Self::Http1 { pool, mut sender } = self else {
            return;
        };
        if sender.is_ready() {
            return pool.put_back(sender);
        }
        if sender.is_closed() {
            return;
        }
        // The last bytes were read ahead of the connection's own task.
        tokio::task::spawn_local(async move {
            let ready = tokio::time::timeout(TURNAROUND, sender.ready()).await;
            if let Ok(Ok(())) = ready {
                pool.put_back(sender);
            }
        });
    }
}

/// A path with query in the request line, and `Host` (RFC 9112 section 3.2.1).
fn in_http1_form(request: &mut Request<ForwardBody>) {
    if request.version() != Version::HTTP_10 {
        *request.version_mut() = Version::HTTP_11;
    }
    let Some(authority) = request.uri().authority() else {
        return;
    };
    let host = HeaderValue::from_str(authority.as_str());
    let path = path_of(request.uri());
    if let Ok(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = Uri::from(path);
}

/// Scheme and authority in pseudo-header fields, and no `Host` (RFC 9113 section 8.3.1).
fn in_http2_form(request: &mut Request<ForwardBody>, scheme: &str) -> Result<(), SendError> {
    *request.version_mut() = Version::HTTP_2;
    let Some(host) = request.headers_mut().remove(HOST) else {
        return Ok(());
    };
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::try_from(scheme).map_err(SendError::of)?);
    parts.authority = Some(host.as_bytes().try_into().map_err(SendError::of)?);
    parts.path_and_query = Some(path_of(request.uri()));
    *request.uri_mut() = Uri::from_parts(parts).map_err(SendError::of)?;
    Ok(())
}

fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"))
}
