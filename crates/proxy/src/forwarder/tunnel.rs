//! After a protocol is switched: bytes both ways between client and destination, until one of them
//! ends.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::body::Activity;
use crate::client_side::{RequestBody, ResponseWriter, WriteError};
use crate::outcome::{ForwarderError, is_gone};

const BUFFER: usize = 64 * 1024;
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// Joins the client, whose protocol has been switched, to a destination's connection.
pub(super) async fn join(
    client: &mut RequestBody<'_>,
    writer: &mut ResponseWriter<'_>,
    destination: impl AsyncRead + AsyncWrite + Unpin,
    timeout: Option<Duration>,
) -> Option<ForwarderError> {
    let (mut reader, mut destination) = tokio::io::split(destination);
    // The route's timeout is off from here (reference A11.4).
    let activity = Activity::new(timeout, None);
    let to_destination = async {
        loop {
            let data = client.next_raw().await;
            let data = data.map_err(|error| match is_gone(&error) {
                true => ForwarderError::UpgradeRequestCanceled,
                false => ForwarderError::UpgradeRequestClient,
            })?;
            activity.happened();
            let written = match &data {
                Some(data) => destination.write_all(data).await,
                None => return Ok(destination.shutdown().await),
            };
            written.map_err(|_| ForwarderError::UpgradeRequestDestination)?;
            activity.happened();
        }
    };
    let to_client = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(BUFFER);
            let received = {
                let mut received = pin!(reader.read_buf(&mut buffer));
                poll_fn(|cx| {
                    // A stream is reset, though its own direction may have ended before.
                    if writer.poll_gone(cx).is_ready() {
                        return Poll::Ready(Err(ForwarderError::UpgradeResponseClient));
                    }
                    let received = received.as_mut().poll(cx);
                    received.map_err(|_| ForwarderError::UpgradeResponseDestination)
                })
                .await?
            };
            if received == 0 {
                return Ok(());
            }
            activity.happened();
            let data: Bytes = buffer.split().freeze();
            let sent = writer.raw(data, SEND_TIMEOUT).await;
            sent.map_err(|error| match error {
                WriteError::Client(error) if is_gone(&error) => {
                    ForwarderError::UpgradeResponseCanceled
                }
                _ => ForwarderError::UpgradeResponseClient,
            })?;
            activity.happened();
        }
    };
    let mut to_destination = pin!(to_destination);
    let mut to_client = pin!(to_client);
    let mut ceased = pin!(activity.ceased());
    let mut client_ended = false;
    poll_fn(|cx| {
        // The destination's end ends the tunnel; the client's end is passed on, and what the
        // destination still has to say is waited for.
        if let Poll::Ready(ended) = to_client.as_mut().poll(cx) {
            let ended: Result<(), ForwarderError> = ended;
            return Poll::Ready(ended.err());
        }
        if !client_ended && let Poll::Ready(ended) = to_destination.as_mut().poll(cx) {
            client_ended = true;
            if let Err(error) = ended {
                return Poll::Ready(Some(error));
            }
        }
        ceased
            .as_mut()
            .poll(cx)
            .map(|_| Some(ForwarderError::UpgradeActivityTimeout))
    })
    .await
}
