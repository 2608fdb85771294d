//! A request on its way into a connection: its head and each piece of its body in as few writes as
//! may be.

use std::borrow::Cow;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Version};
use http_body::Body;
use ostler_http1::{
    BodyEncoder, BodyLength, RequestHeadError, RequestHeadParts, ResponseBody, SameName,
    encode_request_head,
};
use tokio::task::JoinHandle;

use super::LongTarget;
use super::error::Http1Error;
use super::socket::Socket;

type Broken = Box<dyn Error + Send + Sync>;

/// A request that is being sent.
pub(super) struct Sending<B> {
    body: B,
    encoder: BodyEncoder,
    /// Encoded and not sent: the head, a chunk's size, an end.
    before: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// What comes behind it, and what behind that.
    data: Bytes,
    behind: &'static [u8],
    /// The end of the body is encoded.
    is_encoded: bool,
    /// A piece of the body has been taken.
    is_touched: bool,
    /// How much has been.
    taken: usize,
    /// Something has been written.
    is_begun: bool,
    /// The head has waited for the body.
    has_waited: bool,
    is_flushed: bool,
}

/// How sending ended.
#[derive(Debug)]
pub(super) enum Sent {
    Whole,
    /// The destination takes no more; it may have said why.
    Unwanted(io::Error),
    /// The client's body broke off: an end would say that it is whole.
    Broken(Broken),
}

impl<B> Sending<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Broken>,
{
    pub(super) fn new(parts: &Parts, body: B) -> Result<Self, Http1Error> {
        let length = match body.size_hint().exact() {
            _ if body.is_end_stream() => BodyLength::Empty,
            Some(length) => BodyLength::Known(length),
            None => BodyLength::Unknown,
        };
        let target = target(parts)?;
        let mut before = Vec::with_capacity(512);
        let head = RequestHeadParts {
            method: &parts.method,
            target: &target,
            version: match parts.version {
                Version::HTTP_10 => ostler_http1::Version::Http10,
                _ => ostler_http1::Version::Http11,
            },
            fields: &parts.headers,
            body: length,
            same_name: SameName::Lines,
        };
        let framing = encode_request_head(&mut before, head).map_err(Http1Error::Request)?;
        Ok(Self {
            body,
            encoder: BodyEncoder::new(framing),
            before,
            written: 0,
            data: Bytes::new(),
            behind: b"",
            is_encoded: framing == ResponseBody::None,
            is_touched: false,
            taken: 0,
            is_begun: false,
            has_waited: false,
            is_flushed: true,
        })
    }

    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether the body is larger than what servers read with a request's head, whether anybody there
    /// wants it or not.
    pub(super) fn is_large(&self) -> bool {
        const WITH_HEAD: usize = 4 * 1024;
        self.taken > WITH_HEAD
    }

    /// The body, if not a byte of the request was sent.
    pub(super) fn into_unsent(self) -> Option<B> {
        (!self.is_begun && !self.is_touched).then_some(self.body)
    }

    pub(super) fn poll(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Sent> {
        match ready!(self.poll_rest(socket, cx)) {
            Ok(()) => Poll::Ready(Sent::Whole),
            Err(ended) => Poll::Ready(ended),
        }
    }

    fn poll_rest(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<(), Sent>> {
        loop {
            let needs_piece = !self.is_encoded && self.data.is_empty() && self.behind.is_empty();
            if needs_piece && self.poll_piece(cx).map_err(Sent::Broken)?.is_pending() {
                let is_head = !self.is_begun && !std::mem::replace(&mut self.has_waited, true);
                if is_head {
                    // The body's first piece may be read in this very turn: then it goes along.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                if self.is_written() {
                    ready!(self.poll_flush(socket, cx))?;
                    return Poll::Pending;
                }
            }
            if self.is_written() {
                return self.poll_flush(socket, cx);
            }
            ready!(self.poll_write(socket, cx)).map_err(Sent::Unwanted)?;
        }
    }

    /// Takes the next piece of the body.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(frame) => frame.map_err(Into::into)?,
            None => {
                self.encoder.finish(None, &mut self.before)?;
                self.is_encoded = true;
                return Poll::Ready(Ok(()));
            }
        };
        self.is_touched = true;
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                self.is_encoded = self.body.is_end_stream();
                self.behind = match self.is_encoded {
                    true => self.encoder.last_data(data.len(), &mut self.before)?,
                    false => self.encoder.begin_data(data.len(), &mut self.before)?,
                };
                self.taken = self.taken.saturating_add(data.len());
                self.data = data;
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.encoder.finish(Some(&trailers), &mut self.before)?;
                    self.is_encoded = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_written(&self) -> bool {
        self.before.is_empty() && self.data.is_empty() && self.behind.is_empty()
    }

    fn poll_write(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = &self.before[self.written..];
        let pieces = [before, &self.data, self.behind].map(IoSlice::new);
        let mut count = ready!(socket.poll_write(cx, &pieces))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.is_begun = true;
        self.is_flushed = false;
        let of_before = count.min(self.before.len() - self.written);
        self.written += of_before;
        count -= of_before;
        if self.written == self.before.len() {
            self.before.clear();
            self.written = 0;
        }
        let of_data = count.min(self.data.len());
        self.data.advance(of_data);
        self.behind = &self.behind[count - of_data..];
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<(), Sent>> {
        if !self.is_flushed {
            ready!(socket.poll_flush(cx)).map_err(Sent::Unwanted)?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the rest in a task of its own, so that neither direction waits for the other.
    pub(super) fn go_on(mut self, socket: Socket) -> Uploading {
        Uploading(tokio::task::spawn_local(async move {
            match poll_fn(|cx| self.poll(&socket, cx)).await {
                Sent::Whole => true,
                Sent::Unwanted(error) => {
                    tracing::debug!(%error, "a destination wants no more of a request's body");
                    false
                }
                Sent::Broken(error) => {
                    tracing::debug!(%error, "a request's body broke off behind its response");
                    false
                }
            }
        }))
    }
}

/// The request-target (RFC 9112 section 3.2): in origin form, or in absolute form for a proxy.
fn target(parts: &Parts) -> Result<Cow<'_, str>, Http1Error> {
    let uri = &parts.uri;
    let origin = match parts.extensions.get::<LongTarget>() {
        Some(LongTarget(target)) => {
            let target = std::str::from_utf8(target);
            target.map_err(|_| Http1Error::Request(RequestHeadError::Target))?
        }
        None => uri.path_and_query().map_or("/", PathAndQuery::as_str),
    };
    Ok(match uri.authority() {
        None => origin.into(),
        Some(authority) if parts.method == Method::CONNECT => authority.as_str().into(),
        Some(authority) => {
            let scheme = uri.scheme_str().unwrap_or("http");
            format!("{scheme}://{authority}{origin}").into()
        }
    })
}

/// The rest of an upload, behind the response's head; it ends with this.
#[derive(Debug)]
pub(super) struct Uploading(JoinHandle<bool>);

impl Uploading {
    pub(super) fn goes_on(&self) -> bool {
        !self.0.is_finished()
    }

    /// Ready with whether the body is whole at the destination.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let ended = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(ended.unwrap_or(false))
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.abort();
    }
}
