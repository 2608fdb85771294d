//! Client and destination in conversation, whichever way the request takes: the body goes one way,
//! the response comes the other.

use std::rc::Rc;
use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, Version};
use ostler_http1::RequestHead;

use super::body::{self, Activity, Failure, Upload};
use super::prepared::Reply;
use super::reply_body::ReplyBody;
use super::response::{PassedOn, Passing};
use super::tunnel::{NewProtocol, Tunnel};
use super::way::{NotSent, Way};
use super::web_socket::Handshake;
use crate::account::Given;
use crate::answer::Why;
use crate::client_side::{AfterExchange, BodyRead, ResponseWriter};
use crate::connection_counts::Upgraded as CountedUpgrade;
use crate::context::ExchangeContext;
use crate::destinations::Interim;
use crate::exchange_state::Exchange;
use crate::failing::warn_of_failure;
use crate::outcome::ForwarderError;

/// What is asked for, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The request, as whoever answers sees it.
    pub(super) head: &'a RequestHead,
    /// It asks for another protocol.
    pub(super) upgrade: bool,
    /// How long nothing may move.
    pub(super) timeout: Option<Duration>,
    /// Where interim responses come to.
    pub(super) interim: &'a Interim,
}

/// A response, as far as the client has been given it.
#[derive(Debug)]
pub(super) struct Passed {
    given: Given,
    error: Option<ForwarderError>,
    reuse: Reuse,
}

/// Whether the client's connection can carry another request behind a response.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reuse {
    /// It was cut off, or spoke another protocol.
    No,
    /// As far as the response says (`keep_alive`), and if the request's body has been read `whole`.
    Possible { keep_alive: bool, whole: bool },
}

/// Nothing of a response has been passed on.
enum NotPassed<B> {
    /// The front answers itself.
    Answered { read: BodyRead, why: Why },
    /// Somebody else is to answer.
    GivenBack(B),
}

impl<B> NotPassed<B> {
    /// So much of the request's body has been read by now.
    fn of(not_sent: NotSent<B>, read: BodyRead) -> Self {
        let why = match not_sent {
            NotSent::GivenBack(back) => return Self::GivenBack(back),
            NotSent::Unanswered(why) => why,
            NotSent::Failed(error) => Failure::Send(error).why(),
        };
        Self::Answered { read, why }
    }
}

/// Sends the request its way and passes the response on. Ends the exchange, unless the way gives it
/// back.
pub(super) async fn converse<W: Way>(
    exchange: &mut Exchange<'_, '_>,
    terms: Terms<'_>,
    way: &mut W,
) -> Result<AfterExchange, W::Back> {
    let watch = Rc::clone(exchange.client_side.watch());
    // Asked for before the destination is, so that one that may not be upgraded troubles nobody.
    let mut counted = None;
    if terms.upgrade {
        counted = exchange.client_side.upgrade(&watch);
        if counted.is_none() {
            return Ok(exchange.answer(Why::TooManyUpgrades).await);
        }
    }
    let passed = match pass(exchange, terms, way, counted).await {
        Ok(passed) => passed,
        Err(NotPassed::Answered { read, why }) => {
            return Ok(exchange.answer_after(read, why).await);
        }
        Err(NotPassed::GivenBack(back)) => return Err(back),
    };
    let Passed { given, error, .. } = passed;
    if error.is_some() && given != Given::NOTHING {
        // A response that has begun and is not whole does not end as if it were.
        exchange.client_side.cut_short();
    }
    let after = match passed.reuse {
        Reuse::No => AfterExchange::Close,
        Reuse::Possible { keep_alive, whole } => {
            exchange.client_side.after_response(keep_alive, whole)
        }
    };
    Ok(exchange.end(after, given, error))
}

