//! A request's body on its way into a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use ostler_delegation::stream_entry::FIRST_WINDOW;

use super::StreamHandle;
use crate::destinations::ForwardBody;

/// What can be sent before the target commits itself, and the longest piece that waits behind it.
const MOST_BEFORE_COMMITMENT: usize = 2 * FIRST_WINDOW as usize;

/// What is still to be sent of a body.
#[derive(Debug)]
pub(crate) struct Uploading {
    /// `None` once nobody wants it, or the client has broken it off.
    body: Option<ForwardBody>,
    waiting: Option<Waiting>,
    /// All of it has been sent.
    is_sent: bool,
}

/// Taken from the body, and not sent yet.
#[derive(Debug)]
enum Waiting {
    Data { data: Bytes, is_last: bool },
    Trailers(HeaderMap),
}

impl Uploading {
    /// What is sent of the body is kept for as long as another target may have to begin with it.
    pub(crate) fn new(mut body: ForwardBody) -> Self {
        body.remember_up_to(MOST_BEFORE_COMMITMENT);
        Self {
            is_sent: body.is_end_stream(),
            body: Some(body),
            waiting: None,
        }
    }

    /// Whether nothing of the client's body has been read.
    pub(crate) fn is_untouched(&self) -> bool {
        self.body.as_ref().is_some_and(ForwardBody::is_untouched)
    }

    /// The body from its beginning, for another stream; `None` where that has not been kept.
    pub(crate) fn again(self) -> Option<Self> {
        let mut body = self.body?;
        body.rewind().then(|| Self::new(body))
    }

    /// The target has begun with the body, or to answer: no other one does.
    pub(crate) fn forget_start(&mut self) {
        if let Some(body) = &mut self.body {
            body.forget();
        }
    }

    /// Whether some of it is still to be sent.
    pub(crate) fn is_under_way(&self) -> bool {
        self.body.is_some() && !self.is_sent
    }

    /// Sends what there is. Ready when nothing more of it is sent.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stream: &StreamHandle) -> Poll<()> {
        while self.is_under_way() {
            if !stream.takes_body() {
                // Who reads it from the client learns so.
                self.body = None;
                self.waiting = None;
                break;
            }
            let sent_last = match &mut self.waiting {
                None => {
                    self.waiting = ready!(self.poll_next(cx, stream));
                    continue;
                }
                Some(Waiting::Data { data, is_last }) => {
                    ready!(stream.poll_send(cx, data, *is_last));
                    *is_last
                }
                Some(Waiting::Trailers(trailers)) => {
                    ready!(stream.poll_send_trailers(cx, trailers));
                    true
                }
            };
            self.is_sent = sent_last;
            self.waiting = None;
        }
        Poll::Ready(())
    }

    /// Takes the next piece from the client. `None` where the body has broken off, which ends the
    /// exchange by whoever reads it.
    fn poll_next(&mut self, cx: &mut Context<'_>, stream: &StreamHandle) -> Poll<Option<Waiting>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if stream.is_committed() {
            body.forget();
        }
        let frame = Pin::new(&mut *body).poll_frame(cx);
        if frame.is_pending() {
            // That it is not wanted is heard of as well.
            stream.stream.keep(cx);
        }
        let waiting = match ready!(frame) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(Waiting::Data {
                    data,
                    is_last: body.is_end_stream(),
                }),
                Err(frame) => frame.into_trailers().ok().map(Waiting::Trailers),
            },
            Some(Err(_broken)) => {
                self.body = None;
                None
            }
            None => Some(Waiting::Data {
                data: Bytes::new(),
                is_last: true,
            }),
        };
        Poll::Ready(waiting)
    }
}
