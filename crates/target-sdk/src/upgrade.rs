//! Upgrades: hyper makes the `OnUpgrade` that axum's WebSocket extractor wants.
//!
//! hyper's connection is run over the client's socket but is shown nothing of it except the head
//! that the front already read. The handler's answer decides: a 101 goes out through hyper, which
//! then hands the socket to the handler; any other response goes out as every response does, and
//! hyper, which has touched nothing, is dropped.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::body::Body;
use crate::exchange::Exchange;
use crate::handler::{Handler, ResponseBody, call};
use crate::hyper_upgrade::{answered_by_hyper, put};
use crate::response::{SharedClient, bare};

/// Answers a request that asks for an upgrade.
pub(crate) async fn run<S, B>(
    mut exchange: Exchange,
    mut service: S,
    request: http::Request<Body>,
    head: Bytes,
    prefix: Bytes,
) where
    S: Handler<B>,
    B: ResponseBody,
{
    let switched = Arc::new(AtomicBool::new(false));
    let io = ClientIo {
        client: Arc::clone(&exchange.client),
        head,
        prefix,
        switched: Arc::clone(&switched),
        detached: Arc::clone(&exchange.context.detached),
    };
    let (mut connection, answer_sender, upgrade_receiver) = answered_by_hyper(io);

    let on_upgrade = tokio::select! {
        biased;
        upgrade = upgrade_receiver => upgrade.ok(),
        _ = connection.as_mut() => None,
    };
    let Some(on_upgrade) = on_upgrade else {
        // Our own decoder took the head and hyper's did not.
        return exchange.answer(bare(StatusCode::BAD_REQUEST)).await;
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(on_upgrade);
    let called = call(&mut service, http::Request::from_parts(parts, body));
    let called = match exchange.deadline() {
        None => called.await,
        Some(at) => match tokio::time::timeout_at(at, called).await {
            Ok(called) => called,
            Err(_elapsed) => return exchange.time_out().await,
        },
    };
    let response = match called {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => response,
        Ok(response) => return exchange.answer(response).await,
        Err(status) => return exchange.answer(bare(status)).await,
    };
    exchange.context.shared.responding(exchange.key);
    {
        let mut sent = exchange.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
        sent.first_byte_ns = ostler_shm::monotonic_nanoseconds();
    }
    let (mut parts, _body) = response.into_parts();
    exchange.change_switching(&mut parts.headers);
    // Until `ClientIo` is let go of.
    exchange.context.detached.fetch_add(1, Ordering::Relaxed);
    switched.store(true, Ordering::Release);
    if answer_sender.send(parts).is_err() {
        return;
    }
    // Resolves when the 101 is written and the socket is with the handler.
    if connection.await.is_ok() {
        exchange.detach();
    }
}

/// The client's socket as hyper sees it: the head, then nothing until the protocol is switched.
struct ClientIo {
    client: SharedClient,
    head: Bytes,
    prefix: Bytes,
    switched: Arc<AtomicBool>,
    /// How many connections there are that have switched.
    detached: Arc<AtomicU64>,
}

impl Drop for ClientIo {
    /// Letting go of the connection is its regular end, as it is in clear text.
    fn drop(&mut self) {
        if self.switched.load(Ordering::Acquire) {
            self.detached.fetch_sub(1, Ordering::Relaxed);
            self.client.close_notify_now();
        }
    }
}

impl Read for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if !this.head.is_empty() {
            put(&mut this.head, &mut buffer);
            return Poll::Ready(Ok(()));
        }
        if !this.switched.load(Ordering::Acquire) {
            // hyper polls again when it has written the 101; until then nothing may be read.
            return Poll::Pending;
        }
        if !this.prefix.is_empty() {
            put(&mut this.prefix, &mut buffer);
            return Poll::Ready(Ok(()));
        }
        let mut read = Vec::new();
        let max = buffer.remaining().min(64 * 1024);
        ready!(this.client.poll_recv(cx, &mut read, max))?;
        buffer.put_slice(&read);
        Poll::Ready(Ok(()))
    }
}

impl Write for ClientIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        ready!(self.client.poll_close_notify(cx, true))?;
        Poll::Ready(ostler_shm::shutdown_write(self.client.as_fd()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.client.poll_send(cx, parts, true)
    }
}
