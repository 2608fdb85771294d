//! After a protocol is switched: bytes both ways between client and destination, until one of them
//! ends.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use ostler_delegation::entry::directives;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::body::Activity;
use super::conversation::{Passed, Reuse};
use super::response::passed_fields;
use crate::account::Given;
use crate::client_side::{RequestBody, ResponseWriter, WriteError};
use crate::context::ExchangeContext;
use crate::outcome::{ForwarderError, is_gone};

const BUFFER: usize = 64 * 1024;

/// How long a client may take no byte.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// What a destination has switched to.
pub(super) struct NewProtocol {
    /// Of the response that says so.
    fields: HeaderMap,
    destination: Box<dyn Peer>,
}

/// A destination's connection, once it speaks another protocol.
trait Peer: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Peer for T {}

impl NewProtocol {
    pub(super) fn new(
        fields: HeaderMap,
        destination: impl AsyncRead + AsyncWrite + Unpin + 'static,
    ) -> Self {
        Self {
            fields,
            destination: Box::new(destination),
        }
    }
}

/// The client's side of a tunnel.
#[derive(Debug)]
pub(super) struct Tunnel<'c> {
    pub(super) client: RequestBody<'c>,
    pub(super) writer: ResponseWriter<'c>,
    /// How long nothing may move.
    pub(super) timeout: Option<Duration>,
}

impl Tunnel<'_> {
    /// Tells the client that the protocol is switched, and joins the two connections.
    pub(super) async fn run(
        mut self,
        context: &ExchangeContext<'_>,
        protocol: NewProtocol,
    ) -> Passed {
        let NewProtocol {
            fields,
            destination,
        } = protocol;
        let status = StatusCode::SWITCHING_PROTOCOLS;
        let upgrade = fields.get(UPGRADE).cloned();
        let mut fields = passed_fields(context.transforms(), status, fields);
        if let Some(upgrade) = upgrade {
            fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            fields.insert(UPGRADE, upgrade);
        }
        let added: Vec<_> = directives(context.directives()).collect();
        // On the heap, as the end below, since a tunnel may last long and say little.
        let switched = Box::pin(self.writer.switch(fields, &added, SEND_TIMEOUT)).await;
        let joined = match switched {
            Err(_) => Err(ForwarderError::UpgradeResponseClient),
            Ok(()) => self.join(destination).await,
        };
        match joined {
            Ok(()) => {
                let _ = Box::pin(self.writer.end(None, SEND_TIMEOUT)).await;
            }
            // RFC 8441 section 5: a connection that breaks resets the stream.
            Err(_) => self.writer.abort_tunnel(),
        }
        let given = Given::of(status, self.writer.bytes_sent());
        Passed::new(given, joined.err(), Reuse::No)
    }

    /// Joins the client, whose protocol has been switched, to the destination's connection.
    async fn join(&mut self, destination: Box<dyn Peer>) -> Result<(), ForwarderError> {
        let (reader, writer) = tokio::io::split(destination);
        // The route's timeout is off from here (reference A11.4).
        let activity = Activity::new(self.timeout, None);
        let mut to_destination = pin!(to_destination(&mut self.client, writer, &activity));
        let mut to_client = pin!(to_client(&mut self.writer, reader, &activity));
        let mut ceased = pin!(activity.ceased());
        let mut client_ended = false;
        poll_fn(|cx| {
            // The destination's end ends the tunnel; the client's end is passed on, and what the
            // destination still has to say is waited for.
            if let Poll::Ready(ended) = to_client.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if !client_ended && let Poll::Ready(ended) = to_destination.as_mut().poll(cx) {
                client_ended = true;
                if ended.is_err() {
                    return Poll::Ready(ended);
                }
            }
            let ceased = ceased.as_mut().poll(cx);
            ceased.map(|_| Err(ForwarderError::UpgradeActivityTimeout))
        })
        .await
    }
}

/// Passes on what the client says, until its end.
async fn to_destination(
    client: &mut RequestBody<'_>,
    mut destination: WriteHalf<Box<dyn Peer>>,
    activity: &Activity,
) -> Result<(), ForwarderError> {
    loop {
        let data = client.next_raw().await;
        let data = data.map_err(|error| match is_gone(&error) {
            true => ForwarderError::UpgradeRequestCanceled,
            false => ForwarderError::UpgradeRequestClient,
        })?;
        activity.happened();
        let Some(data) = data else {
            // That the destination does not take it is found where it is read from.
            let _ = destination.shutdown().await;
            return Ok(());
        };
        let written = destination.write_all(&data).await;
        written.map_err(|_| ForwarderError::UpgradeRequestDestination)?;
        activity.happened();
    }
}

/// Passes on what the destination says, until its end.
async fn to_client(
    client: &mut ResponseWriter<'_>,
    mut destination: ReadHalf<Box<dyn Peer>>,
    activity: &Activity,
) -> Result<(), ForwarderError> {
    loop {
        let received = poll_fn(|cx| {
            // A stream is reset, though its own direction may have ended before.
            if client.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(ForwarderError::UpgradeResponseClient));
            }
            let received = poll_received(&mut destination, cx);
            received.map_err(|_| ForwarderError::UpgradeResponseDestination)
        });
        let data = received.await?;
        if data.is_empty() {
            return Ok(());
        }
        activity.happened();
        let sent = client.raw(data, SEND_TIMEOUT).await;
        sent.map_err(|error| match error {
            WriteError::Client(error) if is_gone(&error) => ForwarderError::UpgradeResponseCanceled,
            _ => ForwarderError::UpgradeResponseClient,
        })?;
        activity.happened();
    }
}

/// What a destination says; nothing is its end. While it is silent there is no memory for it.
fn poll_received(
    destination: &mut ReadHalf<Box<dyn Peer>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    /// Up to here a copy is cheaper than the room that goes unused with it.
    const FEW: usize = 4 * 1024;
    let mut buffer = BytesMut::with_capacity(BUFFER);
    ready!(pin!(destination.read_buf(&mut buffer)).poll(cx))?;
    Poll::Ready(Ok(match buffer.len() <= FEW {
        true => Bytes::copy_from_slice(&buffer),
        false => buffer.freeze(),
    }))
}
