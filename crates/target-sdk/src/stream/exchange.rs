//! One exchange over a stream, from the entry that came out of the ring to the completion that goes back.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::stream_entry::StreamRequest;
use ostler_delegation::{ChannelError, Disposition, Ending};
use ostler_http1::{Framing, RequestFacts, to_http_request_parts};

use super::respond::{Sent, respond};
use super::{Stream, StreamedBody, upgrade};
use crate::BoxError;
use crate::application::tell_axum;
use crate::body::Body;
use crate::exchange::{ChannelContext, Handler, ResponseBody, call};
use crate::info::{RequestInfo, TlsInfo};
use crate::response::{Either, ResponseError, bare};

/// An exchange that this process has begun. Dropping it, at whatever point, ends it: the front
/// always learns how.
#[derive(Debug)]
pub(super) struct StreamExchange {
    context: Arc<ChannelContext>,
    pub(super) stream: Arc<Stream>,
    pub(super) facts: RequestFacts,
    pub(super) sent: Sent,
    received_ns: u64,
    is_completed: bool,
}

/// An exchange being answered.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes a request on and returns the future that answers it; `None` when the front has withdrawn
/// it.
pub(crate) fn begin<S, B>(
    context: &Arc<ChannelContext>,
    key: ExchangeKey,
    entry: &StreamRequest<'_>,
    service: &S,
) -> Result<Option<Running>, ChannelError>
where
    S: Handler<B>,
    B: ResponseBody,
{
    if !context.shared.begin(key) {
        return Ok(None);
    }
    let received_ns = ostler_shm::monotonic_nanoseconds();
    let request = &entry.request;
    // What follows a request for an upgrade is what the client says once it is granted.
    let has_body = request.framing != Framing::None || request.upgrade;
    let prefix = Bytes::copy_from_slice(request.prefix);
    let is_whole = entry.is_whole || !has_body;
    let stream = Arc::new(Stream::new(&context.shared, key, prefix, is_whole));
    stream.lock().awaits_continue = request.expects_continue && request.prefix.is_empty();
    if !context.streams.insert(&stream) {
        let ExchangeKey { slot, exchange, .. } = key;
        return Err(ChannelError::UnknownExchange { slot, exchange });
    }
    let exchange = StreamExchange {
        context: Arc::clone(context),
        stream: Arc::clone(&stream),
        facts: request.facts,
        sent: Sent::default(),
        received_ns,
        is_completed: false,
    };
    let raw = Bytes::copy_from_slice(request.head.raw);
    let Ok(mut parts) = to_http_request_parts(&raw, &request.head.index) else {
        return Ok(Some(Box::pin(
            exchange.answer(bare(StatusCode::BAD_REQUEST)),
        )));
    };
    let tls = entry.client.tls.clone();
    let tls = tls.map(|tls| Arc::new(TlsInfo::new(tls)));
    let times = [request.head_received_ns, request.queued_ns, received_ns];
    let info = RequestInfo::streamed(&entry.client.facts, tls, times)
        .asked_by_https(entry.client.is_https);
    tell_axum(&mut parts.extensions, &info);
    parts.extensions.insert(info);
    let mut service = service.clone();
    if request.upgrade {
        let request = http::Request::from_parts(parts, Body::empty());
        return Ok(Some(Box::pin(upgrade::run(
            exchange, service, request, raw,
        ))));
    }
    let length = match request.framing {
        Framing::Length(length) => Some(length),
        Framing::None | Framing::Chunked => None,
    };
    let body = match request.framing {
        Framing::None => Body::empty(),
        _ => {
            let timeout = context.timeouts.body;
            Body::streamed(StreamedBody::new(&stream, length, timeout))
        }
    };
    let request = http::Request::from_parts(parts, body);
    Ok(Some(Box::pin(async move {
        match call(&mut service, request).await {
            Ok(response) => exchange.answer(Either::of(response)).await,
            Err(status) => exchange.answer(bare(status)).await,
        }
    })))
}

impl StreamExchange {
    /// Sends the handler's response and brings the exchange to its end.
    pub(super) async fn answer<B>(mut self, response: http::Response<B>)
    where
        B: http_body::Body + Send,
        B::Error: Into<BoxError>,
    {
        let timeout = self.context.timeouts.send;
        let sent = respond(&self.stream, self.facts, response, timeout, &mut self.sent).await;
        match sent {
            Ok(()) => self.complete(Disposition::Keep, Ending::Answered),
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
                self.complete(Disposition::Close, ending);
            }
        }
    }

    /// Nothing more is said of it from here on.
    pub(super) fn complete(&mut self, disposition: Disposition, ending: Ending) {
        if std::mem::replace(&mut self.is_completed, true) {
            return;
        }
        let read = {
            let mut state = self.stream.lock();
            state.over = true;
            let reader = state.reader.take();
            let read = state.read;
            drop(state);
            reader.into_iter().for_each(std::task::Waker::wake);
            read
        };
        let key = self.stream.key;
        // Before the completion, behind which the slot's number may come back.
        self.context.streams.end(key);
        self.context.shared.complete(&Completed {
            key,
            disposition,
            ending,
            status: self.sent.status,
            bytes_sent: self.sent.bytes,
            body_received: read,
            received_ns: self.received_ns,
            first_byte_ns: self.sent.first_byte_ns,
            completed_ns: ostler_shm::monotonic_nanoseconds(),
            leftover: Vec::new(),
        });
    }
}

impl Drop for StreamExchange {
    fn drop(&mut self) {
        self.complete(Disposition::Close, Ending::ClientGone);
    }
}
