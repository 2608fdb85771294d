//! A delegated request's head with its route's transforms applied. Without any of the route's own
//! the head travels untouched: a target sees for itself who the client is.

use http::Method;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue};
use ostler_http1::{HeadDecoder, HeadProgress, RequestHead};
use ostler_model::transforms::OutgoingRequest;

use crate::context::ExchangeContext;
use crate::downstream::Downstream;
use crate::facts::Facts;
use crate::forwarder::{Answer, is_hop_by_hop, is_listed_in_connection};

/// What transforms make of a head.
pub(crate) enum Transformed {
    /// Nothing: it stays as it is.
    Not,
    /// Another head, whose body is delimited in the same way.
    Head(Box<RequestHead>),
    /// An answer in the target's place.
    Answered(Answer),
    /// Something that is no head.
    Failed,
}

/// Applies the transforms of the exchange's route.
pub(crate) fn transformed(
    downstream: &Downstream<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
) -> Transformed {
    let Some(transforms) = context.transforms() else {
        return Transformed::Not;
    };
    if head.is_connect() {
        return Transformed::Not;
    }
    let ends = downstream.client_facts().ends();
    let Ok(method) = Method::from_bytes(head.method().as_bytes()) else {
        return Transformed::Failed;
    };
    let Ok(host) = HeaderValue::from_str(head.authority()) else {
        return Transformed::Failed;
    };
    let facts = Facts(head, ends.is_https);
    let made = downstream.worker().with_random(|random| {
        let copied = || copied(head);
        transforms.delegated_request(&facts, ends, method, &host, copied, random)
    });
    match made {
        None => Transformed::Not,
        Some(Err(answer)) => Transformed::Answered(answer),
        Some(Ok(outgoing)) => match encode(downstream, head, &outgoing) {
            Some(head) => Transformed::Head(Box::new(head)),
            None => {
                let route = &context.route().config.route_id;
                tracing::warn!(route, "transforms make no head that can be delegated");
                Transformed::Failed
            }
        },
    }
}

/// Whether a field says how this connection carries this message: front and target have agreed on
/// that, so it is not for a transform to change.
fn is_of_connection(head: &RequestHead, name: &HeaderName) -> bool {
    is_hop_by_hop(name)
        || *name == CONTENT_LENGTH
        || *name == EXPECT
        || (*name != HOST && is_listed_in_connection(head, name))
}

fn copied(head: &RequestHead) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(head.field_ranges().len());
    for field in head.fields() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        // What has been decoded as a field is one.
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value))
            && !is_of_connection(head, &name)
        {
            fields.append(name, value);
        }
    }
    fields
}

fn encode(
    downstream: &Downstream<'_>,
    head: &RequestHead,
    outgoing: &OutgoingRequest<'_>,
) -> Option<RequestHead> {
    let mut bytes = Vec::with_capacity(head.raw().len() + 256);
    bytes.extend_from_slice(outgoing.method.as_str().as_bytes());
    bytes.push(b' ');
    match head.path() {
        "*" if outgoing.path().is_empty() => bytes.push(b'*'),
        _ => bytes.extend_from_slice(outgoing.target("").as_bytes()),
    }
    let version = match head.version() {
        ostler_http1::Version::Http10 => &b" HTTP/1.0\r\n"[..],
        ostler_http1::Version::Http11 => b" HTTP/1.1\r\n",
    };
    bytes.extend_from_slice(version);
    let mut put = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    };
    for (name, value) in &outgoing.headers {
        if !is_of_connection(head, name) {
            put(name.as_str(), value.as_bytes());
        }
    }
    for field in head.fields() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if is_of_connection(head, &name) {
            put(field.name, field.value);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    let mut made = RequestHead::default();
    let decoded = HeadDecoder::new(downstream.worker().limits().http1).decode(&bytes, &mut made);
    let is_whole = decoded
        == Ok(HeadProgress::Complete {
            consumed: bytes.len(),
        });
    // Where the body ends and whether the connection goes on must be as before.
    let is_same = made.framing() == head.framing()
        && made.upgrade().is_some() == head.upgrade().is_some()
        && made.keep_alive() == head.keep_alive()
        && made.is_connect() == head.is_connect()
        && made.is_head() == head.is_head();
    (is_whole && is_same).then_some(made)
}
