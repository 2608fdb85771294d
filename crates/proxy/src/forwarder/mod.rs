//! Forwarding over HTTP, to a destination's address or to a relayed target.
//!
//! 1. make the outgoing request of the head (`request.rs`);
//! 2. send it, while the body is read from the client (`body.rs`);
//! 3. pass the response on (`response.rs`), or join the two connections after a 101 (`tunnel.rs`).

mod body;
mod clients;
mod request;
mod response;
mod tunnel;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap};
use hyper::body::Incoming;
use ostler_http1::{Framing, RequestFacts, RequestHead};
use ostler_model::DestinationState;

use crate::client::{Client, Interest};
use crate::connection::Connection;
use crate::context::ExchangeContext;
use crate::delegation::RelayTarget;
use crate::exchange::After;
use crate::outcome::ForwarderError;
use crate::respond::{Chain, respond};

pub(crate) use body::ForwardBody;
pub(crate) use clients::{Clients, Destination, SendError, Sender, handshake, system_roots};
pub(crate) use request::{Answer, RequestError, is_hop_by_hop, is_listed_in_connection};

/// How a forwarded exchange ended.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) after: After,
    pub(crate) status: u16,
    pub(crate) bytes_sent: u64,
    pub(crate) error: Option<ForwarderError>,
}

impl Forwarded {
    /// A response that has begun and is not whole does not end as if it were.
    fn show_if_cut_short(&self, client: &Client) {
        if self.error.is_some() && self.bytes_sent > 0 {
            client.cut_short();
        }
    }
}

/// YARP's default `HttpRequest:ActivityTimeout`.
const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(100);

/// Forwards a request to a destination's address.
pub(crate) async fn forward(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    destination: &Arc<DestinationState>,
) -> Forwarded {
    let cluster = context.cluster().model();
    let timeout = match cluster.config.activity_timeout {
        None => Some(ACTIVITY_TIMEOUT),
        Some(ostler_config::schema::ActivityTimeout::After(timeout)) => Some(timeout),
        Some(ostler_config::schema::ActivityTimeout::Infinite) => None,
    };
    let worker = std::rc::Rc::clone(&connection.worker);
    let ends = connection.client.ends();
    let made = worker
        .forwarding(context.cluster(), &destination.model())
        .and_then(|to| {
            let made = match &context.route().transforms {
                None => request::to_destination(head, &to, ends).map(Ok),
                Some(transforms) => worker.with_random(|random| {
                    request::transformed(head, transforms, &to, ends, random)
                }),
            };
            made.map(|made| (to, made))
        });
    let (to, (parts, upgrade)) = match made {
        Ok((to, Ok(made))) => (to, made),
        Ok((_, Err(response))) => return answered(connection, head, context, response).await,
        Err(error) => {
            tracing::warn!(destination = destination.id(), error = %Chain(&error), "no request can be made");
            let status = StatusCode::BAD_GATEWAY;
            let error = ForwarderError::RequestCreation;
            return unanswered(connection, head, context, status, error).await;
        }
    };
    let lease = std::cell::Cell::new(None);
    let send = async |request| {
        let (response, leased) = to.pool.send(request, upgrade).await?;
        lease.set(Some(leased));
        Ok(response)
    };
    let forwarded = run(connection, head, context, parts, upgrade, timeout, send).await;
    forwarded.show_if_cut_short(&connection.client);
    if let Some(lease) = lease.take() {
        lease.give_back();
    }
    forwarded
}

/// Relays a request to a target that may not hold the client's socket.
pub(crate) async fn relay(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    target: &std::rc::Rc<RelayTarget>,
) -> Forwarded {
    let _counted = target.begin();
    connection
        .relays
        .retain(|place| !place.target.is_dead() && place.sender.is_open());
    let place = connection
        .relays
        .iter()
        .position(|place| std::rc::Rc::ptr_eq(&place.target, target));
    let mut place = match place {
        Some(at) => connection.relays.swap_remove(at),
        None => match target
            .connect(connection.client.facts(), connection.client.tls())
            .await
        {
            Ok(place) => place,
            Err(error) => {
                tracing::warn!(instance = target.id(), error = %Chain(&error), "cannot relay");
                let status = StatusCode::BAD_GATEWAY;
                return failed(connection, head, context, status, ForwarderError::Request).await;
            }
        },
    };
    let made = request::to_target(head);
    let (parts, upgrade) = match made {
        Ok(made) => made,
        Err(error) => {
            tracing::warn!(instance = target.id(), %error, "no request can be made");
            let status = StatusCode::BAD_GATEWAY;
            return failed(
                connection,
                head,
                context,
                status,
                ForwarderError::RequestCreation,
            )
            .await;
        }
    };
    let sender = &mut place.sender;
    let send = async |request| sender.send(request).await;
    let forwarded = run(connection, head, context, parts, upgrade, None, send).await;
    forwarded.show_if_cut_short(&connection.client);
    // Of one that failed, the target may still be busy with what was asked.
    if forwarded.error.is_none() {
        connection.relays.push(place);
    }
    forwarded
}

