//! The begin of an exchange: from the entry that came out of the queue to a future that answers it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use ostler_delegation::entry::{ExchangeKey, RequestEntry};
use ostler_delegation::lease::Lease;
use ostler_http1::{Framing, to_http_request_parts};

use crate::application::tell_axum;
use crate::body::Body;
use crate::exchange::{ChannelContext, Exchange};
use crate::handler::{Handler, ResponseBody, call};
use crate::info::RequestInfo;
use crate::lease::{Holder, Leased};
use crate::read_on::read_on;
use crate::response::{SharedClient, bare};
use crate::upgrade;

/// Takes a request on and returns the future that answers it; `None` when the front has withdrawn
/// it.
pub(crate) fn begin<S, B>(
    context: &Arc<ChannelContext>,
    client: &SharedClient,
    key: ExchangeKey,
    entry: &RequestEntry<'_>,
    lease: Option<Lease>,
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
    let mut exchange = Exchange::new(context, client, key, entry, received_ns);
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
    let request = http::Request::from_parts(parts, exchange.request_body());
    if let Some(at) = exchange.deadline() {
        return Some(Box::pin(async move {
            match tokio::time::timeout_at(at, call(&mut service, request)).await {
                Ok(Ok(response)) => exchange.answer(response).await,
                Ok(Err(status)) => exchange.answer(bare(status)).await,
                Err(_elapsed) => exchange.time_out().await,
            }
        }));
    }
    // Where nothing stands between this request and a next one.
    let lease = lease.filter(|_| entry.framing == Framing::None && entry.facts.keep_alive);
    let Some(lease) = lease else {
        return Some(Box::pin(async move {
            match call(&mut service, request).await {
                Ok(response) => exchange.answer(response).await,
                Err(status) => exchange.answer(bare(status)).await,
            }
        }));
    };
    let leased = Leased::new(context, client, key, lease);
    context.clients.leases(key, leased.state());
    exchange.grants(&leased);
    let holder = Holder::new(leased);
    Some(Box::pin(async move {
        // Dropped last: an exchange that is dropped ends the lease by itself.
        let holder = holder;
        match call(&mut service, request).await {
            Ok(response) => exchange.answer(response).await,
            Err(status) => exchange.answer(bare(status)).await,
        }
        Box::pin(read_on(holder, service)).await;
    }))
}
