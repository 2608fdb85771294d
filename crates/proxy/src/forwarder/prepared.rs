//! A request as one destination is to have it, and its sending there.

use std::rc::Rc;

use http::Version;
use http::request::Parts;
use ostler_http1::RequestHead;
use ostler_model::DestinationState;
use ostler_model::transforms::ConnectionEnds;

use super::reply_body::ReplyBody;
use super::request::{self, is_web_socket};
use super::web_socket::{self, Handshake, InvalidKey};
use crate::answer::Why;
use crate::context::ExchangeContext;
use crate::destinations::{
    Destination, ExtendedConnect, ForwardBody, Http2Tunnel, Interim, Left, NotForwarded, Pool,
    RequestError, ResponseBody, SendError, Sending,
};
use crate::queues::StreamTunnel;
use crate::worker::Worker;

/// A client's request, of which one is made for each destination that is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientRequest<'a> {
    pub(super) worker: &'a Worker,
    pub(super) head: &'a RequestHead,
    /// The two ends of the client's connection.
    pub(super) ends: ConnectionEnds<'a>,
}

/// A request for one destination.
pub(super) struct Prepared<'a> {
    head: &'a RequestHead,
    version: Version,
    ends: ConnectionEnds<'a>,
    to: Rc<Destination>,
    /// What is sent first.
    parts: Option<Parts>,
    /// The same, where it cannot be made again.
    kept: Option<Parts>,
    pub(super) upgrade: bool,
    pub(super) handshake: Option<Handshake>,
}

/// What a destination says.
#[derive(Debug)]
pub(super) enum Reply {
    Response(http::Response<ReplyBody>),
    /// It has switched the protocol of a stream.
    Switched(http::Response<StreamTunnel>),
    /// It has accepted an extended CONNECT.
    Tunnel(http::Response<Http2Tunnel>),
}

fn of_destination(response: http::Response<ResponseBody>) -> Reply {
    Reply::Response(response.map(ReplyBody::Destination))
}

impl<'a> ClientRequest<'a> {
    /// The request as this destination is to have it.
    pub(super) fn prepare(
        self,
        context: &ExchangeContext<'_>,
        destination: &DestinationState,
    ) -> Result<Prepared<'a>, Why> {
        let Self { worker, head, ends } = self;
        let version = context.client_version();
        let to = worker
            .forwarding(context.cluster(), &destination.model())
            .map_err(no_request)?;
        let made = match context.transforms() {
            None => request::to_destination(head, version, &to, ends).map(Ok),
            Some(transforms) => worker.with_random(|random| {
                request::transformed(head, version, transforms, &to, ends, random)
            }),
        };
        let made = made.map_err(no_request)?;
        let (mut parts, upgrade) = made.map_err(Why::Transform)?;
        to.messages
            .prepare(&mut parts, head.framing(), upgrade)
            .map_err(no_request)?;
        if upgrade && !is_web_socket(head) && !to.pool(upgrade).may_upgrade() {
            // Only a WebSocket has a form in HTTP/2 (reference B12.2).
            return Err(Why::UpgradeForbidden);
        }
        let handshake = forwarded_handshake(version, head, &mut parts, upgrade, to.pool(upgrade))
            .map_err(web_socket::invalid_key)?;
        // Transforms run once a destination: what they have made is kept.
        let keeps = upgrade || context.transforms().is_some();
        Ok(Prepared {
            head,
            version,
            ends,
            to,
            kept: keeps.then(|| parts.clone()),
            parts: Some(parts),
            upgrade,
            handshake,
        })
    }
}

pub(super) fn no_request(error: RequestError) -> Why {
    Why::NoRequest(error.status(), Box::new(error))
}

impl Prepared<'_> {
    /// Makes the same request again.
    fn again(&self) -> Option<Parts> {
        if let Some(parts) = &self.kept {
            return Some(parts.clone());
        }
        let to = &self.to;
        let made = request::to_destination(self.head, self.version, to, self.ends);
        let (mut parts, upgrade) = made.ok()?;
        to.messages
            .prepare(&mut parts, self.head.framing(), upgrade)
            .ok()?;
        Some(parts)
    }

    /// Sends it with this body, and waits for what the destination says.
    pub(super) async fn send(
        &mut self,
        body: ForwardBody,
        interim: &Interim,
    ) -> Result<Reply, NotForwarded> {
        let pool = Rc::clone(self.to.pool(self.upgrade));
        if is_web_socket(self.head) && self.upgrade && pool.may_connect() {
            let connect = || Some(web_socket::as_connect(self.kept.as_ref()?));
            match pool.extended_connect(&connect, "websocket").await? {
                ExtendedConnect::Tunnel(tunnel) => return Ok(Reply::Tunnel(tunnel)),
                ExtendedConnect::Response(response) => return Ok(of_destination(response)),
                ExtendedConnect::NotSupported if pool.may_upgrade() => {}
                ExtendedConnect::NotSupported => {
                    let why = "the destination knows no WebSockets over HTTP/2";
                    return Err(SendError::of(why).into());
                }
                ExtendedConnect::NotConnected(error) => {
                    let left = Left::Unsent(body);
                    return Err(NotForwarded { error, left });
                }
            }
        }
        let Some(parts) = self.parts.take().or_else(|| self.again()) else {
            return Err(SendError::of("no request can be made").into());
        };
        let sending = Sending {
            upgrade: self.upgrade,
            again: &|| self.again(),
            interim: Some(interim),
        };
        let request = http::Request::from_parts(parts, body);
        let mut response = pool.send(request, sending).await?;
        self.to.messages.read(&mut response);
        Ok(of_destination(response))
    }
}

/// The handshake of a WebSocket whose two sides may speak different versions.
fn forwarded_handshake(
    version: Version,
    head: &RequestHead,
    parts: &mut Parts,
    upgrade: bool,
    pool: &Pool,
) -> Result<Option<Handshake>, InvalidKey> {
    match version {
        Version::HTTP_2 => relayed_handshake(version, parts, upgrade),
        _ if upgrade && is_web_socket(head) && pool.may_connect() => {
            Handshake::of_client(&parts.headers).map(Some)
        }
        _ => Ok(None),
    }
}

/// The handshake of a WebSocket with an HTTP/1.1 destination.
pub(super) fn relayed_handshake(
    version: Version,
    parts: &mut Parts,
    upgrade: bool,
) -> Result<Option<Handshake>, InvalidKey> {
    match upgrade && version == Version::HTTP_2 {
        true => Handshake::with_key(&mut parts.headers).map(Some),
        false => Ok(None),
    }
}
