//! A request's body on its way into an HTTP/2 stream, as fast as the destination lets it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;
use tokio::task::JoinHandle;

use super::forward_body::ForwardBody;

/// The most that is asked to send at a time; h2 keeps what it has been given until it is sent.
const AT_A_TIME: usize = 256 * 1024;

/// A body and the stream it goes into.
pub(super) struct Upload<B> {
    stream: SendStream<Bytes>,
    body: B,
    /// What the stream has no room for yet.
    ahead: Bytes,
    /// Something has been taken of the body.
    touched: bool,
    ended: bool,
}

/// A body that may be sent again.
pub(super) trait Rewind {
    /// Goes back to its beginning; false where that is not there any more.
    fn rewind(&mut self) -> bool;

    /// It is not sent again.
    fn forget(&mut self);
}

impl Rewind for ForwardBody {
    fn rewind(&mut self) -> bool {
        self.rewind()
    }

    fn forget(&mut self) {
        self.forget();
    }
}

/// How an upload ended.
#[derive(Debug)]
pub(super) enum Uploaded {
    Whole,
    /// The destination takes no more.
    Unwanted,
    /// The stream has been reset: an end would say that the body is whole.
    ClientBroke(Box<dyn std::error::Error + Send + Sync>),
}

/// The rest of an upload, which ends with this.
#[derive(Debug)]
pub(super) struct Uploading(JoinHandle<()>);

impl Uploading {
    pub(super) fn goes_on(&self) -> bool {
        !self.0.is_finished()
    }

    /// Ready when it does not.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.goes_on() {
            true => Pin::new(&mut self.0).poll(cx).map(drop),
            false => Poll::Ready(()),
        }
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// An upload; `ended` if the request's head said that there is no body.
    pub(super) fn new(stream: SendStream<Bytes>, body: B, ended: bool) -> Self {
        Self {
            stream,
            body,
            ahead: Bytes::new(),
            touched: false,
            ended,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        if self.ended {
            return Poll::Pending;
        }
        let uploaded = ready!(self.poll_rest(cx));
        self.ended = true;
        Poll::Ready(uploaded)
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        loop {
            if let Poll::Ready(_reset) = self.stream.poll_reset(cx) {
                return Poll::Ready(Uploaded::Unwanted);
            }
            // Room first: bytes stay with the client until the destination takes them.
            self.stream
                .reserve_capacity(self.ahead.len().clamp(1, AT_A_TIME));
            let mut room = self.stream.capacity();
            while room == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(capacity)) => room = capacity,
                    Some(Err(_)) | None => return Poll::Ready(Uploaded::Unwanted),
                }
            }
            if !self.ahead.is_empty() {
                let piece = self.ahead.split_to(room.min(self.ahead.len()));
                let is_last = self.ahead.is_empty() && self.body.is_end_stream();
                if self.stream.send_data(piece, is_last).is_err() {
                    return Poll::Ready(Uploaded::Unwanted);
                }
                if is_last {
                    return Poll::Ready(Uploaded::Whole);
                }
                continue;
            }
            let sent = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    self.touched = true;
                    match frame.into_data() {
                        Ok(data) => {
                            self.ahead = data;
                            continue;
                        }
                        Err(frame) => match frame.into_trailers() {
                            Ok(trailers) => self.stream.send_trailers(trailers),
                            Err(_unknown) => continue,
                        },
                    }
                }
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Uploaded::ClientBroke(error.into()));
                }
                None => self.stream.send_data(Bytes::new(), true),
            };
            return Poll::Ready(match sent {
                Ok(()) => Uploaded::Whole,
                Err(_) => Uploaded::Unwanted,
            });
        }
    }

    /// Uploads the rest in a task of its own, so that neither direction waits for the other.
    pub(super) fn go_on(mut self) -> Option<Uploading>
    where
        B: Rewind,
    {
        if self.ended {
            return None;
        }
        self.body.forget();
        let rest = async move {
            if let Uploaded::ClientBroke(error) = poll_fn(|cx| self.poll(cx)).await {
                tracing::debug!(%error, "a request's body broke off behind its response");
            }
        };
        Some(Uploading(tokio::task::spawn_local(rest)))
    }

    /// The body from its beginning, if that is still there.
    pub(super) fn into_rewound_body(mut self) -> Option<B>
    where
        B: Rewind,
    {
        let is_whole = !self.touched || self.body.rewind();
        is_whole.then_some(self.body)
    }
}
