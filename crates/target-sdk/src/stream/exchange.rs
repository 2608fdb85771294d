//! One exchange over a stream, from its begin to the completion that goes back.

use std::sync::Arc;

use ostler_delegation::entry::Completed;
use ostler_delegation::{Disposition, Ending};
use ostler_http1::RequestFacts;

use super::halves::Stream;
use super::response::{Sent, respond};
use crate::error::BoxError;
use crate::exchange::ChannelContext;
use crate::response::ResponseError;

/// An exchange that this process has begun. Dropping it, at whatever point, ends it: the front
/// always learns how.
#[derive(Debug)]
pub(super) struct StreamExchange {
    context: Arc<ChannelContext>,
    pub(super) stream: Arc<Stream>,
    pub(super) facts: RequestFacts,
    pub(super) sent: Sent,
    received_ns: u64,
    is_completed: bool,
}

impl StreamExchange {
    pub(super) fn new(
        context: &Arc<ChannelContext>,
        stream: &Arc<Stream>,
        facts: RequestFacts,
        received_ns: u64,
    ) -> Self {
        Self {
            context: Arc::clone(context),
            stream: Arc::clone(stream),
            facts,
            sent: Sent::default(),
            received_ns,
            is_completed: false,
        }
    }

    /// Sends the handler's response and brings the exchange to its end.
    pub(super) async fn answer<B>(mut self, response: http::Response<B>)
    where
        B: http_body::Body + Send,
        B::Error: Into<BoxError>,
    {
        let timeout = self.context.timeouts.send;
        let sent = respond(&self.stream, self.facts, response, timeout, &mut self.sent).await;
        match sent {
            Ok(()) => self.complete(Disposition::Keep, Ending::Answered),
            Err(error) => {
                let ending = match &error {
                    ResponseError::ClientGone => Ending::ClientGone,
                    ResponseError::TimedOut(_) | ResponseError::Over => Ending::TimedOut,
                    _ => Ending::HandlerFailed,
                };
                if ending == Ending::HandlerFailed {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::error!(error, "the response ends early");
                }
                self.complete(Disposition::Close, ending);
            }
        }
    }

    /// Nothing more is said of it from here on.
    pub(super) fn complete(&mut self, disposition: Disposition, ending: Ending) {
        if std::mem::replace(&mut self.is_completed, true) {
            return;
        }
        let read = {
            let mut state = self.stream.lock();
            state.over = true;
            let reader = state.reader.take();
            let read = state.read;
            drop(state);
            reader.into_iter().for_each(std::task::Waker::wake);
            read
        };
        let key = self.stream.key;
        // Before the completion, behind which the slot's number may come back.
        self.context.streams.end(key);
        self.context.shared.complete(&Completed {
            key,
            disposition,
            ending,
            status: self.sent.status,
            bytes_sent: self.sent.bytes,
            body_received: read,
            received_ns: self.received_ns,
            first_byte_ns: self.sent.first_byte_ns,
            completed_ns: ostler_shm::monotonic_nanoseconds(),
            leftover: Vec::new(),
        });
    }
}

impl Drop for StreamExchange {
    fn drop(&mut self) {
        self.complete(Disposition::Close, Ending::ClientGone);
    }
}
