//! A stream's response: head and start of the body in one entry, the rest as there is credit for it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use ostler_delegation::target::HeadToSend;
use ostler_http1::{RequestFacts, stated_length};
use ostler_shm::PushError;

use super::halves::{NotPut, Stream};
use crate::error::BoxError;
use crate::panics::contain;
use crate::response::ResponseError;

/// What has been sent of a response.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) first_byte_ns: u64,
}

/// Sends a response.
pub(super) async fn respond<B>(
    stream: &Stream,
    facts: RequestFacts,
    response: http::Response<B>,
    timeout: Duration,
    sent: &mut Sent,
) -> Result<(), ResponseError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = response.into_parts();
    let status = parts.status;
    let mut body = pin!(body);
    // As of RFC 9110 section 6.4.1; a 205 has none either (section 15.3.6).
    let is_bodiless = facts.is_head
        || status.is_informational()
        || matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::RESET_CONTENT
        );
    let exact = match body.is_end_stream() {
        true => Some(0),
        false => body.size_hint().exact(),
    };
    if facts.is_head
        && let Some(length) = exact.filter(|length| *length > 0)
    {
        let stated = parts.headers.entry(CONTENT_LENGTH);
        stated.or_insert_with(|| length.into());
    }
    let mut sender = Sender {
        stream,
        timeout,
        sent,
    };
    if is_bodiless {
        let first = Piece::end();
        return sender.head(status, Some(0), &parts.headers, first).await;
    }
    let length = exact.or_else(|| stated_length(&parts.headers));
    // What is there by now goes along with the head.
    let first = poll_fn(|cx| Poll::Ready(poll_piece(body.as_mut(), cx))).await;
    let first = match first {
        Poll::Ready(piece) => piece?,
        Poll::Pending => Piece::Data(Bytes::new()),
    };
    let mut is_over = first.is_last();
    sender.head(status, length, &parts.headers, first).await?;
    while !is_over {
        let piece = poll_fn(|cx| poll_piece(body.as_mut(), cx)).await?;
        is_over = piece.is_last();
        sender.piece(piece).await?;
    }
    Ok(())
}

/// A part of a response's body.
enum Piece {
    Data(Bytes),
    /// Nothing follows it.
    Last(Bytes),
    Trailers(HeaderMap),
}

impl Piece {
    fn end() -> Self {
        Self::Last(Bytes::new())
    }

    fn is_last(&self) -> bool {
        !matches!(self, Self::Data(_))
    }
}

fn poll_piece<B>(mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Result<Piece, ResponseError>>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    loop {
        if body.is_end_stream() {
            return Poll::Ready(Ok(Piece::end()));
        }
        let frame = match contain(|| body.as_mut().poll_frame(cx)) {
            Ok(Poll::Ready(frame)) => frame,
            Ok(Poll::Pending) => return Poll::Pending,
            Err(panicked) => return Poll::Ready(Err(panicked.into())),
        };
        let frame = match frame {
            None => return Poll::Ready(Ok(Piece::end())),
            Some(Err(error)) => return Poll::Ready(Err(ResponseError::Body(error.into()))),
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(mut data) => {
                let data = data.copy_to_bytes(data.remaining());
                if body.is_end_stream() {
                    return Poll::Ready(Ok(Piece::Last(data)));
                }
                if !data.is_empty() {
                    return Poll::Ready(Ok(Piece::Data(data)));
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return Poll::Ready(Ok(Piece::Trailers(trailers)));
                }
            }
        }
    }
}

struct Sender<'a> {
    stream: &'a Stream,
    timeout: Duration,
    sent: &'a mut Sent,
}

impl Sender<'_> {
    /// Sends the head with as much of the first piece as goes along with it.
    async fn head(
        &mut self,
        status: StatusCode,
        length: Option<u64>,
        fields: &HeaderMap,
        first: Piece,
    ) -> Result<(), ResponseError> {
        let room = self.stream.shared.room_beside(fields);
        let (mut data, ends, trailers) = match first {
            Piece::Data(data) => (data, false, None),
            Piece::Last(data) => (data, true, None),
            Piece::Trailers(trailers) => (Bytes::new(), false, Some(trailers)),
        };
        let along = data.split_to(data.len().min(self.stream.credit()).min(room));
        let is_last = ends && data.is_empty();
        let entry = HeadToSend {
            status: status.as_u16(),
            length,
            fields,
            data: &along,
            is_last,
        };
        self.stream.shared.responding_beside_body(self.stream.key);
        self.push(ResponseError::HeadTooLarge, |stream| {
            stream.send_head(&entry)
        })
        .await?;
        self.sent.status = status.as_u16();
        self.sent.first_byte_ns = ostler_shm::monotonic_nanoseconds();
        self.sent.bytes += along.len() as u64;
        match trailers {
            Some(trailers) => self.piece(Piece::Trailers(trailers)).await,
            None if data.is_empty() => Ok(()),
            None if ends => self.piece(Piece::Last(data)).await,
            None => self.piece(Piece::Data(data)).await,
        }
    }

    async fn piece(&mut self, piece: Piece) -> Result<(), ResponseError> {
        let (mut data, ends) = match piece {
            Piece::Data(data) => (data, false),
            Piece::Last(data) => (data, true),
            Piece::Trailers(trailers) => {
                return self
                    .push(ResponseError::TrailersTooLarge, |stream| {
                        stream.shared.send_trailers(stream.key, &trailers)
                    })
                    .await;
            }
        };
        let longest = self.stream.shared.longest_data();
        loop {
            let credit = match data.is_empty() {
                true => 0,
                false => self.credit().await?,
            };
            let part = data.split_to(data.len().min(credit).min(longest));
            let is_last = ends && data.is_empty();
            self.push(ResponseError::HeadTooLarge, |stream| {
                stream.send_data(&part, is_last)
            })
            .await?;
            self.sent.bytes += part.len() as u64;
            if data.is_empty() {
                return Ok(());
            }
        }
    }

    /// Waits until something may be sent.
    async fn credit(&self) -> Result<usize, ResponseError> {
        let mut first = true;
        let credit = self.in_time(|cx| {
            let credit = self.stream.poll_credit(cx);
            if credit.is_pending() && std::mem::take(&mut first) {
                // What has been said so far is what credit will be given for.
                self.stream.shared.wake();
            }
            credit
        });
        match credit.await? {
            Some(credit) => Ok(credit as usize),
            None => Err(ResponseError::ClientGone),
        }
    }

    /// Puts an entry into the ring once there is room for it.
    async fn push(
        &self,
        too_large: fn(usize) -> ResponseError,
        send: impl Fn(&Stream) -> Result<(), PushError>,
    ) -> Result<(), ResponseError> {
        let stream = self.stream;
        let pushed = self.in_time(|cx| stream.poll_push(cx, || send(stream)));
        pushed.await?.map_err(|not_put| match not_put {
            NotPut::TooLarge => too_large(stream.shared.longest_entry()),
            NotPut::Unwanted => ResponseError::ClientGone,
        })
    }

    /// Waits no longer than a client may take. Usually there is nothing to wait for, and no timer.
    async fn in_time<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, ResponseError> {
        let now = poll_fn(|cx| Poll::Ready(poll(cx))).await;
        if let Poll::Ready(value) = now {
            return Ok(value);
        }
        let value = tokio::time::timeout(self.timeout, poll_fn(poll)).await;
        value.map_err(|_elapsed| ResponseError::TimedOut(self.timeout))
    }
}
