//! Forwarding over HTTP, to a destination's address or to a relayed target.
//!
//! 1. make the outgoing request of the head (`request.rs`);
//! 2. send it, while the body is read from the client (`body.rs`);
//! 3. pass the response on (`response.rs`), or join the two connections after a 101 (`tunnel.rs`).

mod answers;
mod body;
mod elsewhere;
mod prepared;
mod request;
mod response;
mod tunnel;
mod web_socket;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{StatusCode, Version};
use ostler_delegation::entry::directives;
use ostler_http1::RequestHead;
use ostler_model::DestinationState;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client_side::{BodyRead, ClientSide, RequestBody, ResponseWriter};
use crate::context::ExchangeContext;
use crate::destinations::{
    ForwardBody, Interim, Left, NotForwarded, NotRelayed, RequestError, ResponseBody, SendError,
    Upgraded,
};
use crate::error_chain::Chain;
use crate::exchange::After;
use crate::failing::warn_of_failure;
use crate::outcome::ForwarderError;
use crate::queues::{Record, RelayPlaces, RelayTarget, Rule};

use answers::{Own, failed, gone, local, refuse_key, unprepared};
use prepared::{Prepared, Reply};
use web_socket::Handshake;

pub(crate) use answers::{answered, own_fields, unanswered};
pub(crate) use request::{Answer, is_hop_by_hop, is_listed_in_connection};

/// How a forwarded exchange ended.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) after: After,
    pub(crate) status: u16,
    pub(crate) bytes_sent: u64,
    /// The front has answered itself: what was sent is whole, whatever went wrong before.
    pub(crate) is_own: bool,
    pub(crate) error: Option<ForwarderError>,
}

impl Forwarded {
    /// A response that has begun and is not whole does not end as if it were.
    fn show_if_cut_short(&self, client_side: &ClientSide<'_>) {
        if self.error.is_some() && self.bytes_sent > 0 && !self.is_own {
            client_side.cut_short();
        }
    }
}

/// YARP's default `HttpRequest:ActivityTimeout`.
const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(100);

/// Forwards a request to the destination that the record names, or, where no connection to it opens,
/// to another one, which the record names then.
pub(crate) async fn forward(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &mut ExchangeContext<'_>,
    record: &mut Record,
) -> Forwarded {
    let cluster = context.cluster().model();
    let timeout = match cluster.config.activity_timeout {
        None => Some(ACTIVITY_TIMEOUT),
        Some(ostler_config::schema::ActivityTimeout::After(timeout)) => Some(timeout),
        Some(ostler_config::schema::ActivityTimeout::Infinite) => None,
    };
    let worker = Rc::clone(client_side.worker());
    // Of its own, since the exchange goes on with the client's side.
    let facts = client_side.client_facts().clone();
    let prepare = |context: &ExchangeContext<'_>, destination: &DestinationState| {
        Prepared::new(&worker, head, context, facts.ends(), destination)
    };
    let prepared = match prepare(context, &record.destination) {
        Ok(prepared) => prepared,
        Err(why) => {
            return unprepared(client_side, head, context, why).await;
        }
    };
    let interim = Interim::default();
    let asked = Asked {
        upgrade: prepared.upgrade,
        interim: &interim,
        timeout,
    };
    let send = async |context: &mut ExchangeContext<'_>, mut body: ForwardBody| {
        let mut prepared = prepared;
        loop {
            let NotForwarded { error, left } = match prepared.send(body, &interim).await {
                Ok(reply) => return Ok((reply, prepared.handshake)),
                Err(failed) => failed,
            };
            let Left::Unsent(unsent) = left else {
                return Err(error);
            };
            let Some(other) = elsewhere::choose(&worker, context, record, &error) else {
                return Err(error);
            };
            let Ok(made) = prepare(context, &other) else {
                return Err(error);
            };
            prepared = made;
            body = unsent;
        }
    };
    let forwarded = run(client_side, head, context, asked, send).await;
    forwarded.show_if_cut_short(client_side);
    forwarded
}

