//! The body of whatever is replied: of a destination over HTTP, or of a target over a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::destinations::ResponseBody;
use crate::queues::StreamedBody;

/// A response's body. Dropping it before its end gives the response up.
#[derive(Debug)]
pub(super) enum ReplyBody {
    Destination(ResponseBody),
    Stream(StreamedBody),
}

impl ReplyBody {
    /// Whether the rest of the request's body is on its way still, to somebody who takes it though the
    /// response is there.
    pub(super) fn has_upload(&self) -> bool {
        match self {
            Self::Destination(body) => body.has_upload(),
            Self::Stream(body) => body.has_upload(),
        }
    }

    /// Ready when nothing of it is on its way any more.
    pub(super) fn poll_uploaded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Destination(body) => body.poll_uploaded(cx),
            Self::Stream(body) => body.poll_uploaded(cx),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Destination(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Self::Stream(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Destination(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Destination(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
