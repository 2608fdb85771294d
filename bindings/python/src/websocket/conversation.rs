//! Speaking WebSocket with a client, on the serving thread.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use super::{Close, Handshake, WebSocket};
use crate::options::WebSocketOptions;

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// How long a client may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(10);

/// Speaks with a client that has been accepted, until one of the two closes.
pub(crate) async fn run(
    upgrade: OnUpgrade,
    handshake: Handshake,
    options: WebSocketOptions,
    stop: CancellationToken,
) {
    let socket = &handshake.0;
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(options.max_size))
        .max_frame_size(Some(options.max_size));
    let io = TokioIo::new(upgraded);
    let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = stream.split();
    let life = Life::new(options);
    let closed = tokio::select! {
        closed = read(&mut stream, socket, &life) => closed,
        close = write(&mut sink, socket, &life) => Err(close),
        () = stop.cancelled() => Err(Close::new(1012, "the server stops")),
    };
    match closed {
        // The client has closed; what answers it has been queued, and goes out by this.
        Ok(close) => {
            socket.end(close);
            let _ = timeout(FAREWELL, sink.close()).await;
        }
        Err(close) => {
            let frame = CloseFrame {
                code: close.code.into(),
                reason: close.reason.clone().into(),
            };
            socket.end(close);
            let farewell = async {
                // It may be gone: then there is nobody to tell.
                let _ = sink.send(Message::Close(Some(frame))).await;
                while let Some(Ok(_)) = stream.next().await {}
            };
            let _ = timeout(FAREWELL, farewell).await;
        }
    }
}

/// Passes on what the client says. `Ok` when the client has ended it, `Err` when it must be ended.
async fn read(
    stream: &mut SplitStream<Stream>,
    socket: &Arc<WebSocket>,
    life: &Life,
) -> Result<Close, Close> {
    loop {
        poll_fn(|cx| socket.poll_room(cx)).await;
        match stream.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => socket.put(message),
            Some(Ok(Message::Pong(_))) => life.sign(),
            // It is answered by the library.
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => {
                return Ok(Close::new(frame.code.into(), frame.reason.as_str()));
            }
            Some(Ok(Message::Close(None))) => return Ok(Close::new(1005, "")),
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                return Err(Close::new(1009, "the message is too large"));
            }
            Some(Err(Error::Utf8(_))) => return Err(Close::new(1007, "the text is not UTF-8")),
            Some(Err(Error::Protocol(error))) if !is_end(&error) => {
                return Err(Close::new(1002, ""));
            }
            Some(Err(_)) | None => return Ok(Close::new(1006, "")),
        }
    }
}

fn is_end(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    matches!(error, ProtocolError::ResetWithoutClosingHandshake)
}

/// Tells the client what the application says, and asks it for signs of life. Returns why it must be ended.
async fn write(
    sink: &mut SplitSink<Stream, Message>,
    socket: &Arc<WebSocket>,
    life: &Life,
) -> Close {
    loop {
        let next = tokio::select! {
            next = poll_fn(|cx| socket.poll_outgoing(cx)) => next,
            dead = life.next_ping() => match dead {
                true => Err(Close::new(1011, "no sign of life")),
                false => Ok(Message::Ping(Bytes::new())),
            },
        };
        let message = match next {
            Ok(message) => message,
            Err(close) => return close,
        };
        if sink.send(message).await.is_err() {
            // The reader knows why, or soon will.
            return Close::new(1006, "");
        }
    }
}

/// Whether the client still answers.
struct Life {
    options: WebSocketOptions,
    /// When it is to be asked next, and when it was asked without having answered yet.
    pings: Mutex<(Instant, Option<Instant>)>,
}

impl Life {
    fn new(options: WebSocketOptions) -> Self {
        Self {
            options,
            pings: Mutex::new((Instant::now(), None)),
        }
    }

    /// It has answered.
    fn sign(&self) {
        self.pings.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
    }

    /// Waits until it is to be asked; true when it has not answered in time.
    async fn next_ping(&self) -> bool {
        let Some(interval) = self.options.ping_interval else {
            return std::future::pending().await;
        };
        let (last, asked) = *self.pings.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(asked), Some(timeout)) = (asked, self.options.ping_timeout) {
            sleep_until(asked + timeout).await;
            let pings = self.pings.lock().unwrap_or_else(PoisonError::into_inner);
            if pings.1 == Some(asked) {
                return true;
            }
        }
        sleep_until(last + interval).await;
        let now = Instant::now();
        *self.pings.lock().unwrap_or_else(PoisonError::into_inner) = (now, Some(now));
        false
    }
}
