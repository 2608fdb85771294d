//! A destination's response on its way to the client.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use ostler_config::schema::HeaderEncoding;
use ostler_delegation::entry::directives;
use ostler_http1::{
    BodyEncoder, BodyLength, RequestFacts, RequestHead, ResponseBody, encode_response_head,
};
use ostler_model::transforms::Transforms;

use super::body::{Activity, Ceased, Upload};
use super::request::is_hop_by_hop;
use super::{Forwarded, failed, header_encoding};
use crate::connection::Connection;
use crate::context::ExchangeContext;
use crate::exchange::After;
use crate::outcome::ForwarderError;
use crate::respond::Chain;

/// How long a client may take no byte.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// Passes a response on, and what is left of the request's body the other way.
pub(super) async fn pass_on(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    response: http::Response<Incoming>,
    mut upload: Upload,
    timeout: Option<Duration>,
) -> Forwarded {
    let activity = Activity::new(timeout, context.deadline());
    let (parts, body) = response.into_parts();
    let mut facts = RequestFacts::from(head);
    // A body that is still to come goes nowhere once the response is there: hyper's HTTP/1.1
    // client stops reading it. The connection can carry nothing behind it.
    if !upload.is_complete() {
        upload.abandon();
        facts.keep_alive = false;
    }
    let mut body = pin!(body);
    let length = match body.size_hint().exact() {
        Some(length) => BodyLength::Known(length),
        None => BodyLength::Unknown,
    };
    let mut out = Vec::with_capacity(1024);
    let added: Vec<_> = directives(context.directives()).collect();
    let reason = parts.extensions.get::<hyper::ext::ReasonPhrase>();
    let reason = reason.and_then(|reason| std::str::from_utf8(reason.as_bytes()).ok());
    let transforms = context.transforms();
    let fields = passed_fields(transforms, parts.status, parts.headers);
    let date = crate::clock::date();
    let framing = encode_response_head(
        &mut out,
        facts,
        parts.status,
        reason,
        &fields,
        &added,
        length,
        &date,
    );
    let mut encoder = BodyEncoder::new(framing.body);
    let status = parts.status.as_u16();
    let mut bytes_sent = 0;
    let mut ended = framing.body == ResponseBody::None;
    let end = |after, bytes_sent, error| Forwarded {
        after,
        status,
        bytes_sent,
        error,
    };
    loop {
        let mut data = Bytes::new();
        if !ended {
            match next(body.as_mut(), &activity, out.is_empty()).await {
                Next::Data(bytes) => data = bytes,
                Next::Later => {}
                Next::Trailers(mut trailers) => {
                    if let Some(encoding) = parts.extensions.get::<HeaderEncoding>() {
                        header_encoding::decode(&mut trailers, *encoding);
                    }
                    let trailers = match transforms {
                        Some(transforms) => {
                            transforms.trailers(parts.status, trailers, |trailers| {
                                pass_fields(parts.status, trailers)
                            })
                        }
                        None => pass_fields(parts.status, trailers),
                    };
                    ended = encoder.finish(Some(&trailers), &mut out).is_ok();
                    if !ended {
                        return end(
                            After::Close,
                            bytes_sent,
                            Some(ForwarderError::ResponseBodyDestination),
                        );
                    }
                }
                Next::End => {
                    let trailers = transforms
                        .map(|all| all.trailers(parts.status, HeaderMap::new(), |none| none))
                        .filter(|trailers| !trailers.is_empty());
                    if encoder.finish(trailers.as_ref(), &mut out).is_err() {
                        return end(
                            After::Close,
                            bytes_sent,
                            Some(ForwarderError::ResponseBodyDestination),
                        );
                    }
                    ended = true;
                }
                Next::Failed(error) => {
                    tracing::warn!(cluster = context.cluster().id(), error = %Chain(error.as_ref()), "the response's body failed");
                    if bytes_sent == 0 {
                        let over = context.deadline().filter(|_| activity.is_over());
                        let status = over.map_or(StatusCode::BAD_GATEWAY, |over| over.status);
                        return failed(
                            connection,
                            head,
                            context,
                            status,
                            ForwarderError::ResponseBodyDestination,
                        )
                        .await;
                    }
                    // Only closing says that it is not whole.
                    return end(
                        After::Close,
                        bytes_sent,
                        Some(ForwarderError::ResponseBodyDestination),
                    );
                }
            }
        }
        let mut suffix = &b""[..];
        if !data.is_empty() {
            match encoder.begin_data(data.len(), &mut out) {
                Ok(behind) => suffix = behind,
                Err(_) => {
                    return end(
                        After::Close,
                        bytes_sent,
                        Some(ForwarderError::ResponseBodyDestination),
                    );
                }
            }
        }
        let mut pieces = [&out[..], &data[..], suffix].map(std::io::IoSlice::new);
        let total = out.len() + data.len() + suffix.len();
        if total > 0
            && connection
                .client
                .send_pieces(&mut pieces, activity.at_most(SEND_TIMEOUT))
                .await
                .is_err()
        {
            return end(
                After::Close,
                bytes_sent,
                Some(ForwarderError::ResponseBodyClient),
            );
        }
        bytes_sent += total as u64;
        activity.happened();
        out.clear();
        if ended {
            break;
        }
    }
    if framing.keep_alive && !connection.read_closed_and_empty() {
        return end(After::Keep, bytes_sent, None);
    }
    if !upload.is_complete() {
        connection.client.linger().await;
    }
    end(After::Close, bytes_sent, None)
}

