//! A response's body, which reads the connection that it comes from and gives it back.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use ostler_http1::{BodyProgress, ResponseBodyDecoder, ResponseBodyError};

use super::Http1;
use super::error::Http1Error;
use super::sending::Uploading;
use super::upgraded::Upgraded;
use crate::destinations::pool::Pool;
use crate::destinations::relay_connections::RelayedConnections;

/// What is known of a body when its head is there.
#[derive(Debug)]
pub(in crate::destinations) struct Incoming {
    pub(super) decoder: ResponseBodyDecoder,
    /// What has arrived of it, and is not read yet.
    pub(super) received: Bytes,
    pub(super) behind: Behind,
    /// What is left of the request's body, on its way.
    pub(super) upload: Option<Uploading>,
}

/// What comes behind a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Another request, once both messages are over.
    Request,
    Nothing,
    /// The protocol that has been switched to.
    OtherProtocol,
}

/// A response's body.
#[derive(Debug)]
pub(crate) struct Http1Body {
    incoming: Incoming,
    /// `None` once the connection has been given back, or is lost.
    from: Option<(Http1, Home)>,
    /// All frames have been given.
    ended: bool,
}

/// Where a connection is kept that nobody uses.
#[derive(Debug)]
pub(in crate::destinations) enum Home {
    Pool(Rc<Pool>),
    Relayed(Rc<RelayedConnections>),
}

impl Http1Body {
    pub(in crate::destinations) fn new(incoming: Incoming, connection: Http1, home: Home) -> Self {
        let ended = incoming.decoder.is_end();
        let mut body = Self {
            incoming,
            from: Some((connection, home)),
            ended,
        };
        if ended && body.incoming.behind != Behind::OtherProtocol {
            body.give_back();
        }
        body
    }

    pub(in crate::destinations) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(self.poll_next(cx));
        match &frame {
            Some(Ok(_)) if !self.incoming.decoder.is_end() => {}
            Some(Ok(_)) | None => {
                self.ended = true;
                self.give_back();
            }
            Some(Err(_)) => {
                self.ended = true;
                self.from = None;
            }
        }
        Poll::Ready(frame)
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        loop {
            let incoming = &mut self.incoming;
            match incoming.decoder.decode(&incoming.received)? {
                BodyProgress::Data {
                    start,
                    end,
                    consumed,
                } => {
                    let data = incoming.received.slice(start..end);
                    incoming.received.advance(consumed);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                BodyProgress::NeedMore { consumed } => incoming.received.advance(consumed),
                BodyProgress::End { consumed } => {
                    incoming.received.advance(consumed);
                    let trailers = incoming.decoder.trailers();
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
            }
            let socket = self
                .from
                .as_ref()
                .and_then(|(from, _)| from.socket.as_ref());
            let Some(socket) = socket else {
                return Poll::Ready(Some(Err(ResponseBodyError::CutOff.into())));
            };
            let received = ready!(socket.poll_receive(cx, &incoming.received))?;
            if received.is_empty() {
                // An end behind a reset proves nothing.
                let ended = match socket.write_failed() {
                    true => Err(ResponseBodyError::CutOff),
                    false => incoming.decoder.end_of_stream(),
                };
                return Poll::Ready(ended.err().map(|error| Err(error.into())));
            }
            incoming.received = received;
        }
    }

    pub(in crate::destinations) fn is_end_stream(&self) -> bool {
        self.ended
    }

    pub(in crate::destinations) fn size_hint(&self) -> SizeHint {
        match self.incoming.decoder.remaining() {
            Some(length) => SizeHint::with_exact(length),
            None => SizeHint::default(),
        }
    }

    /// Whether the rest of the request's body is on its way still.
    pub(in crate::destinations) fn has_upload(&self) -> bool {
        let upload = self.incoming.upload.as_ref();
        upload.is_some_and(Uploading::goes_on)
    }

    /// Ready when nothing of it is on its way any more.
    pub(in crate::destinations) fn poll_uploaded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(upload) = &mut self.incoming.upload {
            if !ready!(upload.poll_end(cx)) {
                self.incoming.behind = Behind::Nothing;
            }
            self.incoming.upload = None;
        }
        if self.ended {
            self.give_back();
        }
        Poll::Ready(())
    }

    /// Gives the connection to whoever needs one next, once both messages are over. One that can take
    /// no further request is closed.
    fn give_back(&mut self) {
        let incoming = &mut self.incoming;
        if let Some(upload) = &mut incoming.upload {
            // Whether the body is whole is known once its task has ended, without waiting for it.
            let mut cx = Context::from_waker(std::task::Waker::noop());
            match upload.poll_end(&mut cx) {
                Poll::Pending => return,
                Poll::Ready(true) => {}
                Poll::Ready(false) => incoming.behind = Behind::Nothing,
            }
            incoming.upload = None;
        }
        let Some((connection, home)) = self.from.take() else {
            return;
        };
        if incoming.behind != Behind::Request || !incoming.received.is_empty() {
            return;
        }
        let connection = connection.unused();
        match home {
            Home::Pool(pool) => pool.put_back(connection),
            Home::Relayed(connections) => connections.put_back(connection),
        }
    }

    /// The connection, behind a response that switches the protocol.
    pub(crate) fn upgrade(mut self) -> Option<Upgraded> {
        if self.incoming.behind != Behind::OtherProtocol {
            return None;
        }
        let (connection, _) = self.from.take()?;
        connection.upgrade(std::mem::take(&mut self.incoming.received))
    }
}

impl Drop for Http1Body {
    fn drop(&mut self) {
        if self.ended && self.incoming.behind == Behind::Request {
            self.give_back();
        }
    }
}
