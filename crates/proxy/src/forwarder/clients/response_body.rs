//! A response's body, whatever the connection it comes from speaks.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::http1::Http1Body;
use super::http2::Http2Body;

/// The body of a destination's response. Dropping it before its end gives the response up: an
/// HTTP/1.1 connection closes, an HTTP/2 stream is reset.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    Http1(Http1Body),
    Http2(Http2Body),
}

/// The body is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseBodyError {
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        match self.get_mut() {
            Self::Http1(body) => body
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| Ok(frame?))),
            Self::Http2(body) => body
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| Ok(frame?))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
