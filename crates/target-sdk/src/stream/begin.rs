//! The begin of a stream: from its entry to a future that answers it.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use ostler_delegation::ChannelError;
use ostler_delegation::entry::ExchangeKey;
use ostler_delegation::stream_entry::StreamRequest;
use ostler_http1::{Framing, to_http_request_parts};

use super::body::StreamedBody;
use super::exchange::StreamExchange;
use super::halves::Stream;
use super::upgrade;
use crate::application::tell_axum;
use crate::body::Body;
use crate::exchange::ChannelContext;
use crate::handler::{Handler, ResponseBody, call};
use crate::info::{RequestInfo, TlsInfo};
use crate::response::{Either, bare};

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
    let exchange = StreamExchange::new(context, &stream, request.facts, received_ns);
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
