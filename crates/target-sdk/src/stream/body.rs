//! A stream's request body, as the handler reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::halves::{Read, Stream};
use crate::error::BodyError;

/// The body of a stream's request. The front sends as much more as has been read here.
#[derive(Debug)]
pub(crate) struct StreamedBody {
    stream: Arc<Stream>,
    /// What is left of it, where its length is known.
    left: Option<u64>,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl StreamedBody {
    pub(super) fn new(stream: &Arc<Stream>, length: Option<u64>, timeout: Duration) -> Self {
        Self {
            stream: Arc::clone(stream),
            left: length,
            timeout,
            timer: None,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(read) = self.stream.poll_read(cx) else {
            let timeout = self.timeout;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
            return timer
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(BodyError::TimedOut(timeout))));
        };
        self.timer = None;
        Poll::Ready(match read {
            Read::Data(data) => {
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Some(Ok(Frame::data(data)))
            }
            Read::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Read::End => None,
            Read::Broken => Some(Err(BodyError::ClientGone)),
            Read::Over => Some(Err(BodyError::ExchangeOver)),
        })
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let state = self.stream.lock();
        state.ended && state.arrived.is_empty() && state.trailers.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for StreamedBody {
    fn drop(&mut self) {
        self.stream.stop();
    }
}
