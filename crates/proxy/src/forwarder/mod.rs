//! Forwarding over HTTP, to a destination's address or to a relayed target.
//!
//! 1. make the outgoing request of the head (`request.rs`);
//! 2. send it, while the body is read from the client (`body.rs`);
//! 3. pass the response on (`response.rs`), or join the two connections after a 101 (`tunnel.rs`).

mod body;
mod clients;
mod header_encoding;
mod request;
mod response;
mod tunnel;
mod web_socket;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, UPGRADE};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ostler_delegation::entry::directives;
use ostler_http1::RequestHead;
use ostler_model::DestinationState;
use ostler_model::transforms::ConnectionEnds;

use crate::context::ExchangeContext;
use crate::delegation::RelayTarget;
use crate::downstream::{BodyRead, Downstream, RequestBody, ResponseWriter};
use crate::exchange::After;
use crate::outcome::ForwarderError;
use crate::respond::Chain;

use web_socket::Handshake;

pub(crate) use body::ForwardBody;
pub(crate) use clients::{Clients, Destination, SendError, Sender, handshake};
pub(crate) use request::{Answer, RequestError, is_hop_by_hop, is_listed_in_connection};

/// How a forwarded exchange ended.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) after: After,
    pub(crate) status: u16,
    pub(crate) bytes_sent: u64,
    pub(crate) error: Option<ForwarderError>,
}

/// YARP's default `HttpRequest:ActivityTimeout`.
const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(100);

/// Forwards a request to a destination's address.
pub(crate) async fn forward(
    downstream: &mut Downstream<'_>,
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
    let worker = std::rc::Rc::clone(downstream.worker());
    let ends = ConnectionEnds {
        remote: downstream.facts().client,
        local: downstream.facts().local,
    };
    let version = context.client_version();
    let made = worker
        .forwarding(context.cluster(), &destination.model())
        .and_then(|to| {
            let made = match &context.route().transforms {
                None => request::to_destination(head, version, &to, ends).map(Ok),
                Some(transforms) => worker.with_random(|random| {
                    request::transformed(head, version, transforms, &to, ends, random)
                }),
            };
            made.map(|made| (to, made))
        })
        .and_then(|(to, mut made)| {
            if let Ok((parts, upgrade)) = &mut made {
                to.messages.prepare(parts, head.framing(), *upgrade)?;
            }
            Ok((to, made))
        });
    let (to, (parts, upgrade)) = match made {
        Ok((to, Ok(made))) => (to, made),
        Ok((_, Err(response))) => return answered(downstream, head, context, response).await,
        Err(error) => {
            tracing::warn!(destination = destination.id(), error = %Chain(&error), "no request can be made");
            let (status, error) = (error.status(), ForwarderError::RequestCreation);
            let read = BodyRead::Nothing;
            return unanswered(downstream, head, context, read, status, error).await;
        }
    };
    let lease = std::cell::Cell::new(None);
    let send = async |request| {
        let (mut response, leased) = to.pool(upgrade).send(request, upgrade).await?;
        lease.set(Some(leased));
        to.messages.read(&mut response);
        Ok(response)
    };
    let forwarded = run(downstream, head, context, parts, upgrade, timeout, send).await;
    if let Some(lease) = lease.take() {
        lease.give_back();
    }
    forwarded
}

