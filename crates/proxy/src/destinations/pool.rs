//! The connections of one thread to one endpoint.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use http_body::Body as _;
use tokio::sync::{Notify, oneshot};

use super::connect::{Connector, Opened};
use super::connection_limit::{ConnectionLimit, MayOpen, Permit, PoolId, Ticket};
use super::forward_body::ForwardBody;
use super::http1::{self, Home, Http1, Http1Body, LongTarget};
use super::http2::{self, Http2};
use super::interim::Interim;
use super::relay_connections::Left;
use super::response_body::ResponseBody;
use super::retries::{IDLE_TIMEOUT, MOST_RETRIES, may_be_repeated};
use super::send_error::SendError;
use super::tunnel::Http2Tunnel;

/// Connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Connector,
    /// Ready HTTP/1.1 connections, the one used last at the end: those in front grow old.
    idle: RefCell<Vec<Idle>>,
    http2: RefCell<Vec<Http2>>,
    /// `EnableMultipleHttp2Connections`.
    several_http2: bool,
    /// How long a connection is given requests.
    lifetime: Option<Duration>,
    /// Held while an HTTP/2 connection is opened, so that those who wait find it open.
    opening: tokio::sync::Mutex<()>,
    limited: Option<Limited>,
    now: Rc<Cell<Instant>>,
}

#[derive(Debug)]
struct Idle {
    connection: Http1,
    since: Instant,
}

/// What a pool with `MaxConnectionsPerServer` needs besides.
#[derive(Debug)]
struct Limited {
    limit: Arc<ConnectionLimit>,
    id: PoolId,
    /// Requests of this pool that wait for a connection, the longest waiting first.
    waiting: RefCell<VecDeque<(Ticket, oneshot::Sender<Http1>)>>,
    /// Requests of other pools wait.
    others_wait: Arc<Notify>,
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.limit.leave(self.id);
        // The task that makes room sees that there is nothing left to make room in.
        self.others_wait.notify_one();
    }
}

/// How a pool is set up.
#[derive(Debug)]
pub(super) struct PoolOptions {
    pub(super) several_http2: bool,
    pub(super) lifetime: Option<Duration>,
    pub(super) limit: Option<Arc<ConnectionLimit>>,
}

/// A request has no response.
#[derive(Debug)]
pub(crate) struct NotForwarded {
    pub(crate) error: SendError,
    pub(crate) left: Left,
}

impl From<SendError> for NotForwarded {
    fn from(error: SendError) -> Self {
        let left = Left::Nothing;
        Self { error, left }
    }
}

impl From<NotForwarded> for SendError {
    fn from(not: NotForwarded) -> Self {
        not.error
    }
}

/// What a request is besides what is sent.
pub(crate) struct Sending<'a> {
    /// It asks for an upgrade: only HTTP/1.1 will do.
    pub(crate) upgrade: bool,
    /// Makes the same request again, without its body, for another connection.
    pub(crate) again: &'a dyn Fn() -> Option<Parts>,
    /// Where interim responses go; without it they go nowhere.
    pub(crate) interim: Option<&'a Interim>,
}

/// What became of an extended CONNECT.
#[derive(Debug)]
pub(crate) enum ExtendedConnect {
    /// The destination agrees: the stream is a tunnel.
    Tunnel(Response<Http2Tunnel>),
    /// It answers something else, with a body.
    Response(Response<ResponseBody>),
    /// No connection opens.
    NotConnected(SendError),
    /// It does not know extended CONNECT, or not HTTP/2: an HTTP/1.1 upgrade may do (reference
    /// B12.3).
    NotSupported,
}

impl Pool {
    pub(super) fn new(
        connector: Connector,
        options: PoolOptions,
        now: Rc<Cell<Instant>>,
    ) -> Rc<Self> {
        let limited = options.limit.map(|limit| {
            let others_wait = Arc::new(Notify::new());
            let id = limit.join(Arc::clone(&others_wait));
            Limited {
                limit,
                id,
                waiting: RefCell::default(),
                others_wait,
            }
        });
        let pool = Rc::new(Self {
            connector,
            idle: RefCell::default(),
            http2: RefCell::default(),
            several_http2: options.several_http2,
            lifetime: options.lifetime,
            opening: tokio::sync::Mutex::new(()),
            limited,
            now,
        });
        if let Some(limited) = &pool.limited {
            let others_wait = Arc::clone(&limited.others_wait);
            tokio::task::spawn_local(make_room(Rc::downgrade(&pool), others_wait));
        }
        pool
    }