/// Relays a request to a target that may not hold the client's socket.
pub(crate) async fn relay(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &mut ExchangeContext<'_>,
    rule: &Rule,
    target: Rc<RelayTarget>,
) -> Forwarded {
    // Of its own, since the exchange goes on with the client's side.
    let facts = client_side.client_facts().clone();
    let connections = client_side.relays().of(&target);
    let version = context.client_version();
    let make = || {
        let (mut parts, upgrade) = request::to_target(head, version)?;
        let handshake = prepared::relayed_handshake(version, &mut parts, upgrade);
        Ok((parts, upgrade, handshake))
    };
    let (parts, upgrade, handshake) = match make() {
        Ok((parts, upgrade, Ok(handshake))) => (parts, upgrade, handshake),
        Ok((_, _, Err(error))) => return refuse_key(client_side, head, context, error).await,
        Err(error) => {
            let error: RequestError = error;
            warn_of_failure!(context, instance = target.id(), %error, "no request can be made");
            let (status, error) = (StatusCode::BAD_GATEWAY, ForwarderError::RequestCreation);
            let read = BodyRead::Nothing;
            return unanswered(client_side, head, context, read, status, error).await;
        }
    };
    // What an upgrade is answered with belongs to the key it was asked with.
    let kept = RefCell::new(Some(parts));
    let again = || match upgrade {
        true => kept.borrow().clone(),
        false => match kept.take() {
            Some(parts) => Some(parts),
            None => Some(make().ok()?.0),
        },
    };
    let counted = RefCell::new(target.begin());
    let interim = Interim::default();
    let send = async |_: &mut ExchangeContext<'_>, mut body: ForwardBody| {
        let mut target = target;
        let mut connections = connections;
        let mut instead = 0;
        loop {
            let sent = target.send(&connections, &again, body, &facts, &interim);
            let NotRelayed { error, left } = match sent.await {
                Ok(response) => return Ok((Reply::Response(response), handshake)),
                Err(failed) => failed,
            };
            body = match left {
                Left::Unsent(body) => body,
                Left::Unheard if target.may_have_left_out(head.method()) => ForwardBody::empty(),
                Left::Unheard | Left::Nothing => return Err(error),
            };
            let other = match instead < MOST_OTHERS {
                true => rule.queue.relayed_instead(&rule.rule, target.id()).await,
                false => None,
            };
            let Some(other) = other else {
                return Err(error);
            };
            tracing::debug!(instance = target.id(), instead = other.id(), error = %Chain(error.source.as_ref()), "a request is relayed to another instance");
            instead += 1;
            counted.replace(other.begin());
            connections = RelayPlaces::default().of(&other);
            target = other;
        }
    };
    let asked = Asked {
        upgrade,
        interim: &interim,
        timeout: None,
    };
    let forwarded = run(client_side, head, context, asked, send).await;
    forwarded.show_if_cut_short(client_side);
    forwarded
}

/// How many other instances a relayed request is taken to.
const MOST_OTHERS: u32 = 3;

/// How the exchange of a request goes.
struct Asked<'a> {
    upgrade: bool,
    interim: &'a Interim,
    timeout: Option<Duration>,
}

