//! Reading and answering a connection's next requests, under its lease.

use bytes::Bytes;
use http::StatusCode;
use ostler_http1::{HeadDecoder, HeadProgress, RequestFacts, RequestHead, to_http_request_parts};

use crate::application::tell_axum;
use crate::body::Body;
use crate::exchange::Exchange;
use crate::handler::{Handler, ResponseBody, call};
use crate::info::RequestInfo;
use crate::lease::{Holder, Journaled};
use crate::response::bare;

/// Reads and answers requests once the first exchange is over, for as long as the lease lasts.
pub(crate) async fn read_on<S, B>(mut holder: Holder, mut service: S)
where
    S: Handler<B>,
    B: ResponseBody,
{
    let mut decoder = HeadDecoder::new(holder.leased().lease().limits);
    let mut head = RequestHead::default();
    for number in 1.. {
        if holder.is_over() {
            return;
        }
        let Some(cell) = holder.receive(number).await else {
            return holder.hand_back(Vec::new());
        };
        let leased = holder.leased();
        decoder.reset();
        let progress = decoder.decode(cell.bytes(), &mut head);
        let is_whole = progress
            == Ok(HeadProgress::Complete {
                consumed: cell.bytes().len(),
            });
        if !is_whole || !leased.lease().predicate.holds(&head) {
            holder.hand_back(cell.bytes().to_vec());
            // The journal keeps it until then.
            return drop(cell);
        }
        leased.context().shared.begin_leased(leased.key());
        let received_ns = cell.received_ns();
        let raw = Bytes::copy_from_slice(head.raw());
        let told = leased.lease().tells_heads.then(|| raw.clone());
        let journaled = Journaled::new(cell, told);
        let facts = RequestFacts::from(&head);
        let exchange = Exchange::under_lease(leased, journaled, facts, received_ns);
        // On the heap, so that connections at rest do not carry the room for it.
        Box::pin(answer(exchange, &mut service, &raw, &head)).await;
    }
}

async fn answer<S, B>(exchange: Exchange, service: &mut S, raw: &Bytes, head: &RequestHead)
where
    S: Handler<B>,
    B: ResponseBody,
{
    let Ok(mut parts) = to_http_request_parts(raw, &head.parts().index) else {
        return exchange.answer(bare(StatusCode::BAD_REQUEST)).await;
    };
    let client = &exchange.client;
    let received_ns = exchange.received_ns;
    // Nobody has put it into a queue: it was received here.
    let info = RequestInfo::delegated(
        client.facts(),
        client.tls().cloned(),
        received_ns,
        received_ns,
        received_ns,
    );
    tell_axum(&mut parts.extensions, &info);
    parts.extensions.insert(info);
    let request = http::Request::from_parts(parts, Body::empty());
    match call(service, request).await {
        Ok(response) => exchange.answer(response).await,
        Err(status) => exchange.answer(bare(status)).await,
    }
}