    /// Sends a request, whose URI is a path with query and which has a `Host`.
    ///
    /// It is sent again (reference B10.3)
    ///
    /// - when a connection from before had ended before a byte of it was sent;
    /// - when one from before is closed, not reset, without a word behind it, there is no body, and
    ///   doing twice what it asks does no harm: the connection may have been closed for its age;
    /// - when an HTTP/2 destination says that it has not processed it.
    ///
    /// Where no connection opens, all of it is left.
    pub(crate) async fn send(
        self: &Rc<Self>,
        mut request: Request<ForwardBody>,
        sending: Sending<'_>,
    ) -> Result<Response<ResponseBody>, NotForwarded> {
        if let Some(interim) = sending.interim {
            interim.clear();
        }
        let mut retries = 0;
        loop {
            let (taken, is_new) = match self.take(sending.upgrade) {
                Some(taken) => (taken, false),
                None => match self.open(sending.upgrade).await {
                    Ok(opened) => opened,
                    Err(error) => {
                        let left = Left::Unsent(request.into_body());
                        return Err(NotForwarded { error, left });
                    }
                },
            };
            let failed = match taken {
                Taken::Http1(connection) => {
                    match self.send_http1(connection, request, &sending).await {
                        Ok(response) => return Ok(response),
                        Err(failed) => failed,
                    }
                }
                Taken::Http2(connection) => {
                    match self.send_http2(connection, request, &sending).await {
                        Ok(response) => return Ok(response),
                        Err(failed) => failed,
                    }
                }
            };
            let (body, error) = match failed {
                Failed::Unsent(unsent, _) if !is_new => {
                    request = *unsent;
                    continue;
                }
                Failed::Unanswered(body, error) if !is_new => (body, error),
                Failed::Unprocessed(body, error) => (body, error),
                Failed::Unsent(unsent, error) => {
                    let left = Left::Unsent(unsent.into_body());
                    return Err(NotForwarded { error, left });
                }
                Failed::Unanswered(_, error) | Failed::Lost(error) => return Err(error.into()),
            };
            if retries == MOST_RETRIES {
                return Err(error.into());
            }
            retries += 1;
            let Some(parts) = (sending.again)() else {
                return Err(error.into());
            };
            request = Request::from_parts(parts, body);
        }
    }

    async fn send_http1(
        self: &Rc<Self>,
        mut connection: Http1,
        mut request: Request<ForwardBody>,
        sending: &Sending<'_>,
    ) -> Result<Response<ResponseBody>, Failed> {
        if request.version() != Version::HTTP_10 {
            *request.version_mut() = Version::HTTP_11;
        }
        self.connector
            .in_proxy_form(&mut request)
            .map_err(Failed::Lost)?;
        let is_repeatable = request.body().is_end_stream() && may_be_repeated(request.method());
        match connection.send(request, sending.interim).await {
            Ok(response) => Ok(response.map(|incoming| {
                ResponseBody::Http1(Http1Body::new(
                    incoming,
                    connection,
                    Home::Pool(Rc::clone(self)),
                ))
            })),
            Err(http1::Unanswered {
                error,
                unsent,
                heard,
            }) => {
                let error = SendError::of(error);
                Err(match unsent {
                    Some(request) => Failed::Unsent(Box::new(request), error),
                    None if is_repeatable && !heard && !error.is_reset() => {
                        Failed::Unanswered(ForwardBody::empty(), error)
                    }
                    None => Failed::Lost(error),
                })
            }
        }
    }

    async fn send_http2(
        &self,
        mut connection: Http2,
        request: Request<ForwardBody>,
        sending: &Sending<'_>,
    ) -> Result<Response<ResponseBody>, Failed> {
        let (mut parts, mut body) = request.into_parts();
        body.remember();
        in_http2_form(&mut parts, self.connector.scheme()).map_err(Failed::Lost)?;
        let sent = connection.send(parts, body, sending.interim).await;
        if connection.has_ended() {
            self.forget(&connection);
        }
        match sent {
            Ok(response) => Ok(response.map(ResponseBody::Http2)),
            Err(http2::Unanswered::Unprocessed(body, error)) => {
                Err(Failed::Unprocessed(body, error))
            }
            Err(http2::Unanswered::Lost(error)) => Err(Failed::Lost(error)),
        }
    }

    /// Whether a WebSocket is asked for by extended CONNECT first (reference B12.2).
    pub(crate) fn may_connect(&self) -> bool {
        self.connector.may_speak_http2()
    }

    /// Whether it may be an HTTP/1.1 upgrade where extended CONNECT is not known (reference
    /// B12.3).
    pub(crate) fn may_upgrade(&self) -> bool {
        self.connector.may_speak_http1()
    }

