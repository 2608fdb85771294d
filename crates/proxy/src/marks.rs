//! What the front writes into a request's head before anything else looks at it, so that whoever answers sees
//! it, whichever way the request goes: the span that it is part of.

use ostler_http1::RequestHead;

use crate::client_side::ClientSide;
use crate::delegation::{decode_like, write_field};
use crate::trace::{TRACEPARENT, TRACESTATE, TraceContext};

/// A head that says which span its request is part of.
pub(crate) struct Marked {
    pub(crate) head: Box<RequestHead>,
    pub(crate) trace: Box<TraceContext>,
}

/// The same head as part of the front's own span; `None` where there are no traces.
pub(crate) fn mark(client_side: &ClientSide<'_>, head: &RequestHead) -> Option<Marked> {
    let traces = client_side.worker().traces()?;
    let trace = TraceContext::of(head, traces.sampling)?;
    let is_replaced = |name: &str| {
        name.eq_ignore_ascii_case(TRACEPARENT)
            || (!trace.keeps_state() && name.eq_ignore_ascii_case(TRACESTATE))
    };
    let mut bytes = Vec::with_capacity(head.raw().len() + 80);
    let line = head.raw().split_inclusive(|&byte| byte == b'\n').next();
    bytes.extend_from_slice(line.unwrap_or_default());
    for field in head.fields().filter(|field| !is_replaced(field.name)) {
        write_field(&mut bytes, field.name, field.value);
    }
    write_field(&mut bytes, TRACEPARENT, trace.traceparent().as_bytes());
    bytes.extend_from_slice(b"\r\n");
    // One that is longer than any head may be goes on as it is.
    let made = decode_like(head, &bytes).ok()?;
    Some(Marked {
        head: Box::new(made),
        trace: Box::new(trace),
    })
}
