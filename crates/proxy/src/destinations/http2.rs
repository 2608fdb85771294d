//! An HTTP/2 connection to a destination, which exchanges share.
//!
//! The connection is a task. An exchange has a stream of it: it sends the request's body
//! ([`upload`](super::upload)) while it waits for the response, and goes on sending while the
//! response is passed on.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use super::interim::Interim;
use super::send_error::SendError;
use super::tunnel::Http2Tunnel;
use super::upload::{Rewind, Upload, Uploaded, Uploading};
use super::window::{self, Window};

/// What a destination may send ahead on all streams of a connection together, as .NET has it. It is
/// given back when bytes arrive: what is held back is held by the stream's own window.
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// What small frames may cost beside their bytes: many streams of messages that nobody takes.
const SMALL_FRAMES: usize = 256 * 1024 * 1024;
/// The largest frame taken: fewer, larger pieces cost less.
const LARGEST_FRAME: u32 = 64 * 1024;
/// The longest response head (reference B16.4).
const LONGEST_HEAD: u32 = 64 * 1024;
/// Streams before the destination has said how many it takes. No number that fits into a SETTINGS
/// frame: it tells that none has come.
const SETTINGS_PENDING: usize = usize::MAX - 1;

/// An HTTP/2 connection.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Bytes>,
    streams: Rc<Streams>,
}

#[derive(Debug)]
struct Streams {
    opened: Instant,
    open: Cell<usize>,
    last_used: Cell<Instant>,
    ended: Cell<bool>,
    now: Rc<Cell<Instant>>,
}

/// One stream; it counts for as long as it lives.
#[derive(Debug)]
pub(super) struct StreamPlace(Rc<Streams>);

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.last_used.set(self.0.now.get());
    }
}

/// A request has no response.
pub(super) enum Unanswered<B> {
    /// The destination has not processed it, and its body is whole (RFC 9113 section 8.7).
    Unprocessed(B, SendError),
    Lost(SendError),
}

/// What became of an extended CONNECT.
#[derive(Debug)]
pub(super) enum Connected {
    Tunnel(Response<Http2Tunnel>),
    /// An ordinary response with a body.
    Response(Response<Http2Body>),
}

impl Http2 {
    /// Starts HTTP/2 on a connection. It is open when the destination has sent its SETTINGS: how
    /// many streams it takes, and whether extended CONNECT is among them, is known from then on.
    pub(super) async fn handshake<I>(stream: I, now: Rc<Cell<Instant>>) -> Result<Self, h2::Error>
    where
        I: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (sender, mut connection) = h2::client::Builder::new()
            .initial_window_size(window::FIRST)
            .data_frame_budget(SMALL_FRAMES)
            // Each is a malformed answer to a request of ours, and says nothing of the others.
            .max_local_error_reset_streams(None)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(LARGEST_FRAME)
            .max_header_list_size(LONGEST_HEAD)
            .initial_max_send_streams(SETTINGS_PENDING)
            .enable_push(false)
            .handshake(stream)
            .await?;
        connection.set_connection_window_on_receipt();
        poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            if sender.current_max_send_streams() != SETTINGS_PENDING {
                return Poll::Ready(Ok(()));
            }
            ended.map(|ended| ended.and(Err(Reason::NO_ERROR.into())))
        })
        .await?;
        let streams = Rc::new(Streams {
            opened: now.get(),
            open: Cell::new(0),
            last_used: Cell::new(now.get()),
            ended: Cell::new(false),
            now,
        });
        let of_task = Rc::clone(&streams);
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a destination ended");
            }
            of_task.ended.set(true);
        });
        Ok(Self { sender, streams })
    }

    /// Whether nothing can be sent on it any more.
    pub(super) fn has_ended(&self) -> bool {
        self.streams.ended.get()
    }

    /// When it was opened, by its pool's clock.
    pub(super) fn opened(&self) -> Instant {
        self.streams.opened
    }

    /// Whether the destination takes another stream now.
    pub(super) fn has_room(&self) -> bool {
        self.streams.open.get() < self.sender.current_max_send_streams()
    }

    /// Whether `other` is the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.streams, &other.streams)
    }

    /// When it was last used, if nobody uses it now.
    pub(super) fn unused_since(&self) -> Option<Instant> {
        (self.streams.open.get() == 0).then(|| self.streams.last_used.get())
    }

    /// Whether the destination's SETTINGS allow extended CONNECT (RFC 8441 section 3).
    pub(super) fn allows_extended_connect(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// Sends a request and waits for the response's head.
    pub(super) async fn send<B>(
        &mut self,
        parts: Parts,
        body: B,
        interim: Option<&Interim>,
    ) -> Result<Response<Http2Body>, Unanswered<B>>
    where
        B: Body<Data = Bytes> + Rewind + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let place = self.place();
        if let Err(error) = poll_fn(|cx| self.sender.poll_ready(cx)).await {
            self.streams.ended.set(true);
            return Err(Unanswered::Unprocessed(body, SendError::of(error)));
        }
        let is_whole = body.is_end_stream();
        let begun = self
            .sender
            .send_request(Request::from_parts(parts, ()), is_whole);
        let (mut response, stream) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let is_ours = error.reason().is_none() && !error.is_io() && !error.is_go_away();
                let error = SendError::of(error);
                return Err(match is_ours {
                    // It cannot be put into frames, or something like that.
                    true => Unanswered::Lost(error),
                    false => Unanswered::Unprocessed(body, error),
                });
            }
        };
        let mut upload = Upload::new(stream, body, is_whole);
        let head = poll_fn(|cx| {
            take_interim(&mut response, interim, cx);
            if let Poll::Ready(head) = Pin::new(&mut response).poll(cx) {
                return Poll::Ready(head.map_err(Ended::Stream));
            }
            match upload.poll(cx) {
                Poll::Ready(Uploaded::ClientBroke(error)) => Poll::Ready(Err(Ended::Body(error))),
                // What the destination does not want it says in the response.
                Poll::Ready(Uploaded::Whole | Uploaded::Unwanted) | Poll::Pending => Poll::Pending,
            }
        })
        .await;
        match head {
            Ok(head) => {
                // Who refuses a request is not sent the rest of it.
                let status = head.status();
                let is_refused = status.is_client_error() || status.is_server_error();
                let rest = (!is_refused).then(|| upload.go_on()).flatten();
                Ok(Http2Body::of(head, rest, place))
            }
            Err(Ended::Body(error)) => Err(Unanswered::Lost(SendError::of(error))),
            Err(Ended::Stream(error)) => {
                // A refused stream says nothing of the connection.
                if error.is_go_away() || error.is_io() {
                    self.streams.ended.set(true);
                }
                let unprocessed = is_unprocessed(&error);
                let error = SendError::of(error);
                Err(match upload.into_rewound_body() {
                    Some(body) if unprocessed => Unanswered::Unprocessed(body, error),
                    _ => Unanswered::Lost(error),
                })
            }
        }
    }

    /// Sends an extended CONNECT (RFC 8441 section 4); its stream becomes a tunnel where the
    /// destination agrees.
    pub(super) async fn connect(
        &mut self,
        parts: Parts,
        protocol: &str,
    ) -> Result<Connected, Unanswered<()>> {
        let place = self.place();
        if let Err(error) = poll_fn(|cx| self.sender.poll_ready(cx)).await {
            self.streams.ended.set(true);
            return Err(Unanswered::Unprocessed((), SendError::of(error)));
        }
        let mut request = Request::from_parts(parts, ());
        request.extensions_mut().insert(Protocol::from(protocol));
        let (response, stream) = self
            .sender
            .send_request(request, false)
            .map_err(|error| Unanswered::Lost(SendError::of(error)))?;
        let response = response.await.map_err(|error| {
            if error.is_go_away() || error.is_io() {
                self.streams.ended.set(true);
            }
            match is_unprocessed(&error) {
                true => Unanswered::Unprocessed((), SendError::of(error)),
                false => Unanswered::Lost(SendError::of(error)),
            }
        })?;
        Ok(match response.status().is_success() {
            true => Connected::Tunnel(response.map(|recv| Http2Tunnel::new(stream, recv, place))),
            false => Connected::Response(Http2Body::of(response, None, place)),
        })
    }

    fn place(&self) -> StreamPlace {
        self.streams.open.set(self.streams.open.get() + 1);
        StreamPlace(Rc::clone(&self.streams))
    }
}