/// Relays a request to a target that may not hold the client's socket.
pub(crate) async fn relay(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    target: &std::rc::Rc<RelayTarget>,
) -> Forwarded {
    let _counted = target.begin();
    let facts = *downstream.facts();
    let mut place = match downstream.relays().take(target, facts).await {
        Ok(place) => place,
        Err(error) => {
            tracing::warn!(instance = target.id(), error = %Chain(&error), "cannot relay");
            let (status, error) = (StatusCode::BAD_GATEWAY, ForwarderError::Request);
            let read = BodyRead::Nothing;
            return unanswered(downstream, head, context, read, status, error).await;
        }
    };
    let (parts, upgrade) = match request::to_target(head, context.client_version()) {
        Ok(made) => made,
        Err(error) => {
            tracing::warn!(instance = target.id(), %error, "no request can be made");
            let (status, error) = (StatusCode::BAD_GATEWAY, ForwarderError::RequestCreation);
            let read = BodyRead::Nothing;
            return unanswered(downstream, head, context, read, status, error).await;
        }
    };
    let sender = &mut place.sender;
    let send = async |request| sender.send(request).await;
    let forwarded = run(downstream, head, context, parts, upgrade, None, send).await;
    // Of one that failed, the target may still be busy with what was asked.
    if forwarded.error.is_none() {
        downstream.relays().give_back(place);
    }
    forwarded
}