enum Next {
    Data(Bytes),
    /// Nothing yet, and the head should not wait for it.
    Later,
    Trailers(HeaderMap),
    End,
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// The next piece of the body. With a head still to be sent (`may_wait` is false) a body that has
/// nothing yet does not hold it back.
async fn next(mut body: Pin<&mut Incoming>, activity: &Activity, may_wait: bool) -> Next {
    let mut ceased = pin!(activity.ceased());
    if activity.is_over() {
        return over();
    }
    poll_fn(|cx| {
        match body.as_mut().poll_frame(cx) {
            Poll::Ready(None) => return Poll::Ready(Next::End),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::Failed(Box::new(error))),
            Poll::Ready(Some(Ok(frame))) => {
                return Poll::Ready(match frame.into_data() {
                    Ok(data) => Next::Data(data),
                    Err(frame) => match frame.into_trailers() {
                        Ok(trailers) => Next::Trailers(trailers),
                        Err(_) => Next::Later,
                    },
                });
            }
            Poll::Pending if !may_wait => return Poll::Ready(Next::Later),
            Poll::Pending => {}
        }
        ceased.as_mut().poll(cx).map(|why| match why {
            Ceased::Silent => Next::Failed("the destination is silent".into()),
            Ceased::Over(_) => over(),
        })
    })
    .await
}

/// The response has begun, so all that is left is to cut it off.
fn over() -> Next {
    Next::Failed("the route's timeout is over".into())
}

/// The fields for the client.
pub(super) fn passed_fields(
    transforms: Option<&Transforms>,
    status: StatusCode,
    fields: HeaderMap,
) -> HeaderMap {
    let pass = |fields| pass_fields(status, fields);
    match transforms {
        Some(transforms) => transforms.response(status, fields, pass),
        None => pass(fields),
    }
}

/// The response's fields less those of the destination's connection.
fn pass_fields(status: StatusCode, mut fields: HeaderMap) -> HeaderMap {
    let dropped: Vec<_> = fields
        .keys()
        .filter(|name| is_hop_by_hop(name))
        .cloned()
        .collect();
    for name in dropped {
        fields.remove(name);
    }
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        fields.remove(http::header::CONTENT_LENGTH);
    }
    fields
}