/// Steps 2 and 3, however the request is sent.
async fn run<F>(
    client_side: &mut ClientSide<'_>,
    head: &RequestHead,
    context: &mut ExchangeContext<'_>,
    asked: Asked<'_>,
    send: F,
) -> Forwarded
where
    F: AsyncFnOnce(
        &mut ExchangeContext<'_>,
        ForwardBody,
    ) -> Result<(Reply, Option<Handshake>), SendError>,
{
    let Asked { timeout, .. } = asked;
    let activity = body::Activity::new(timeout, context.deadline());
    let watch = Rc::clone(client_side.watch());
    // Asked for before the destination is, so that one that may not be upgraded troubles nobody.
    let counted = match asked.upgrade {
        false => None,
        true => match client_side.upgrade(&watch) {
            Some(counted) => Some(counted),
            None => {
                tracing::info!("there are as many upgraded connections as may be");
                let error = ForwarderError::UpgradeResponseClient;
                return failed(client_side, head, context, BodyRead::Nothing, error).await;
            }
        },
    };
    let Some((body, mut writer)) = client_side.halves(head) else {
        return gone(ForwarderError::RequestCanceled);
    };
    let (outgoing, mut upload) = body::upload(head, body, context.body_limit());
    let replied = {
        let reply = std::pin::pin!(send(context, outgoing));
        body::reply(&mut upload, &mut writer, reply, asked.interim, &activity).await
    };
    let (response, handshake) = match replied {
        Ok((Reply::Response(response), handshake)) => (response, handshake),
        Ok((Reply::Tunnel(response), handshake)) => {
            let (parts, tunnel) = response.into_parts();
            let mut fields = parts.headers;
            // Between two sides of HTTP/2 there is nothing to prove.
            if context.client_version() != Version::HTTP_2
                && let Some(handshake) = handshake
            {
                handshake.accept(&mut fields);
            }
            let body = upload.into_body();
            let tunnel = async { Ok(tunnel) };
            return switch(context, fields, tunnel, body, writer, timeout).await;
        }
        Err(failure) => {
            let (status, error) = failure.answer();
            if let Some(source) = failure.source() {
                warn_of_failure!(context, error = %Chain(source), "forwarding failed");
            }
            let Some(status) = status else {
                return gone(error);
            };
            let read = upload.body_read();
            return unanswered(client_side, head, context, read, status, error).await;
        }
    };
    activity.happened();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let switched = match asked.upgrade {
            true => upgraded(context, response, handshake),
            false => None,
        };
        let body = upload.into_body();
        return match switched {
            Some((fields, upgraded)) => {
                let upgraded = async { Ok(upgraded) };
                switch(context, fields, upgraded, body, writer, timeout).await
            }
            None => {
                let error = ForwarderError::ResponseHeaders;
                failed(client_side, head, context, BodyRead::Whole, error).await
            }
        };
    }
    // It was not upgraded after all.
    drop(counted);
    if asked.upgrade
        && context.client_version() == Version::HTTP_2
        && response.status().is_success()
    {
        // On a stream it would say that it was (RFC 8441 section 5).
        warn_of_failure!(
            context,
            status = %response.status(),
            "a destination answers a WebSocket's handshake as if it were none"
        );
        let (read, error) = (upload.body_read(), ForwarderError::ResponseHeaders);
        drop((upload, writer));
        return failed(client_side, head, context, read, error).await;
    }
    let passed = response::pass_on(context, response, &mut upload, &mut writer, &activity).await;
    let bytes_sent = writer.bytes_sent();
    let end = |after, error| Forwarded {
        after,
        status: passed.status.as_u16(),
        bytes_sent,
        is_own: false,
        error,
    };
    let whole = upload.is_read();
    let error = passed.error.map(|failed| failed.error);
    if let Some(failed) = passed.error {
        if let Some(status) = failed.answer
            && !writer.is_begun()
        {
            let own = Own::plain(status, upload.body_read(), error);
            return local(client_side, head, context, own).await;
        }
        // Only an end before its time says that the response is not whole.
        writer.abort();
        return end(After::Close, error);
    }
    drop((upload, writer));
    let after = client_side.after_response(passed.keep_alive, whole);
    end(after, None)
}

/// The fields of a 101, and the connection that it switches. `None` when it proves nothing.
fn upgraded(
    context: &ExchangeContext<'_>,
    response: http::Response<ResponseBody>,
    handshake: Option<Handshake>,
) -> Option<(HeaderMap, Upgraded)> {
    let (mut parts, body) = response.into_parts();
    // A client of HTTP/1.1 looks at the proof itself (reference B12.4).
    let handshake = handshake.filter(|_| context.client_version() == Version::HTTP_2);
    if handshake.is_some_and(|handshake| !handshake.is_accepted(&mut parts.headers)) {
        warn_of_failure!(context, "a destination's Sec-WebSocket-Accept is wrong");
        return None;
    }
    Some((parts.headers, body.upgrade()?))
}

/// Tells the client that the protocol is switched, and joins the two connections.
async fn switch(
    context: &ExchangeContext<'_>,
    fields: HeaderMap,
    destination: impl Future<Output = io::Result<impl AsyncRead + AsyncWrite + Unpin>>,
    mut body: RequestBody<'_>,
    mut writer: ResponseWriter<'_>,
    timeout: Option<Duration>,
) -> Forwarded {
    let status = StatusCode::SWITCHING_PROTOCOLS;
    let protocol = fields.get(UPGRADE).cloned();
    let transforms = context.transforms();
    let mut fields = response::passed_fields(transforms, status, fields);
    if let Some(protocol) = protocol {
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(UPGRADE, protocol);
    }
    let added: Vec<_> = directives(context.directives()).collect();
    let switched = writer.switch(fields, &added, SWITCH_TIMEOUT).await;
    let error = match (switched, destination.await) {
        (Err(_), _) => Some(ForwarderError::UpgradeResponseClient),
        (_, Err(_)) => Some(ForwarderError::UpgradeResponseDestination),
        (Ok(()), Ok(destination)) => {
            tunnel::join(&mut body, &mut writer, destination, timeout).await
        }
    };
    match error {
        None => {
            let _ = writer.end(None, SWITCH_TIMEOUT).await;
        }
        // RFC 8441 section 5: a connection that breaks resets the stream.
        Some(_) => writer.abort_tunnel(),
    }
    Forwarded {
        after: After::Close,
        status: status.as_u16(),
        bytes_sent: writer.bytes_sent(),
        is_own: false,
        error,
    }
}

/// How long a client may take to accept that its protocol is switched.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(120);