/// Steps 2 and 3, however the request is sent.
async fn run<F>(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    mut parts: http::request::Parts,
    upgrade: bool,
    timeout: Option<Duration>,
    send: F,
) -> Forwarded
where
    F: AsyncFnOnce(http::Request<ForwardBody>) -> Result<http::Response<Incoming>, SendError>,
{
    let handshake = match upgrade && context.client_version() == http::Version::HTTP_2 {
        true => match Handshake::with_key(&mut parts.headers) {
            Ok(handshake) => Some(handshake),
            Err(error) => {
                tracing::debug!(%error, "a WebSocket is refused");
                let (read, status) = (BodyRead::Nothing, StatusCode::BAD_REQUEST);
                let fields = HeaderMap::new();
                return local(downstream, head, context, read, status, &fields, &[], None).await;
            }
        },
        false => None,
    };
    let activity = body::Activity::new(timeout, context.deadline());
    let Some((body, mut writer)) = downstream.halves(head) else {
        return gone();
    };
    let (outgoing, mut upload) = body::upload(head.framing(), body, context.body_limit());
    let request = http::Request::from_parts(parts, outgoing);
    let asked = {
        let response = std::pin::pin!(send(request));
        body::while_uploading(&mut upload, &mut writer, response, &activity).await
    };
    let response = match asked {
        Ok(response) => response,
        Err(failure) => {
            let (status, error) = failure.answer();
            if let Some(source) = failure.source() {
                tracing::warn!(cluster = context.cluster().id(), error = %Chain(source), "forwarding failed");
            }
            let Some(status) = status else { return gone() };
            let read = upload.body_read();
            return unanswered(downstream, head, context, read, status, error).await;
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let body = upload.into_body();
        let switched = match upgrade {
            true => switch(context, response, handshake, body, writer, timeout).await,
            false => None,
        };
        return match switched {
            Some(forwarded) => forwarded,
            None => {
                let error = ForwarderError::ResponseHeaders;
                failed(downstream, head, context, BodyRead::Whole, error).await
            }
        };
    }
    let passed = response::pass_on(context, response, &mut upload, &mut writer, &activity).await;
    let bytes_sent = writer.bytes_sent();
    let whole = upload.is_complete();
    let error = passed.error.map(|failed| failed.error);
    if let Some(failed) = passed.error {
        if let Some(status) = failed.answer
            && !writer.is_begun()
        {
            let read = upload.body_read();
            let fields = HeaderMap::new();
            return local(downstream, head, context, read, status, &fields, &[], error).await;
        }
        // Only an end before its time says that the response is not whole.
        writer.abort();
    }
    let keep_alive = passed.keep_alive;
    drop((upload, writer));
    let after = downstream.after_response(keep_alive, whole).await;
    Forwarded {
        after,
        status: passed.status.as_u16(),
        bytes_sent,
        error,
    }
}

/// Sends the 101 on and joins the two connections. `None` when there is nothing to join.
async fn switch(
    context: &ExchangeContext<'_>,
    mut response: http::Response<Incoming>,
    handshake: Option<Handshake>,
    mut body: RequestBody<'_>,
    mut writer: ResponseWriter<'_>,
    timeout: Option<Duration>,
) -> Option<Forwarded> {
    let upgrade = hyper::upgrade::on(&mut response);
    let (mut parts, _body) = response.into_parts();
    if handshake.is_some_and(|handshake| !handshake.is_accepted(&mut parts.headers)) {
        tracing::warn!(
            cluster = context.cluster().id(),
            "a destination's Sec-WebSocket-Accept is wrong"
        );
        return None;
    }
    let protocol = parts.headers.get(UPGRADE).cloned();
    let transforms = context.route().transforms.as_deref();
    let mut fields = response::passed_fields(transforms, parts.status, parts.headers);
    if let Some(protocol) = protocol {
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(UPGRADE, protocol);
    }
    let added: Vec<_> = directives(context.directives()).collect();
    let switched = writer.switch(fields, &added, SWITCH_TIMEOUT).await;
    let error = match (switched, upgrade.await) {
        (Err(_), _) => Some(ForwarderError::UpgradeResponseClient),
        (_, Err(_)) => Some(ForwarderError::UpgradeResponseDestination),
        (Ok(()), Ok(upgraded)) => {
            tunnel::join(&mut body, &mut writer, TokioIo::new(upgraded), timeout).await
        }
    };
    let _ = writer.end(None, SWITCH_TIMEOUT).await;
    Some(Forwarded {
        after: After::Close,
        status: parts.status.as_u16(),
        bytes_sent: writer.bytes_sent(),
        error,
    })
}

/// How long a client may take to accept that its protocol is switched.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(120);

/// Answers for a destination from which no head has come: response transforms apply (reference part
/// B, 2.6).
pub(crate) async fn unanswered(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    read: BodyRead,
    status: StatusCode,
    error: ForwarderError,
) -> Forwarded {
    let fields = match &context.route().transforms {
        Some(transforms) => transforms.failure(status),
        None => HeaderMap::new(),
    };
    local(
        downstream,
        head,
        context,
        read,
        status,
        &fields,
        &[],
        Some(error),
    )
    .await
}

/// Answers what a request transform says.
pub(crate) async fn answered(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    response: Answer,
) -> Forwarded {
    let (parts, body) = response.into_parts();
    let (status, fields) = (parts.status, &parts.headers);
    let read = BodyRead::Nothing;
    local(downstream, head, context, read, status, fields, &body, None).await
}

/// Answers 502 for a destination whose response cannot be passed on.
async fn failed(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    read: BodyRead,
    error: ForwarderError,
) -> Forwarded {
    let (fields, status) = (HeaderMap::new(), StatusCode::BAD_GATEWAY);
    local(
        downstream,
        head,
        context,
        read,
        status,
        &fields,
        &[],
        Some(error),
    )
    .await
}

/// Answers here; what was added to the response on the way is in it.
#[expect(
    clippy::too_many_arguments,
    reason = "the exchange, and each part of its answer"
)]
async fn local(
    downstream: &mut Downstream<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    read: BodyRead,
    status: StatusCode,
    fields: &HeaderMap,
    body: &[u8],
    error: Option<ForwarderError>,
) -> Forwarded {
    let mut fields = own_fields(fields);
    fields.extend(context.response_fields());
    let after = downstream.answer(head, read, status, &fields, body).await;
    Forwarded {
        after,
        status: status.as_u16(),
        bytes_sent: 0,
        error,
    }
}

/// What transforms have made of an answer of the front's own. Its length is stated where the
/// response is written.
pub(crate) fn own_fields(fields: &HeaderMap) -> Vec<(&str, &str)> {
    fields
        .iter()
        .filter(|(name, _)| !is_hop_by_hop(name) && *name != CONTENT_LENGTH)
        .filter_map(|(name, value)| Some((name.as_str(), str::from_utf8(value.as_bytes()).ok()?)))
        .collect()
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