    /// Sends an extended CONNECT for `protocol` (RFC 8441). Its head is like that of any request:
    /// a path with query and a `Host`, the method `CONNECT`.
    pub(crate) async fn extended_connect(
        self: &Rc<Self>,
        again: &dyn Fn() -> Option<Parts>,
        protocol: &str,
    ) -> Result<ExtendedConnect, SendError> {
        if !self.connector.may_speak_http2() {
            return Ok(ExtendedConnect::NotSupported);
        }
        let mut retries = 0;
        loop {
            let taken = match self.take_http2() {
                Some(connection) => Taken::Http2(connection),
                None => match self.open(false).await {
                    Ok((taken, _is_new)) => taken,
                    Err(error) => return Ok(ExtendedConnect::NotConnected(error)),
                },
            };
            let mut connection = match taken {
                Taken::Http2(connection) if connection.allows_extended_connect() => connection,
                Taken::Http2(_) => return Ok(ExtendedConnect::NotSupported),
                Taken::Http1(connection) => {
                    self.put_back(connection);
                    return Ok(ExtendedConnect::NotSupported);
                }
            };
            let Some(mut parts) = again() else {
                return Err(SendError::of("no request can be made"));
            };
            in_http2_form(&mut parts, self.connector.scheme())?;
            let connected = connection.connect(parts, protocol).await;
            if connection.has_ended() {
                self.forget(&connection);
            }
            match connected {
                Ok(http2::Connected::Tunnel(tunnel)) => {
                    return Ok(ExtendedConnect::Tunnel(tunnel));
                }
                Ok(http2::Connected::Response(response)) => {
                    let response = response.map(ResponseBody::Http2);
                    return Ok(ExtendedConnect::Response(response));
                }
                Err(http2::Unanswered::Unprocessed((), _)) if retries < MOST_RETRIES => {
                    retries += 1;
                }
                Err(http2::Unanswered::Unprocessed((), error) | http2::Unanswered::Lost(error)) => {
                    return Err(error);
                }
            }
        }
    }

    /// Nobody else is given a connection that has ended.
    fn forget(&self, ended: &Http2) {
        self.http2
            .borrow_mut()
            .retain(|connection| !connection.is(ended));
    }

    /// A connection that is open already.
    fn take(&self, upgrade: bool) -> Option<Taken> {
        if !upgrade && let Some(connection) = self.take_http2() {
            return Some(Taken::Http2(connection));
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { connection, .. }) = idle.pop() {
            if connection.is_ready() && self.is_young(connection.opened()) {
                return Some(Taken::Http1(connection));
            }
        }
        None
    }

    fn is_young(&self, opened: Instant) -> bool {
        let age = self.now.get().saturating_duration_since(opened);
        self.lifetime.is_none_or(|lifetime| age < lifetime)
    }

    /// An HTTP/2 connection that takes another stream, or queues it if it is to be the only one.
    fn take_http2(&self) -> Option<Http2> {
        let mut http2 = self.http2.borrow_mut();
        if http2.is_empty() {
            return None;
        }
        // One that is too old ends when its last stream does.
        http2.retain(|connection| !connection.has_ended() && self.is_young(connection.opened()));
        let with_room = http2.iter().find(|connection| connection.has_room());
        match with_room {
            None if !self.several_http2 => http2.first().cloned(),
            with_room => with_room.cloned(),
        }
    }

    /// A connection where none was to be taken, and whether it is new. Where requests may share it,
    /// the first opens it for all.
    async fn open(&self, upgrade: bool) -> Result<(Taken, bool), SendError> {
        let shareable = !upgrade && self.connector.may_speak_http2();
        let _opening = match shareable {
            true => Some(self.opening.lock().await),
            false => None,
        };
        if shareable && let Some(taken) = self.take(upgrade) {
            return Ok((taken, false));
        }
        let permit = match &self.limited {
            None => None,
            Some(limited) => match limited.turn().await? {
                Turn::Open(permit) => Some(permit),
                Turn::Take(connection) => return Ok((Taken::Http1(connection), false)),
            },
        };
        let opened = self.connector.open(upgrade, &self.now).await?;
        let taken = match opened {
            Opened::Http1(connection) => {
                let connection = connection.opened_at(self.now.get());
                Taken::Http1(connection.counted_by(permit))
            }
            Opened::Http2(connection) => {
                self.http2.borrow_mut().push(connection.clone());
                Taken::Http2(connection)
            }
        };
        Ok((taken, true))
    }

    /// Gives a connection to who waits for one, or keeps it for who comes next.
    pub(super) fn put_back(&self, mut connection: Http1) {
        if !self.is_young(connection.opened()) {
            return;
        }
        if let Some(limited) = &self.limited {
            match limited.hand_on(connection) {
                Some(unwanted) => connection = unwanted,
                None => return,
            }
        }
        let since = self.now.get();
        self.idle.borrow_mut().push(Idle { connection, since });
    }

