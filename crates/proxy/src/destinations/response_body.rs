//! A response's body, whatever the connection it comes from speaks.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::http1::{Http1Body, Http1Error, Upgraded};
use super::http2::Http2Body;

/// The body of a destination's response. Dropping it before its end gives the response up: an
/// HTTP/1.1 connection closes, an HTTP/2 stream is reset.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    Http1(Http1Body),
    Http2(Http2Body),
}

impl ResponseBody {
    /// Whether the rest of the request's body is on its way still, to a destination that takes it
    /// though its response is there.
    pub(crate) fn has_upload(&self) -> bool {
        match self {
            Self::Http1(body) => body.has_upload(),
            Self::Http2(body) => body.has_upload(),
        }
    }

    /// Ready when nothing of it is on its way any more.
    pub(crate) fn poll_uploaded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(body) => body.poll_uploaded(cx),
            Self::Http2(body) => body.poll_uploaded(cx),
        }
    }

    /// The connection, behind an HTTP/1.1 response that switches the protocol.
    pub(crate) fn upgrade(self) -> Option<Upgraded> {
        match self {
            Self::Http1(body) => body.upgrade(),
            Self::Http2(_) => None,
        }
    }
}

/// The body is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseBodyError {
    #[error(transparent)]
    Http1(#[from] Http1Error),
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
        let frame: Option<Result<_, ResponseBodyError>> = match self.get_mut() {
            Self::Http1(body) => ready!(body.poll_frame(cx)).map(|frame| Ok(frame?)),
            Self::Http2(body) => ready!(body.poll_frame(cx)).map(|frame| Ok(frame?)),
        };
        Poll::Ready(frame.map(|frame| frame.map(with_proper_trailers)))
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

/// Trailers that mean something behind a body, whatever the version says.
fn with_proper_trailers(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        ostler_http1::keep_trailers(trailers);
    }
    frame
}
