//! A delegated or relayed request's head with its route's transforms applied. Without any of the
//! route's own a head in canonical form travels untouched: a target sees for itself who the client is.

use http::Method;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue};
use ostler_http1::RequestHead;
use ostler_model::transforms::OutgoingRequest;

use super::canonical::{canonical, decode_like, says_who_it_is, write_field, write_request_line};
use crate::client_side::ClientSide;
use crate::context::ExchangeContext;
use crate::facts::Facts;
use crate::failing::warn_of_failure;
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
    client_side: &ClientSide<'_>,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
) -> Transformed {
    let ends = client_side.client_facts().ends();
    let in_canonical_form = || match canonical(head, ends) {
        None => Transformed::Not,
        Some(Ok(made)) => Transformed::Head(Box::new(made)),
        Some(Err(_)) => Transformed::Failed,
    };
    let transforms = match context.transforms() {
        Some(transforms) if !head.is_connect() => transforms,
        _ => return in_canonical_form(),
    };
    let Ok(method) = Method::from_bytes(head.method().as_bytes()) else {
        return Transformed::Failed;
    };
    let Ok(host) = HeaderValue::from_str(head.authority()) else {
        return Transformed::Failed;
    };
    let facts = Facts(head, ends.is_https);
    let made = client_side.worker().with_random(|random| {
        let copied = || copied(head);
        let says_who = says_who_it_is(head);
        transforms.delegated_request(&facts, ends, method, &host, says_who, copied, random)
    });
    match made {
        None => in_canonical_form(),
        Some(Err(answer)) => Transformed::Answered(answer),
        Some(Ok(outgoing)) => match encode(head, &outgoing) {
            Some(head) => Transformed::Head(Box::new(head)),
            None => {
                let route = &context.route().config.route_id;
                warn_of_failure!(
                    context,
                    route,
                    "transforms make no head that can be delegated"
                );
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

fn encode(head: &RequestHead, outgoing: &OutgoingRequest<'_>) -> Option<RequestHead> {
    let mut bytes = Vec::with_capacity(head.raw().len() + 256);
    let target = match head.path() {
        "*" if outgoing.path().is_empty() => "*".to_owned(),
        _ => outgoing.target(""),
    };
    write_request_line(&mut bytes, head, outgoing.method.as_str(), &target);
    for (name, value) in &outgoing.headers {
        if !is_of_connection(head, name) {
            write_field(&mut bytes, name.as_str(), value.as_bytes());
        }
    }
    for field in head.fields() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if is_of_connection(head, &name) {
            write_field(&mut bytes, field.name, field.value);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    decode_like(head, &bytes).ok()
}
