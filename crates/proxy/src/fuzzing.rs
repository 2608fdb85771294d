//! Decoders of this crate that are nobody's business but a fuzzer's. Absent from every other build.

use http::request::Parts;
use ostler_http1::{Limits, RequestHead};

use crate::tls::RecordBoundary;

/// An HTTP/2 request as a head, with the limits that are the default; `None` where it has no form.
pub fn http2_head(parts: &Parts, has_body: bool) -> Option<RequestHead> {
    crate::http2::head(parts, has_body, &Limits::default(), 32_768).ok()
}

/// What is missing of a record when these pieces have arrived.
pub fn missing_of_record<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> usize {
    let mut boundary = RecordBoundary::default();
    pieces.into_iter().for_each(|piece| boundary.pass(piece));
    boundary.missing()
}