/// Steps 2 and 3, however the request is sent.
async fn run<F>(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    parts: http::request::Parts,
    upgrade: bool,
    timeout: Option<Duration>,
    send: F,
) -> Forwarded
where
    F: AsyncFnOnce(http::Request<ForwardBody>) -> Result<http::Response<Incoming>, SendError>,
{
    if connection
        .client
        .set_interest(Interest::ReadsAndWrites)
        .is_err()
    {
        return gone();
    }
    let activity = body::Activity::new(timeout, context.deadline());
    let (outgoing, mut upload) = body::upload(head, connection, context.body_limit());
    let request = http::Request::from_parts(parts, outgoing);
    let asked = {
        let response = std::pin::pin!(send(request));
        body::while_uploading(connection, &mut upload, response, &activity).await
    };
    let response = match asked {
        Ok(response) => response,
        Err(failure) => {
            let (status, error) = failure.answer();
            if let Some(source) = failure.source() {
                tracing::warn!(cluster = context.cluster().id(), error = %Chain(source), "forwarding failed");
            }
            let Some(status) = status else { return gone() };
            upload.abandon();
            return unanswered(connection, head, context, status, error).await;
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if !upgrade {
            return failed(
                connection,
                head,
                context,
                StatusCode::BAD_GATEWAY,
                ForwarderError::ResponseHeaders,
            )
            .await;
        }
        return tunnel::join(connection, head, context, response, timeout).await;
    }
    response::pass_on(connection, head, context, response, upload, timeout).await
}

/// Answers for a destination from which no head has come: response transforms apply (reference part
/// B, 2.6).
pub(crate) async fn unanswered(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    status: StatusCode,
    error: ForwarderError,
) -> Forwarded {
    let fields = match &context.route().transforms {
        Some(transforms) => transforms.failure(status),
        None => HeaderMap::new(),
    };
    local(connection, head, context, status, &fields, &[], Some(error)).await
}

/// Answers what a request transform says.
pub(crate) async fn answered(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    response: Answer,
) -> Forwarded {
    let (parts, body) = response.into_parts();
    let (status, fields) = (parts.status, &parts.headers);
    local(connection, head, context, status, fields, &body, None).await
}

/// Answers for a destination whose response cannot be passed on.
async fn failed(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    status: StatusCode,
    error: ForwarderError,
) -> Forwarded {
    let fields = HeaderMap::new();
    local(connection, head, context, status, &fields, &[], Some(error)).await
}

/// Answers here; what was added to the response on the way is in it.
async fn local(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    status: StatusCode,
    fields: &HeaderMap,
    body: &[u8],
    error: Option<ForwarderError>,
) -> Forwarded {
    // Whatever of the body is still to come nobody reads.
    let whole = head.framing() == Framing::None;
    let facts = RequestFacts::from(head);
    let facts = RequestFacts {
        keep_alive: facts.keep_alive && whole,
        ..facts
    };
    // The length is stated where the response is written.
    let fields: Vec<_> = fields
        .iter()
        .filter(|(name, _)| !is_hop_by_hop(name) && *name != CONTENT_LENGTH)
        .filter_map(|(name, value)| Some((name.as_str(), str::from_utf8(value.as_bytes()).ok()?)))
        .chain(context.response_fields())
        .collect();
    let keep = respond(connection, facts, status, &fields, body).await;
    if !keep {
        connection.client.linger().await;
    }
    let after = if keep { After::Keep } else { After::Close };
    Forwarded {
        after,
        status: status.as_u16(),
        bytes_sent: 0,
        error,
    }
}

fn gone() -> Forwarded {
    let error = Some(ForwarderError::RequestCanceled);
    Forwarded {
        after: After::Close,
        status: 0,
        bytes_sent: 0,
        error,
    }
}