enum Ended {
    Stream(h2::Error),
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// A stream refused, or above the last that a GOAWAY says is processed: only these does h2 end with
/// the GOAWAY's error (RFC 9113 section 8.7).
fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

fn take_interim(response: &mut ResponseFuture, interim: Option<&Interim>, cx: &mut Context<'_>) {
    let Some(interim) = interim else { return };
    while let Poll::Ready(Some(Ok(early))) = response.poll_informational(cx) {
        interim.arrive(early.status(), early.headers());
    }
}

/// A response's body. The destination may send more as bytes are taken.
#[derive(Debug)]
pub(crate) struct Http2Body {
    stream: RecvStream,
    /// Bytes still to come, where the head says how many there are.
    left: Option<u64>,
    window: Window,
    /// Bytes that were given out last: they are taken when more is asked for.
    given: usize,
    data_ended: bool,
    ended: bool,
    /// The rest of the request's body, on its way.
    upload: Option<Uploading>,
    _place: StreamPlace,
}

impl Http2Body {
    fn of(
        response: Response<RecvStream>,
        upload: Option<Uploading>,
        place: StreamPlace,
    ) -> Response<Self> {
        let (parts, stream) = response.into_parts();
        let ended = stream.is_end_stream();
        let length = match ended {
            true => Some(0),
            false => {
                let length = parts.headers.get(CONTENT_LENGTH);
                length.and_then(|length| length.to_str().ok()?.parse().ok())
            }
        };
        let body = Self {
            stream,
            left: length,
            window: Window::new(),
            given: 0,
            data_ended: ended,
            ended,
            upload,
            _place: place,
        };
        Response::from_parts(parts, body)
    }

    /// A stream that is reset before its END_STREAM is cut off, whatever the reason given: behind
    /// it, a destination that wants no more of the request's body says NO_ERROR (RFC 9113 section
    /// 8.1), which h2 takes for the end that it is.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let given = std::mem::take(&mut self.given);
        if given > 0 {
            self.window.take(&mut self.stream, given)?;
        }
        while !self.data_ended {
            let Poll::Ready(data) = self.stream.poll_data(cx) else {
                self.window.run_dry();
                return Poll::Pending;
            };
            match data {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    self.given = data.len();
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.ended = true;
        Poll::Ready(match trailers {
            Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            Err(error) => Some(Err(error)),
        })
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.ended
    }

    pub(super) fn has_upload(&self) -> bool {
        self.upload.as_ref().is_some_and(Uploading::goes_on)
    }

    pub(super) fn poll_uploaded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.upload {
            Some(upload) => upload.poll_end(cx),
            None => Poll::Ready(()),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests;