    /// How many connections are ready: idle ones of HTTP/1.1, open ones of HTTP/2.
    pub(super) fn ready(&self) -> (usize, usize) {
        (self.idle.borrow().len(), self.http2.borrow().len())
    }

    /// Closes what nobody has used for a while; true when nothing is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let fresh = |since: Instant| now.saturating_duration_since(since) < IDLE_TIMEOUT;
        let mut idle = std::mem::take(&mut *self.idle.borrow_mut());
        idle.retain_mut(|idle| {
            fresh(idle.since)
                && self.is_young(idle.connection.opened())
                && idle.connection.is_still_open()
        });
        let mut kept = self.idle.borrow_mut();
        idle.append(&mut kept);
        *kept = idle;
        let mut http2 = self.http2.borrow_mut();
        http2.retain(|connection| {
            !connection.has_ended()
                && self.is_young(connection.opened())
                && connection.unused_since().is_none_or(fresh)
        });
        http2.is_empty() && kept.is_empty()
    }
}

/// Closes unused connections of a pool whenever requests of other threads wait for their places.
async fn make_room(pool: Weak<Pool>, others_wait: Arc<Notify>) {
    loop {
        others_wait.notified().await;
        loop {
            let Some(pool) = pool.upgrade() else { return };
            let Some(limited) = &pool.limited else { return };
            if !limited.limit.is_waited_for() {
                break;
            }
            let mut idle = pool.idle.borrow_mut();
            if idle.is_empty() {
                break;
            }
            let oldest = idle.remove(0);
            drop(idle);
            // Its place goes to the one that waits.
            drop(oldest);
        }
    }
}

/// A request's turn to use a connection.
enum Turn {
    /// It may open one.
    Open(Permit),
    /// It is given one.
    Take(Http1),
}

impl Limited {
    /// Waits for a place among the connections, or for one of this pool's own to become free.
    async fn turn(&self) -> Result<Turn, SendError> {
        let (ticket, mut turn) = match self.limit.ask(self.id) {
            MayOpen::Now(permit) => return Ok(Turn::Open(permit)),
            MayOpen::Later(ticket, turn) => (ticket, turn),
        };
        let mut given = self.wait(ticket);
        tokio::select! {
            biased;
            Ok(connection) = &mut given => Ok(Turn::Take(connection)),
            Ok(permit) = &mut turn => Ok(Turn::Open(permit)),
            else => Err(SendError::of("the destination's connections are gone")),
        }
    }

    /// Gets the next connection of this pool that nobody was waiting for before.
    fn wait(&self, ticket: Ticket) -> oneshot::Receiver<Http1> {
        let (sender, given) = oneshot::channel();
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|(_, given)| !given.is_closed());
        waiting.push_back((ticket, sender));
        given
    }

    /// Gives a connection that is free to who waits for it; gives it back if nobody does.
    fn hand_on(&self, mut connection: Http1) -> Option<Http1> {
        if self.limit.is_another_pools_turn(self.id) {
            // Its place goes to the one that waits.
            drop(connection);
            return None;
        }
        loop {
            let Some((ticket, waiting)) = self.waiting.borrow_mut().pop_front() else {
                break;
            };
            match waiting.send(connection) {
                Ok(()) => {
                    self.limit.withdraw(ticket);
                    return None;
                }
                Err(unwanted) => connection = unwanted,
            }
        }
        // Nobody here waits; others may.
        (!self.limit.is_waited_for()).then_some(connection)
    }
}

/// Why a request has no response.
enum Failed {
    /// Not a byte of it was sent: it can be sent elsewhere.
    Unsent(Box<Request<ForwardBody>>, SendError),
    /// It was sent, can do no harm twice, and the destination closed without a word.
    Unanswered(ForwardBody, SendError),
    /// The destination says that it has not processed it, and nothing of its body is lost.
    Unprocessed(ForwardBody, SendError),
    /// Some of it may have arrived.
    Lost(SendError),
}

/// A connection for one request.
enum Taken {
    Http1(Http1),
    Http2(Http2),
}

/// Scheme and authority in pseudo-header fields, and no `Host` (RFC 9113 section 8.3.1).
fn in_http2_form(request: &mut Parts, scheme: &str) -> Result<(), SendError> {
    if request.extensions.get::<LongTarget>().is_some() {
        return Err(SendError::of(
            "the request-target is too long for HTTP/2 here",
        ));
    }
    request.version = Version::HTTP_2;
    let Some(host) = request.headers.remove(HOST) else {
        return Ok(());
    };
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::try_from(scheme).map_err(SendError::of)?);
    parts.authority = Some(host.as_bytes().try_into().map_err(SendError::of)?);
    parts.path_and_query = Some(path_of(&request.uri));
    request.uri = Uri::from_parts(parts).map_err(SendError::of)?;
    Ok(())
}

fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests;
