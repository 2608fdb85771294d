//! Upgrades over a stream: hyper makes the `OnUpgrade` that axum's WebSocket extractor wants, of a
//! connection that reads the request's head and what the client says behind it from the stream.
//!
//! The 101 that hyper writes goes nowhere: the front is told of it as of any head, and what is written
//! behind it goes to the client.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use ostler_delegation::target::HeadToSend;
use ostler_delegation::{Disposition, Ending};

use super::exchange::StreamExchange;
use super::halves::{NotPut, Read as StreamRead, Stream};
use crate::body::Body;
use crate::handler::{Handler, ResponseBody, call};
use crate::hyper_upgrade::{answered_by_hyper, put};
use crate::response::{Either, bare};

/// Answers a request that asks for an upgrade.
pub(super) async fn run<S, B>(
    exchange: StreamExchange,
    mut service: S,
    request: http::Request<Body>,
    head: Bytes,
) where
    S: Handler<B>,
    B: ResponseBody,
{
    let stream = Arc::clone(&exchange.stream);
    let switched = Arc::new(AtomicBool::new(false));
    let tunnel = Arc::new(Mutex::new(Some(exchange)));
    let io = StreamIo {
        stream: Arc::clone(&stream),
        exchange: Arc::clone(&tunnel),
        head,
        unread: Bytes::new(),
        switched: Arc::clone(&switched),
        behind_head: 0,
        ended: false,
    };
    let back = || tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (mut connection, answer, upgrade) = answered_by_hyper(io);
    let on_upgrade = tokio::select! {
        biased;
        upgrade = upgrade => upgrade.ok(),
        _ = connection.as_mut() => None,
    };
    let Some(on_upgrade) = on_upgrade else {
        // Our own decoder took the head and hyper's did not.
        if let Some(exchange) = back() {
            exchange.answer(bare(StatusCode::BAD_REQUEST)).await;
        }
        return;
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(on_upgrade);
    let called = call(&mut service, http::Request::from_parts(parts, body)).await;
    let Some(mut exchange) = back() else { return };
    let response = match called {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => response,
        Ok(response) => return exchange.answer(Either::of(response)).await,
        Err(status) => return exchange.answer(bare(status)).await,
    };
    let (parts, _body) = response.into_parts();
    if exchange.switch(&parts.headers).await.is_err() {
        return;
    }
    tunnel
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(exchange);
    switched.store(true, Ordering::Release);
    if answer.send(parts).is_ok() {
        // Resolves when the 101 is written and the stream is with the handler.
        let _ = connection.await;
    }
}

impl StreamExchange {
    /// Tells the front that the protocol is switched.
    async fn switch(&mut self, fields: &http::HeaderMap) -> Result<(), NotPut> {
        let status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
        let stream = &self.stream;
        stream.shared.responding(stream.key);
        let head = HeadToSend {
            status,
            length: None,
            fields,
            data: &Bytes::new(),
            is_last: false,
        };
        std::future::poll_fn(|cx| stream.poll_push(cx, || stream.send_head(&head))).await?;
        self.sent.status = status;
        self.sent.first_byte_ns = ostler_shm::monotonic_nanoseconds();
        Ok(())
    }
}

/// The stream as hyper sees it: the request's head, then nothing until the protocol is switched.
struct StreamIo {
    stream: Arc<Stream>,
    /// Ended when this goes, if the protocol has been switched.
    exchange: Arc<Mutex<Option<StreamExchange>>>,
    head: Bytes,
    unread: Bytes,
    switched: Arc<AtomicBool>,
    /// Of the empty line that ends hyper's 101, how many bytes have gone by.
    behind_head: usize,
    /// This direction has ended.
    ended: bool,
}

/// What ends a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

impl StreamIo {
    /// How many of the bytes that hyper writes belong to its 101.
    fn of_head(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if self.behind_head == HEAD_END.len() {
                return at;
            }
            self.behind_head = match *byte == HEAD_END[self.behind_head] {
                true => self.behind_head + 1,
                false => usize::from(*byte == HEAD_END[0]),
            };
        }
        bytes.len()
    }

    fn poll_send(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let credit = match ready!(self.stream.poll_credit(cx)) {
            Some(credit) => credit as usize,
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        let longest = self.stream.shared.longest_data();
        let part = &bytes[..bytes.len().min(credit).min(longest)];
        let send = || self.stream.send_data(part, false);
        let pushed = ready!(self.stream.poll_push(cx, send));
        pushed.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exchange) = exchange.as_mut() {
            exchange.sent.bytes += part.len() as u64;
        }
        Poll::Ready(Ok(part.len()))
    }
}

impl Drop for StreamIo {
    /// Letting go of the connection is its regular end.
    fn drop(&mut self) {
        let exchange = self
            .exchange
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut exchange) = exchange
            && self.switched.load(Ordering::Acquire)
        {
            exchange.complete(Disposition::Close, Ending::Answered);
        }
    }
}

impl Read for StreamIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.head.is_empty() {
            put(&mut this.head, &mut buffer);
            return Poll::Ready(Ok(()));
        }
        if !this.switched.load(Ordering::Acquire) {
            // hyper polls again when it has written the 101; until then nothing may be read.
            return Poll::Pending;
        }
        if this.unread.is_empty() {
            match ready!(this.stream.poll_read(cx)) {
                StreamRead::Data(data) => this.unread = data,
                StreamRead::End | StreamRead::Trailers(_) => return Poll::Ready(Ok(())),
                StreamRead::Broken | StreamRead::Over => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
            }
        }
        put(&mut this.unread, &mut buffer);
        Poll::Ready(Ok(()))
    }
}

impl Write for StreamIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let of_head = self.of_head(bytes);
        if of_head > 0 || bytes.is_empty() {
            return Poll::Ready(Ok(of_head));
        }
        self.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let send = || self.stream.send_data(&[], true);
        let pushed = ready!(self.stream.poll_push(cx, send));
        self.ended = true;
        Poll::Ready(pushed.map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }
}
