//! After a 101: bytes both ways between client and destination, until one of them ends.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ostler_delegation::entry::directives;
use ostler_http1::{BodyLength, RequestFacts, RequestHead, encode_response_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Forwarded;
use super::body::Activity;
use super::response::passed_fields;
use crate::client::{Client, READ};
use crate::connection::Connection;
use crate::context::ExchangeContext;
use crate::exchange::After;
use crate::outcome::ForwarderError;

const BUFFER: usize = 64 * 1024;
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// Sends the 101 on and joins the two connections.
pub(super) async fn join(
    connection: &mut Connection,
    head: &RequestHead,
    context: &ExchangeContext<'_>,
    mut response: http::Response<Incoming>,
    timeout: Option<Duration>,
) -> Forwarded {
    let upgrade = hyper::upgrade::on(&mut response);
    let (parts, _body) = response.into_parts();
    let status = parts.status;
    let protocol = parts.headers.get(UPGRADE).cloned();
    let transforms = context.transforms();
    let mut fields = passed_fields(transforms, status, parts.headers);
    if let Some(protocol) = protocol {
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(UPGRADE, protocol);
    }
    let mut out = Vec::with_capacity(512);
    let added: Vec<_> = directives(context.directives()).collect();
    let facts = RequestFacts::from(head);
    let date = crate::clock::date();
    encode_response_head(
        &mut out,
        facts,
        status,
        None,
        &fields,
        &added,
        BodyLength::Empty,
        &date,
    );
    let mut bytes_sent = out.len() as u64;
    let end = |bytes_sent, error| Forwarded {
        after: After::Close,
        status: status.as_u16(),
        bytes_sent,
        error,
    };
    if connection
        .client
        .send_all(&out, SEND_TIMEOUT)
        .await
        .is_err()
    {
        return end(0, Some(ForwarderError::Upgrade));
    }
    let Ok(upgraded) = upgrade.await else {
        return end(bytes_sent, Some(ForwarderError::UpgradeDestination));
    };
    let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
    // The route's timeout is off from here (reference 11.4).
    let activity = Activity::new(timeout, None);
    let ahead = std::mem::take(&mut connection.input);
    let client = &connection.client;
    let sent = std::cell::Cell::new(0);

    let at_client = |_: std::io::Error| ForwarderError::Upgrade;
    let at_destination = |_: std::io::Error| ForwarderError::UpgradeDestination;
    let to_destination = async {
        writer.write_all(&ahead).await.map_err(at_destination)?;
        let mut buffer = Vec::with_capacity(READ);
        loop {
            buffer.clear();
            let received = client.recv(&mut buffer, BUFFER).await.map_err(at_client)?;
            if received == 0 {
                return writer.shutdown().await.map_err(at_destination);
            }
            activity.happened();
            writer.write_all(&buffer).await.map_err(at_destination)?;
            activity.happened();
        }
    };
    let to_client = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let received = reader.read(&mut buffer).await.map_err(at_destination)?;
            if received == 0 {
                return Ok(());
            }
            activity.happened();
            send(client, &buffer[..received]).await.map_err(at_client)?;
            sent.set(sent.get() + received as u64);
            activity.happened();
        }
    };
    let mut to_destination = pin!(to_destination);
    let mut to_client = pin!(to_client);
    let mut ceased = pin!(activity.ceased());
    let mut client_ended = false;
    let error = poll_fn(|cx| {
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
    .await;
    bytes_sent += sent.get();
    end(bytes_sent, error)
}

async fn send(client: &Client, bytes: &[u8]) -> std::io::Result<()> {
    let mut pieces = [std::io::IoSlice::new(bytes)];
    client.send_registered(&mut pieces, SEND_TIMEOUT).await
}
