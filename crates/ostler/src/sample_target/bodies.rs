//! Response bodies of any size: byte `i` is `i` modulo 256.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyStream, StreamBody};

const PIECE: usize = 1024 * 1024;

static PATTERN: LazyLock<Bytes> = LazyLock::new(|| (0..PIECE).map(|at| at as u8).collect());

/// A body whose length the head says.
pub(super) fn known_length(count: u64) -> Response<Body> {
    match usize::try_from(count) {
        Ok(count) if count <= PIECE => whole(PATTERN.slice(..count)),
        _ => octets(Body::new(Pattern {
            left: count,
            piece: PIECE,
            says_length: true,
        })),
    }
}

/// A body in chunks of 16 KiB.
pub(super) fn chunked(count: u64) -> Response<Body> {
    octets(Body::new(Pattern {
        left: count,
        piece: 16 * 1024,
        says_length: false,
    }))
}

/// A body that fails after so many bytes, one short of the length that the head says.
pub(super) fn breaking_off(count: u64) -> Response<Body> {
    let pieces = Pattern {
        left: count,
        piece: PIECE,
        says_length: false,
    };
    let broken = stream::once(async { Err(std::io::Error::other("asked to break off")) });
    let pieces = BodyStream::new(pieces).map_err(|never| match never {});
    let body = StreamBody::new(pieces.chain(broken));
    let mut response = octets(Body::new(body));
    let length = HeaderValue::from(count + 1);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    response
}

/// A chunked body of two pieces, and two trailers of one name and one of another behind it.
pub(super) fn with_trailers() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    for (name, value) in [("x-trailer", "1"), ("x-trailer", "2"), ("x-other", "3")] {
        trailers.append(name, HeaderValue::from_static(value));
    }
    let pieces =
        ["with ", "trailers\n"].map(|text| Frame::data(Bytes::from_static(text.as_bytes())));
    let frames = pieces.into_iter().chain([Frame::trailers(trailers)]);
    let frames = stream::iter(frames.map(Ok::<_, Infallible>));
    let mut response = octets(Body::new(StreamBody::new(frames)));
    let names = HeaderValue::from_static("x-trailer, x-other");
    response.headers_mut().insert(header::TRAILER, names);
    response
}

struct Pattern {
    left: u64,
    piece: usize,
    says_length: bool,
}

impl http_body::Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        // Pieces are multiples of 256, so each begins the pattern anew.
        let count = usize::try_from(self.left).map_or(self.piece, |left| left.min(self.piece));
        self.left -= count as u64;
        Poll::Ready(Some(Ok(Frame::data(PATTERN.slice(..count)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.says_length
    }

    fn size_hint(&self) -> SizeHint {
        if self.says_length {
            SizeHint::with_exact(self.left)
        } else {
            SizeHint::default()
        }
    }
}

/// For bodies that carry nothing but bytes.
fn octets(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    response
}

/// A whole body at once.
fn whole(bytes: Bytes) -> Response<Body> {
    octets(Body::from(bytes))
}
