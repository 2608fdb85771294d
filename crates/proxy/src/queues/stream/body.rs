//! The body of a stream's response, and what is left of the request's on its way there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use ostler_delegation::Ending;

use super::{StreamHandle, Uploading};

/// A response's body. Dropping it before its end cancels the exchange.
#[derive(Debug)]
pub(crate) struct StreamedBody {
    stream: StreamHandle,
    uploading: Uploading,
    /// What is left of it, where its length is known.
    left: Option<u64>,
}

/// The body is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("the target died while it answered")]
    TargetDied,
    #[error("the target broke its response off: {0:?}")]
    Ended(Ending),
}

impl StreamedBody {
    pub(crate) fn new(stream: StreamHandle, uploading: Uploading, length: Option<u64>) -> Self {
        Self {
            stream,
            uploading,
            left: length,
        }
    }

    /// Whether the rest of the request's body is on its way still, to a target that takes it though its
    /// response is there.
    pub(crate) fn has_upload(&self) -> bool {
        self.uploading.is_under_way() && self.stream.takes_body()
    }

    /// Ready when nothing of it is on its way any more.
    pub(crate) fn poll_uploaded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.uploading.poll(cx, &self.stream)
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = self.get_mut();
        // Whether it is over by now is for others to ask.
        let _ = this.uploading.poll(cx, &this.stream);
        Poll::Ready(match ready!(this.stream.poll_data(cx)) {
            Some(Ok(data)) => {
                this.left = this.left.map(|left| left.saturating_sub(data.len() as u64));
                Some(Ok(Frame::data(data)))
            }
            Some(Err(error)) => Some(Err(error)),
            None => this.stream.take_trailers().map(|mut trailers| {
                ostler_http1::keep_trailers(&mut trailers);
                Ok(Frame::trailers(trailers))
            }),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
