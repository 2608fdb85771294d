//! The bytes of a request on their way to the program: its body, or what comes after a switch of protocols.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ostler_target::Body;
use tokio::io::{AsyncRead, ReadBuf, ReadHalf};

use crate::error::Error;

/// The half of a switched connection that is read.
pub(crate) type StreamReader = ReadHalf<TokioIo<Upgraded>>;

/// What a program reads from.
#[derive(Debug)]
pub(crate) struct Incoming {
    source: Source,
    /// Bytes that came and did not fit.
    left: Bytes,
    trailers: HeaderMap,
}

#[derive(Debug)]
enum Source {
    Body(Body),
    /// The protocol is being switched: nothing can be read yet. The waker is who wanted to.
    Switching(Option<std::task::Waker>),
    Stream(StreamReader),
    Ended,
    Gone,
}

/// Most bytes read from a switched connection at a time.
const PIECE: usize = 64 * 1024;

impl Incoming {
    pub(crate) fn new(body: Body) -> Self {
        let source = match body.is_end_stream() {
            true => Source::Ended,
            false => Source::Body(body),
        };
        Self {
            source,
            left: Bytes::new(),
            trailers: HeaderMap::new(),
        }
    }

    /// Puts up to so many bytes into `buffer`; 0 is the end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        if buffer.is_empty() {
            return Poll::Ready(Err(Error::Argument("a buffer of no bytes".to_owned())));
        }
        let Some(mut piece) = ready!(self.poll_piece(cx))? else {
            return Poll::Ready(Ok(0));
        };
        let count = piece.len().min(buffer.len());
        piece.copy_to_slice(&mut buffer[..count]);
        self.left = piece;
        Poll::Ready(Ok(count))
    }

    /// The next bytes; `None` is the end.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        if !self.left.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.left))));
        }
        match &mut self.source {
            Source::Ended => Poll::Ready(Ok(None)),
            Source::Gone => Poll::Ready(Err(Error::Gone)),
            Source::Switching(waiting) => {
                *waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            Source::Stream(stream) => {
                let read = ready!(poll_stream(stream, cx));
                if !matches!(&read, Ok(Some(_))) {
                    self.source = Source::Ended;
                }
                Poll::Ready(read)
            }
            Source::Body(_) => self.poll_body(cx),
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        while let Source::Body(body) = &mut self.source {
            match ready!(Pin::new(body).poll_frame(cx)) {
                None => break,
                Some(Err(error)) => {
                    self.source = Source::Gone;
                    return Poll::Ready(Err(error.into()));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Ok(Some(data))),
                    Err(frame) => {
                        self.trailers = frame.into_trailers().unwrap_or_default();
                        break;
                    }
                },
            }
        }
        self.source = Source::Ended;
        Poll::Ready(Ok(None))
    }

    /// The fields behind the body, if it has been read to its end.
    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        matches!(self.source, Source::Ended).then_some(&self.trailers)
    }

    /// Nothing can be read until the protocol is switched.
    pub(crate) fn expect_stream(&mut self) {
        self.source = Source::Switching(None);
    }

    /// The protocol is switched; `None` when that failed.
    pub(crate) fn switched(&mut self, stream: Option<StreamReader>) {
        let source = stream.map_or(Source::Gone, Source::Stream);
        if let Source::Switching(Some(waiting)) = std::mem::replace(&mut self.source, source) {
            waiting.wake();
        }
    }

    /// The exchange is over: what is left is not for the program.
    pub(crate) fn leave(&mut self) {
        if !matches!(self.source, Source::Ended) {
            self.source = Source::Gone;
        }
        self.left = Bytes::new();
    }
}

fn poll_stream(
    stream: &mut StreamReader,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, Error>> {
    let mut piece = Vec::with_capacity(PIECE);
    let mut buffer = ReadBuf::uninit(piece.spare_capacity_mut());
    ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
    let read = Bytes::copy_from_slice(buffer.filled());
    piece.clear();
    Poll::Ready(Ok((!read.is_empty()).then_some(read)))
}
