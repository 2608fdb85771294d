//! One exchange of a handed-over connection, from its begin to the completion that goes back.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use ostler_delegation::entry::{Completed, ExchangeKey, ExchangeLimits, RequestEntry, directives};
use ostler_delegation::target::TargetShared;
use ostler_delegation::{Disposition, Ending};
use ostler_http1::{BodyLength, Framing, RequestFacts, ResponseTransforms};
use tokio::time::Instant;

use crate::body::{Body, Drained, RequestBody};
use crate::builder::Timeouts;
use crate::clients::Clients;
use crate::clock;
use crate::error::BoxError;
use crate::lease::{Journaled, Leased};
use crate::response::{Responder, ResponseError, Sent, SharedClient, bare};
use crate::stream::Streams;

/// Most bytes of an unread body that are read so that the connection can carry another request.
const DRAIN_MOST: u64 = 256 * 1024;

/// What the exchanges of one channel share.
#[derive(Debug)]
pub(crate) struct ChannelContext {
    pub(crate) shared: Arc<TargetShared>,
    pub(crate) timeouts: Timeouts,
    pub(crate) clients: Clients,
    pub(crate) streams: Streams,
    /// The front is gone: no connection outlives its exchange.
    pub(crate) orphaned: AtomicBool,
    /// This process stops: connections go back to the front.
    pub(crate) stopping: AtomicBool,
    /// Connections that have become the application's alone and last; of all channels.
    pub(crate) detached: Arc<AtomicU64>,
}

impl ChannelContext {
    /// Whether no request is read here any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) || self.orphaned.load(Ordering::SeqCst)
    }

    pub(crate) fn end(&self, key: ExchangeKey, disposition: Disposition) {
        let keep = matches!(disposition, Disposition::Keep | Disposition::Returned);
        self.clients
            .end(key, || keep && !self.orphaned.load(Ordering::Acquire));
    }
}

/// An exchange that this process has begun. Dropping it, at whatever point, ends it: the front
/// always learns how.
pub(crate) struct Exchange {
    pub(crate) context: Arc<ChannelContext>,
    pub(crate) client: SharedClient,
    pub(crate) key: ExchangeKey,
    pub(crate) facts: RequestFacts,
    pub(crate) sent: Mutex<Sent>,
    pub(crate) received_ns: u64,
    body: Option<Arc<RequestBody>>,
    directives: Bytes,
    /// What is done to the response before that.
    transforms: Option<Box<ResponseTransforms>>,
    /// The lease that it is under, or grants.
    lease: Option<Arc<Leased>>,
    /// What has been read of the connection for it, under the lease.
    journaled: Option<Journaled>,
    /// When it must be over, and the answer where the response has not begun by then.
    deadline: Option<(Instant, StatusCode)>,
    completed: bool,
}

impl Exchange {
    /// One that the front has handed over, and not taken back.
    pub(crate) fn new(
        context: &Arc<ChannelContext>,
        client: &SharedClient,
        key: ExchangeKey,
        entry: &RequestEntry<'_>,
        received_ns: u64,
    ) -> Self {
        let body = (entry.framing != Framing::None).then(|| {
            Arc::new(RequestBody::new(
                Arc::clone(client),
                Arc::clone(&context.shared),
                key,
                entry,
                context.timeouts.body,
            ))
        });
        Self {
            context: Arc::clone(context),
            client: Arc::clone(client),
            key,
            facts: entry.facts,
            sent: Mutex::default(),
            received_ns,
            body,
            directives: Bytes::copy_from_slice(entry.directives),
            transforms: transforms_of(entry.transforms),
            deadline: deadline_of(&entry.limits, received_ns),
            lease: None,
            journaled: None,
            completed: false,
        }
    }

    /// A request that has been read under a lease. It has no body.
    pub(crate) fn under_lease(
        leased: &Arc<Leased>,
        journaled: Journaled,
        facts: RequestFacts,
        received_ns: u64,
    ) -> Self {
        Self {
            context: Arc::clone(leased.context()),
            client: Arc::clone(leased.client()),
            key: leased.key(),
            facts,
            sent: Mutex::default(),
            received_ns,
            body: None,
            directives: Bytes::new(),
            transforms: None,
            deadline: None,
            lease: Some(Arc::clone(leased)),
            journaled: Some(journaled),
            completed: false,
        }
    }

