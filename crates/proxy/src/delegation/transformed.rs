//! A delegated or relayed request's head with its route's transforms applied. Without any of the
//! route's own a head in canonical form travels untouched: a target sees for itself who the client is.

use http::Method;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue};
use ostler_http1::RequestHead;
use ostler_model::transforms::OutgoingRequest;

use super::canonical::{canonical, decode_like, says_who_it_is, write_field, write_request_line};
use crate::answer::Why;
use crate::connection_fields::{is_hop_by_hop, is_listed_in_connection};
use crate::exchange_state::Exchange;
use crate::head_view::HeadView;

/// Applies the transforms of the exchange's route to its head: another head, whose body is delimited
/// in the same way, or `None` where it stays as it is.
pub(crate) fn transformed(exchange: &Exchange<'_, '_>) -> Result<Option<Box<RequestHead>>, Why> {
    let head = exchange.head;
    let ends = exchange.client_side.client_facts().ends();
    let in_canonical_form = || match canonical(head, ends) {
        None => Ok(None),
        Some(Ok(made)) => Ok(Some(Box::new(made))),
        Some(Err(_)) => Err(Why::NotTransformed),
    };
    let transforms = match exchange.context.transforms() {
        Some(transforms) if !head.is_connect() => transforms,
        _ => return in_canonical_form(),
    };
    let Ok(method) = Method::from_bytes(head.method().as_bytes()) else {
        return Err(Why::NotTransformed);
    };
    let Ok(host) = HeaderValue::from_str(head.authority()) else {
        return Err(Why::NotTransformed);
    };
    let facts = HeadView(head, ends.is_https);
    let made = exchange.worker().with_random(|random| {
        let copied = || copied(head);
        let says_who = ends.is_claimed || says_who_it_is(head);
        transforms.delegated_request(&facts, ends, method, &host, says_who, copied, random)
    });
    match made {
        None => in_canonical_form(),
        Some(Err(answer)) => Err(Why::Transform(answer)),
        Some(Ok(outgoing)) => match encode(head, &outgoing) {
            Some(head) => Ok(Some(Box::new(head))),
            None => Err(Why::NotTransformed),
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
