//! Forwarding over HTTP, to a destination's address or to a relayed target.
//!
//! 1. make the outgoing request of the head (`request.rs`, `prepared.rs`);
//! 2. send it (`way.rs`), while the body is read from the client (`body.rs`);
//! 3. pass the response on (`response.rs`), or join the two connections after a 101 (`tunnel.rs`).

mod body;
mod by_stream;
mod conversation;
mod elsewhere;
mod prepared;
mod reply_body;
mod request;
mod response;
mod tunnel;
mod way;
mod web_socket;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ostler_config::schema::ActivityTimeout;
use ostler_http1::RequestHead;
use ostler_model::DestinationState;

use crate::client_side::AfterExchange;
use crate::context::ExchangeContext;
use crate::delegation::{Search, StreamAsked};
use crate::destinations::Interim;
use crate::exchange_state::Exchange;
use crate::outcome::Mode;
use crate::queues::{RelayTarget, Rule, StreamHandle};

use by_stream::ToStream;
use conversation::{Terms, converse};
use prepared::ClientRequest;
use way::{ToDestination, ToTarget};

pub(crate) use way::GivenBack;
pub(crate) use web_socket::with_key;

/// YARP's default `HttpRequest:ActivityTimeout`.
const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(100);

/// Forwards a request to a destination, or, where no connection to it opens, to another one.
pub(crate) async fn forward(
    exchange: &mut Exchange<'_, '_>,
    destination: Arc<DestinationState>,
) -> AfterExchange {
    exchange.account.goes(Mode::Forwarded);
    exchange.account.sent();
    let worker = Rc::clone(exchange.worker());
    // Of its own, since the exchange goes on with the client's side.
    let facts = exchange.client_side.client_facts().clone();
    let request = ClientRequest {
        worker: &worker,
        head: exchange.head,
        ends: facts.ends(),
    };
    let prepared = match request.prepare(&exchange.context, &destination) {
        Ok(prepared) => prepared,
        Err(why) => return exchange.answer(why).await,
    };
    let interim = Interim::default();
    let terms = Terms {
        head: exchange.head,
        upgrade: prepared.upgrade,
        timeout: activity_timeout(&exchange.context),
        interim: &interim,
    };
    let mut way = ToDestination {
        request,
        prepared,
        interim: &interim,
    };
    let Ok(after) = converse(exchange, terms, &mut way).await;
    after
}

fn activity_timeout(context: &ExchangeContext<'_>) -> Option<Duration> {
    match context.cluster().model().config.activity_timeout {
        None => Some(ACTIVITY_TIMEOUT),
        Some(ActivityTimeout::After(timeout)) => Some(timeout),
        Some(ActivityTimeout::Infinite) => None,
    }
}

/// Relays a request to a target that may not hold the client's socket, and sees `head`. The exchange comes
/// back where the target has left, and with it the last of its queue, and nobody has begun the request.
pub(crate) async fn relay(
    exchange: &mut Exchange<'_, '_>,
    head: &RequestHead,
    rule: &Rule,
    target: Rc<RelayTarget>,
) -> Result<AfterExchange, GivenBack> {
    exchange.account.goes(Mode::Relayed);
    exchange.account.sent();
    // Of its own, since the exchange goes on with the client's side.
    let facts = exchange.client_side.client_facts().clone();
    let connections = exchange.client_side.relays().of(&target, &facts);
    let version = exchange.context.client_version();
    let request = match way::relayed_request(head, version) {
        Ok(request) => request,
        Err(why) => return Ok(exchange.answer(why).await),
    };
    let interim = Interim::default();
    let terms = Terms {
        head,
        upgrade: request.upgrade,
        timeout: None,
        interim: &interim,
    };
    let mut way = ToTarget {
        head,
        version,
        request,
        facts: &facts,
        rule,
        counted: target.begin(),
        target,
        connections,
        interim: &interim,
    };
    converse(exchange, terms, &mut way).await
}

/// Has a target answer over a stream that has been opened to it, and sees `head`. The exchange comes back
/// where nobody has begun it and nothing of it has been read.
pub(crate) async fn stream(
    exchange: &mut Exchange<'_, '_>,
    head: &RequestHead,
    rule: &Rule,
    search: &mut Search,
    stream: StreamHandle,
) -> Result<AfterExchange, GivenBack> {
    exchange.account.goes(Mode::Streamed);
    exchange.account.sent();
    // Of its own, since the exchange goes on with the client's side.
    let facts = exchange.client_side.client_facts().clone();
    let worker = Rc::clone(exchange.worker());
    let version = exchange.context.client_version();
    let handshake = match web_socket::handshake_of(head, version) {
        Ok(handshake) => handshake,
        Err(why) => return Ok(exchange.answer(why).await),
    };
    let interim = Interim::default();
    let terms = Terms {
        head,
        upgrade: head.upgrade().is_some(),
        timeout: None,
        interim: &interim,
    };
    let mut way = ToStream {
        asked: StreamAsked {
            head,
            client: &facts,
            version,
            head_received_ns: exchange.account.head_received_ns(),
        },
        handshake,
        rule,
        search,
        worker: &worker,
        stream: Some(stream),
        interim: &interim,
    };
    converse(exchange, terms, &mut way).await
}
