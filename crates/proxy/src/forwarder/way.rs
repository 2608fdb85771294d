//! How a request gets to whoever answers it: a destination or another one, a relayed instance or
//! another one.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use http::Version;
use http::request::Parts;
use ostler_http1::RequestHead;

use super::prepared::{ClientRequest, Prepared, Reply, no_request, relayed_handshake};
use super::reply_body::ReplyBody;
use super::web_socket::{Handshake, invalid_key};
use super::{elsewhere, request};
use crate::account::Account;
use crate::answer::Why;
use crate::context::ExchangeContext;
use crate::destinations::{
    ForwardBody, Interim, Left, NotForwarded, NotRelayed, RelayedConnections, SendError,
};
use crate::error_chain::Chain;
use crate::queues::{RelayGuard, RelayPlaces, RelayTarget, Rule};
use crate::tls::ClientFacts;

/// What is replied, and the handshake by which it is judged.
pub(super) type Replied = (Reply, Option<Handshake>);

/// Why nothing is replied.
pub(super) enum NotSent<B> {
    Failed(SendError),
    /// Nobody of a queue answers.
    Unanswered(Why),
    /// Somebody else is to answer.
    GivenBack(B),
}

impl<B> From<SendError> for NotSent<B> {
    fn from(error: SendError) -> Self {
        Self::Failed(error)
    }
}

/// No instance of a queue has begun the request, and nothing of its body has been read: whoever chose this
/// way may choose again.
#[derive(Debug)]
pub(crate) struct GivenBack;

/// A way for a request.
pub(super) trait Way {
    /// What comes of a request that this way gives back untouched.
    type Back;

    /// Sends the request with this body, and gives what is replied. What has been decided changes
    /// where another one is asked in the end.
    async fn send(
        &mut self,
        context: &mut ExchangeContext<'_>,
        account: &mut Account,
        body: ForwardBody,
    ) -> Result<Replied, NotSent<Self::Back>>;
}

/// To a destination's address.
pub(super) struct ToDestination<'a> {
    pub(super) request: ClientRequest<'a>,
    /// For the destination that is asked first.
    pub(super) prepared: Prepared<'a>,
    pub(super) interim: &'a Interim,
}

impl Way for ToDestination<'_> {
    type Back = Infallible;

    async fn send(
        &mut self,
        context: &mut ExchangeContext<'_>,
        account: &mut Account,
        mut body: ForwardBody,
    ) -> Result<Replied, NotSent<Infallible>> {
        loop {
            let sent = self.prepared.send(body, self.interim).await;
            let NotForwarded { error, left } = match sent {
                Ok(reply) => return Ok((reply, self.prepared.handshake.take())),
                Err(failed) => failed,
            };
            let Left::Unsent(unsent) = left else {
                return Err(error.into());
            };
            let other = elsewhere::choose(self.request.worker, context, account, &error);
            let Some(other) = other else {
                return Err(error.into());
            };
            let Ok(prepared) = self.request.prepare(context, &other) else {
                return Err(error.into());
            };
            self.prepared = prepared;
            body = unsent;
        }
    }
}

/// How many other instances a relayed request is taken to.
const MOST_OTHERS: u32 = 3;

/// To an instance that may not hold the client's socket.
pub(super) struct ToTarget<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) version: Version,
    /// As it is sent first.
    pub(super) request: RelayedRequest,
    pub(super) facts: &'a ClientFacts,
    pub(super) rule: &'a Rule,
    pub(super) target: Rc<RelayTarget>,
    /// Counts the exchange at the instance until it is over.
    pub(super) counted: RelayGuard,
    pub(super) connections: Rc<RelayedConnections>,
    pub(super) interim: &'a Interim,
}

/// A request for a relayed target.
pub(super) struct RelayedRequest {
    parts: RefCell<Option<Parts>>,
    pub(super) upgrade: bool,
    handshake: Option<Handshake>,
}

/// The request for a relayed target of a client that speaks this version.
pub(super) fn relayed_request(head: &RequestHead, version: Version) -> Result<RelayedRequest, Why> {
    let (mut parts, upgrade) = request::to_target(head, version).map_err(no_request)?;
    let handshake = relayed_handshake(version, &mut parts, upgrade).map_err(invalid_key)?;
    Ok(RelayedRequest {
        parts: RefCell::new(Some(parts)),
        upgrade,
        handshake,
    })
}

impl RelayedRequest {
    /// The request, as it was made or made again. What an upgrade is answered with belongs to the key
    /// it was asked with.
    fn again(&self, head: &RequestHead, version: Version) -> Option<Parts> {
        if self.upgrade {
            return self.parts.borrow().clone();
        }
        let made = self.parts.take();
        made.or_else(|| relayed_request(head, version).ok()?.parts.into_inner())
    }
}

impl Way for ToTarget<'_> {
    type Back = GivenBack;

    async fn send(
        &mut self,
        _: &mut ExchangeContext<'_>,
        _: &mut Account,
        mut body: ForwardBody,
    ) -> Result<Replied, NotSent<GivenBack>> {
        let mut others = 0;
        loop {
            let again = || self.request.again(self.head, self.version);
            let sent = self
                .target
                .send(&self.connections, &again, body, self.facts, self.interim);
            let NotRelayed { error, left } = match sent.await {
                Ok(response) => {
                    let handshake = self.request.handshake.take();
                    let response = response.map(ReplyBody::Destination);
                    return Ok((Reply::Response(response), handshake));
                }
                Err(failed) => failed,
            };
            let method = self.head.method();
            body = match left {
                Left::Unsent(body) => body,
                Left::Unheard if self.target.may_have_left_out(method) => ForwardBody::empty(),
                Left::Unheard | Left::Nothing => return Err(error.into()),
            };
            let Rule { queue, rule } = self.rule;
            let other = match others < MOST_OTHERS {
                true => queue.relayed_instead(rule, self.target.id()).await,
                false => None,
            };
            let Some(other) = other else {
                // It can wait for the next instance like any other. This one is not asked again.
                let has_left = !self.target.is_open();
                return Err(match has_left && body.is_untouched() {
                    true => NotSent::GivenBack(GivenBack),
                    false => error.into(),
                });
            };
            tracing::debug!(instance = self.target.id(), instead = other.id(), error = %Chain(error.source.as_ref()), "a request is relayed to another instance");
            others += 1;
            self.counted = other.begin();
            self.connections = RelayPlaces::default().of(&other, self.facts);
            self.target = other;
        }
    }
}