async fn pass<W: Way>(
    exchange: &mut Exchange<'_, '_>,
    terms: Terms<'_>,
    way: &mut W,
    counted: Option<CountedUpgrade<'_>>,
) -> Result<Passed, NotPassed<W::Back>> {
    let Exchange {
        client_side,
        context,
        account,
        ..
    } = exchange;
    let activity = Activity::new(terms.timeout, context.deadline());
    let Some((body, mut writer)) = client_side.halves(terms.head) else {
        return Err(NotPassed::Answered {
            read: BodyRead::Nothing,
            why: Why::ClientGone(ForwarderError::RequestCanceled),
        });
    };
    let (outgoing, mut upload) = body::upload(terms.head, body, context.body_limit());
    let replied = {
        // On the heap, as the passing below: of a tunnel, which may last long, neither is needed.
        let mut reply = Box::pin(async {
            match way.send(context, account, outgoing).await {
                Ok(replied) => Ok(Ok(replied)),
                Err(NotSent::Failed(error)) => Err(error),
                Err(other) => Ok(Err(other)),
            }
        });
        let reply = reply.as_mut();
        body::reply(&mut upload, &mut writer, reply, terms.interim, &activity).await
    };
    let read = upload.body_read();
    let not_passed = |why| NotPassed::Answered { read, why };
    let (reply, handshake) = replied
        .map_err(|failure| not_passed(failure.why()))?
        .map_err(|not_sent| NotPassed::of(not_sent, read))?;
    account.first_byte();
    activity.happened();
    let response = match switched(context, terms, reply, handshake).map_err(not_passed)? {
        Switched::Not(response) => response,
        Switched::To(protocol) => {
            let tunnel = Tunnel {
                client: upload.into_body(),
                writer,
                timeout: terms.timeout,
            };
            // On the heap, so that exchanges that stay with HTTP do not carry the room for it.
            return Ok(Box::pin(tunnel.run(context, protocol)).await);
        }
    };
    // It was not upgraded after all.
    drop(counted);
    let mut passing = Passing {
        context,
        writer: &mut writer,
        activity: &activity,
    };
    let passed = Box::pin(passing.pass_on(response, &mut upload)).await;
    ended(passed, &upload, &mut writer)
}

/// What has become of a response: before its first byte is tried, the front can still answer itself.
fn ended<B>(
    passed: PassedOn,
    upload: &Upload<'_>,
    writer: &mut ResponseWriter<'_>,
) -> Result<Passed, NotPassed<B>> {
    let given = Given::of(passed.status, writer.bytes_sent());
    let Some(failed) = passed.error else {
        let reuse = Reuse::Possible {
            keep_alive: passed.keep_alive,
            whole: upload.is_read(),
        };
        return Ok(Passed::new(given, None, reuse));
    };
    if let Some(status) = failed.answer
        && !writer.is_begun()
    {
        return Err(NotPassed::Answered {
            read: upload.body_read(),
            why: Why::NotPassedOn(status, failed.error),
        });
    }
    // Only an end before its time says that the response is not whole.
    writer.abort();
    Ok(Passed::new(given, Some(failed.error), Reuse::No))
}

/// Whether the protocol is switched.
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it is returned to, and most responses are the large one"
)]
enum Switched {
    Not(Response<ReplyBody>),
    To(NewProtocol),
}

/// Looks whether a reply switches the protocol as the request asks for it.
fn switched(
    context: &ExchangeContext<'_>,
    terms: Terms<'_>,
    reply: Reply,
    handshake: Option<Handshake>,
) -> Result<Switched, Why> {
    let is_http2 = context.client_version() == Version::HTTP_2;
    let response = match reply {
        Reply::Response(response) => response,
        Reply::Tunnel(response) => {
            let (parts, tunnel) = response.into_parts();
            let mut fields = parts.headers;
            // Between two sides of HTTP/2 there is nothing to prove.
            if let Some(handshake) = handshake.filter(|_| !is_http2) {
                handshake.accept(&mut fields);
            }
            return Ok(Switched::To(NewProtocol::new(fields, tunnel)));
        }
        Reply::Switched(response) => {
            let (mut parts, tunnel) = response.into_parts();
            is_proven(context, terms, &mut parts.headers, handshake)?;
            return Ok(Switched::To(NewProtocol::new(parts.headers, tunnel)));
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (mut parts, body) = response.into_parts();
        is_proven(context, terms, &mut parts.headers, handshake)?;
        let ReplyBody::Destination(body) = body else {
            return Err(Why::NotSwitched);
        };
        let upgraded = body.upgrade().ok_or(Why::NotSwitched)?;
        return Ok(Switched::To(NewProtocol::new(parts.headers, upgraded)));
    }
    if terms.upgrade && is_http2 && response.status().is_success() {
        // On a stream it would say that it was (RFC 8441 section 5).
        return Err(Why::SwitchIgnored(response.status()));
    }
    Ok(Switched::Not(response))
}

/// Looks whether a 101 has been asked for, and proves that it is one.
fn is_proven(
    context: &ExchangeContext<'_>,
    terms: Terms<'_>,
    fields: &mut HeaderMap,
    handshake: Option<Handshake>,
) -> Result<(), Why> {
    if !terms.upgrade {
        return Err(Why::NotSwitched);
    }
    // A client of HTTP/1.1 looks at the proof itself (reference B12.4).
    let handshake = handshake.filter(|_| context.client_version() == Version::HTTP_2);
    if handshake.is_some_and(|handshake| !handshake.is_accepted(fields)) {
        warn_of_failure!(context, "a destination's Sec-WebSocket-Accept is wrong");
        return Err(Why::NotSwitched);
    }
    Ok(())
}

impl Passed {
    pub(super) fn new(given: Given, error: Option<ForwarderError>, reuse: Reuse) -> Self {
        Self {
            given,
            error,
            reuse,
        }
    }
}
