//! One exchange, from the entry that came out of the queue to the completion that goes back.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use hyper::upgrade::OnUpgrade;
use ostler_delegation::entry::{Completed, ExchangeKey, ExchangeLimits, RequestEntry, directives};
use ostler_delegation::target::TargetShared;
use ostler_delegation::{Disposition, Ending};
use ostler_http1::{BodyLength, Framing, RequestFacts, ResponseTransforms, to_http_request_parts};
use tokio::time::Instant;
use tower_service::Service;

use crate::application::tell_axum;
use crate::body::{Body, Drained, RequestBody};
use crate::builder::Timeouts;
use crate::clients::Clients;
use crate::info::RequestInfo;
use crate::panics::{Contained, contain};
use crate::response::{Responder, ResponseError, Sent, SharedClient, bare};
use crate::send_file::{AskedRange, apply_range};
use crate::stream::Streams;
use crate::{BoxError, clock, upgrade};

/// Most bytes of an unread body that are read so that the connection can carry another request.
const DRAIN_MOST: u64 = 256 * 1024;

/// What a service must be to answer delegated requests.
pub(crate) trait Handler<B>:
    Service<http::Request<Body>, Response = http::Response<B>, Future: Send, Error: Into<BoxError>>
    + Clone
    + Send
    + 'static
{
}

impl<S, B> Handler<B> for S where
    S: Service<
            http::Request<Body>,
            Response = http::Response<B>,
            Future: Send,
            Error: Into<BoxError>,
        > + Clone
        + Send
        + 'static
{
}

/// What the body of its responses must be.
pub(crate) trait ResponseBody:
    http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static
{
}

impl<B> ResponseBody for B where
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static
{
}

/// What the exchanges of one channel share.
#[derive(Debug)]
pub(crate) struct ChannelContext {
    pub(crate) shared: Arc<TargetShared>,
    pub(crate) timeouts: Timeouts,
    pub(crate) clients: Clients,
    pub(crate) streams: Streams,
    /// The front is gone: no connection outlives its exchange.
    pub(crate) orphaned: AtomicBool,
}

impl ChannelContext {
    fn end(&self, key: ExchangeKey, disposition: Disposition) {
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
    /// When it must be over, and the answer where the response has not begun by then.
    deadline: Option<(Instant, StatusCode)>,
    completed: bool,
}

/// Takes a request on and returns the future that answers it; `None` when the front has withdrawn
/// it.
pub(crate) fn begin<S, B>(
    context: &Arc<ChannelContext>,
    client: &SharedClient,
    key: ExchangeKey,
    entry: &RequestEntry<'_>,
    service: &S,
) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>>
where
    S: Handler<B>,
    B: ResponseBody,
{
    if !context.shared.begin(key) {
        return None;
    }
    let received_ns = ostler_shm::monotonic_nanoseconds();
    let body = (entry.framing != Framing::None).then(|| {
        Arc::new(RequestBody::new(
            Arc::clone(client),
            Arc::clone(&context.shared),
            key,
            entry,
            context.timeouts.body,
        ))
    });
    let exchange = Exchange {
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
        completed: false,
    };
    if entry.limits.deadline_ns <= received_ns {
        // Too late for a handler to begin.
        return Some(Box::pin(exchange.time_out()));
    }
    let raw = Bytes::copy_from_slice(entry.head.raw);
    let Ok(mut parts) = to_http_request_parts(&raw, &entry.head.index) else {
        return Some(Box::pin(exchange.answer(bare(StatusCode::BAD_REQUEST))));
    };
    let info = RequestInfo::delegated(
        client.facts(),
        client.tls().cloned(),
        entry.head_received_ns,
        entry.queued_ns,
        received_ns,
    )
    .forwarded(entry.forwarded);
    tell_axum(&mut parts.extensions, &info);
    parts.extensions.insert(info);
    let mut service = service.clone();
    if entry.upgrade {
        let request = http::Request::from_parts(parts, Body::empty());
        let prefix = Bytes::copy_from_slice(entry.prefix);
        return Some(Box::pin(upgrade::run(
            exchange, service, request, raw, prefix,
        )));
    }
    let body = exchange
        .body
        .as_ref()
        .map_or_else(Body::empty, |body| Body::delegated(Arc::clone(body)));
    let request = http::Request::from_parts(parts, body);
    if let Some((at, _)) = exchange.deadline {
        return Some(Box::pin(async move {
            match tokio::time::timeout_at(at, call(&mut service, request)).await {
                Ok(Ok(response)) => exchange.answer(response).await,
                Ok(Err(status)) => exchange.answer(bare(status)).await,
                Err(_elapsed) => exchange.time_out().await,
            }
        }));
    }
    Some(Box::pin(async move {
        match call(&mut service, request).await {
            Ok(response) => exchange.answer(response).await,
            Err(status) => exchange.answer(bare(status)).await,
        }
    }))
}

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

/// Calls a service as soon as it is ready; its errors and panics are a 500, and so is a response that
/// is none. Of a response that is a file, it makes the part that was asked for.
pub(crate) async fn call<S, B>(
    service: &mut S,
    request: http::Request<Body>,
) -> Result<http::Response<B>, StatusCode>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
{
    let failed = |error: BoxError| {
        tracing::error!(error, "the service failed");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let panicked = |panicked: crate::panics::Panicked| {
        tracing::error!("{panicked}");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(|error| failed(error.into()))?;
    let asked = AskedRange::of(&request);
    let may_switch = request.extensions().get::<OnUpgrade>().is_some();
    let future = contain(|| service.call(request)).map_err(panicked)?;
    let future = std::pin::pin!(future);
    match Contained(future).await.map_err(panicked)? {
        Ok(mut response) => {
            if is_interim(response.status(), may_switch) {
                let status = response.status().as_u16();
                return Err(failed(
                    format!("it answers with {status}, behind which the response is still to come")
                        .into(),
                ));
            }
            forget_empty_length(&mut response);
            apply_range(asked.as_ref(), &mut response);
            Ok(response)
        }
        Err(error) => Err(failed(error.into())),
    }
}

/// Whether a client that is sent this goes on waiting for its response, or takes it for a switch to a
/// protocol that it has not asked for: it could not tell the next response from this one's (RFC 9110
/// section 15.2).
fn is_interim(status: StatusCode, may_switch: bool) -> bool {
    status.is_informational() && !(may_switch && status == StatusCode::SWITCHING_PROTOCOLS)
}

/// Takes the length of the empty body from a 304, which states what GET would give or nothing (RFC
/// 9110 section 8.6): axum says of every response how long its own body is.
fn forget_empty_length<B>(response: &mut http::Response<B>) {
    let is_empty = |length: &http::HeaderValue| length == "0";
    if response.status() == StatusCode::NOT_MODIFIED
        && response.headers().get(CONTENT_LENGTH).is_some_and(is_empty)
    {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

impl Exchange {
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
        if disposition == Disposition::Keep {
            self.client.end_exchange();
        }
        // Before the completion, behind which the slot's number may come back.
        self.context.end(self.key, disposition);
        let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        self.context.shared.complete(&Completed {
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
        });
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