    /// The connection's next request may be read behind this one.
    pub(crate) fn grants(&mut self, leased: &Arc<Leased>) {
        self.lease = Some(Arc::clone(leased));
    }

    /// The request's body, for the handler.
    pub(crate) fn request_body(&self) -> Body {
        let body = self.body.as_ref();
        body.map_or_else(Body::empty, |body| Body::delegated(Arc::clone(body)))
    }

    /// When it must be over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|(at, _)| at)
    }

    /// The deadline has passed and no response has begun: the handler is gone, the answer says so.
    pub(crate) async fn time_out(mut self) {
        let (_, status) = self
            .deadline
            .take()
            .unwrap_or((clock::now(), StatusCode::GATEWAY_TIMEOUT));
        if let Some(body) = &self.body {
            body.detach();
            // What is left of it could take for ever.
            self.facts.keep_alive = false;
        }
        self.respond(bare(status)).await;
    }

    /// Sends the handler's response and brings the exchange to its end.
    pub(crate) async fn answer<B>(mut self, response: http::Response<B>)
    where
        B: http_body::Body + Send,
        B::Error: Into<BoxError>,
    {
        if self.body.as_ref().is_some_and(|body| body.is_too_large()) {
            // Whatever the handler made of it: the front's configuration decides.
            let response = bare(StatusCode::PAYLOAD_TOO_LARGE);
            return Box::pin(self.respond(response)).await;
        }
        if self.body.as_ref().is_some_and(|body| body.is_too_slow()) {
            self.facts.keep_alive = false;
            let response = bare(StatusCode::REQUEST_TIMEOUT);
            return Box::pin(self.respond(response)).await;
        }
        self.respond(response).await;
    }

    async fn respond<B>(mut self, response: http::Response<B>)
    where
        B: http_body::Body + Send,
        B::Error: Into<BoxError>,
    {
        let mut facts = self.facts;
        if self.is_orphaned() {
            facts.keep_alive = false;
        }
        if self
            .body
            .as_ref()
            .is_some_and(|body| body.awaits_continue())
        {
            // Whether the body comes is the client's guess now, so nothing may follow it.
            facts.keep_alive = false;
        }
        let respond = || match &self.body {
            None => self.context.shared.responding(self.key),
            Some(_) => self.context.shared.responding_beside_body(self.key),
        };
        let responder = Responder {
            client: &self.client,
            facts,
            transforms: self.transforms.as_deref(),
            directives: directives(&self.directives).collect(),
            reads: self.body.is_some(),
            timeout: self.context.timeouts.send,
            responding: &respond,
            sent: &self.sent,
        };
        let sent = match self.deadline {
            None => responder.send(response).await,
            Some((at, _)) => Box::pin(tokio::time::timeout_at(at, responder.send(response)))
                .await
                .unwrap_or(Err(ResponseError::Over)),
        };
        drop(responder);
        match sent {
            // Nothing of the request is left to read: the common case needs no more waiting.
            Ok(true) if self.body.is_none() && !self.is_orphaned() => {
                self.complete(Disposition::Keep, Ending::Answered, Vec::new());
            }
            Ok(keep_alive) => Box::pin(self.finish(keep_alive)).await,
            Err(error) => {
                let ending = match &error {
                    ResponseError::ClientGone => Ending::ClientGone,
                    ResponseError::TimedOut(_) | ResponseError::Over => Ending::TimedOut,
                    _ => Ending::HandlerFailed,
                };
                if ending == Ending::HandlerFailed {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::error!(error, "the response ends early");
                }
                // Part of it may be sent: only closing says that it is not whole.
                self.close(ending);
            }
        }
    }

    /// The response is sent: reads what is left of the request, then lets go of the connection.
    async fn finish(&mut self, keep_alive: bool) {
        let mut leftover = Vec::new();
        let mut ending = Ending::Answered;
        let mut keep_alive = keep_alive;
        if let Some(body) = &self.body {
            body.detach();
            if keep_alive {
                let drain = body.drain(DRAIN_MOST);
                match tokio::time::timeout(self.context.timeouts.drain, drain).await {
                    Ok(Drained::End { leftover: rest }) => leftover = rest,
                    Ok(Drained::Unfinished) | Err(_) => keep_alive = false,
                }
            }
            if body.failed() {
                ending = Ending::BadBody;
            }
        }
        if keep_alive && !self.is_orphaned() {
            self.complete(Disposition::Keep, ending, leftover);
            return;
        }
        if self.client.tls().is_some() {
            let end = poll_fn(|cx| self.client.poll_close_notify(cx, self.body.is_some()));
            let _ = tokio::time::timeout(self.context.timeouts.send, end).await;
        }
        if self.body.is_some() {
            let linger = self.client.linger();
            let _ = tokio::time::timeout(self.context.timeouts.drain.min(LINGER), linger).await;
        }
        self.close(ending);
    }

    fn is_orphaned(&self) -> bool {
        self.context.orphaned.load(Ordering::Relaxed)
    }

    fn close(&mut self, ending: Ending) {
        if ending == Ending::Answered || ending == Ending::BadBody {
            let _ = ostler_shm::shutdown_write(self.client.as_fd());
        } else {
            let _ = ostler_shm::shutdown_both(self.client.as_fd());
        }
        self.complete(Disposition::Close, ending, Vec::new());
    }

    /// Does to a 101, which hyper writes, what the front asked for.
    pub(crate) fn change_switching(&self, fields: &mut http::HeaderMap) {
        if let Some(transforms) = &self.transforms {
            let status = StatusCode::SWITCHING_PROTOCOLS;
            transforms.head(
                self.facts,
                status,
                fields,
                BodyLength::Empty,
                &clock::date(),
            );
        }
        for (name, value) in directives(&self.directives) {
            if let (Ok(name), Ok(value)) = (
                http::HeaderName::from_bytes(name),
                http::HeaderValue::from_bytes(value),
            ) {
                if ostler_http1::is_set_once(name.as_str().as_bytes()) {
                    fields.remove(&name);
                }
                fields.append(name, value);
            }
        }
    }

    /// The connection is the application's alone.
    pub(crate) fn detach(&mut self) {
        self.complete(Disposition::Detached, Ending::Answered, Vec::new());
    }

    fn complete(&mut self, disposition: Disposition, ending: Ending, leftover: Vec<u8>) {
        self.completed = true;
        let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let completed = Completed {
            key: self.key,
            disposition,
            ending,
            status: sent.status,
            bytes_sent: sent.bytes,
            body_received: self.body.as_ref().map_or(0, |body| body.received()),
            received_ns: self.received_ns,
            first_byte_ns: sent.first_byte_ns,
            completed_ns: ostler_shm::monotonic_nanoseconds(),
            leftover,
        };
        if let Some(lease) = self.lease.take()
            && lease.exchange_is_over(self.journaled.take(), &completed)
        {
            return;
        }
        if disposition == Disposition::Keep {
            self.client.end_exchange();
        }
        // Before the completion, behind which the slot's number may come back.
        self.context.end(self.key, disposition);
        self.context.shared.complete(&completed);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.completed {
            if let Some(body) = &self.body {
                body.detach();
            }
            self.close(Ending::ClientGone);
        }
    }
}

/// How long a connection that is being closed is listened to: by time, since any number of bytes is
/// on its way where the line is fast.
const LINGER: Duration = Duration::from_secs(30);

/// The response transforms of an entry; its decoder has checked them.
fn transforms_of(encoded: &[u8]) -> Option<Box<ResponseTransforms>> {
    if encoded.is_empty() {
        return None;
    }
    ResponseTransforms::decode(encoded).ok().map(Box::new)
}

/// The deadline by this process' clock.
fn deadline_of(limits: &ExchangeLimits, now_ns: u64) -> Option<(Instant, StatusCode)> {
    if limits.deadline_ns == ExchangeLimits::NONE.deadline_ns {
        return None;
    }
    let left = Duration::from_nanos(limits.deadline_ns.saturating_sub(now_ns));
    let status = StatusCode::from_u16(limits.timeout_status);
    // A front that names a status that is none, or only begins a response, gets the usual one.
    let status = status.ok().filter(|status| !status.is_informational());
    let status = status.unwrap_or(StatusCode::GATEWAY_TIMEOUT);
    Some((clock::now().checked_add(left)?, status))
}
