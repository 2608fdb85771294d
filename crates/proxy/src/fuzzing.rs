//! Decoders of this crate that are nobody's business but a fuzzer's. Absent from every other build.

use std::net::SocketAddr;

use http::request::Parts;
use ostler_http1::{Limits, RequestHead};

use crate::accept::proxy_protocol::{HeaderDecoder, Progress};
use crate::static_files::range::{AskedRange, asked};
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

/// A PROXY header that arrives in pieces: how many bytes it has, and whose connection it says it is;
/// `None` where it has no end yet.
///
/// # Errors
///
/// When it is none.
#[expect(clippy::type_complexity, reason = "for fuzzers alone")]
pub fn proxy_header<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Result<Option<(usize, Option<(SocketAddr, SocketAddr)>)>, String> {
    let mut decoder = HeaderDecoder::default();
    let mut before = 0;
    for piece in pieces {
        match decoder.decode(piece).map_err(|error| error.to_string())? {
            Progress::NeedMore => before += piece.len(),
            Progress::Complete { taken, ends } => {
                let ends = ends.map(|ends| (ends.client, ends.local));
                return Ok(Some((before + taken, ends)));
            }
        }
    }
    Ok(None)
}

/// What a `Range` field asks for of so many bytes: all, none that are there, or from one to another.
pub fn byte_range(value: &[u8], length: u64) -> Option<Option<(u64, u64)>> {
    match asked(value, length) {
        AskedRange::Whole => None,
        AskedRange::Unsatisfiable => Some(None),
        AskedRange::Bytes { first, last } => Some(Some((first, last))),
    }
}
