//! Answers of the front's own.

use std::time::Duration;

use http::StatusCode;
use ostler_http1::{RequestFacts, encode_simple_response};

use crate::connection::Connection;

/// How long a client may take to accept an answer of the front's own.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A short response has been sent, as far as the client takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Its bytes, head included; 0 where the client is gone.
    pub(crate) bytes: u64,
    /// The connection can carry another request.
    pub(crate) keep: bool,
}

/// Sends a short response.
pub(crate) async fn respond(
    connection: &mut Connection,
    facts: RequestFacts,
    status: StatusCode,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Sent {
    let mut bytes = Vec::with_capacity(256);
    encode_simple_response(
        &mut bytes,
        facts,
        status,
        fields,
        body,
        &crate::clock::date(),
    );
    match connection.client.send_all(&bytes, SEND_TIMEOUT).await {
        Ok(()) => Sent {
            bytes: bytes.len() as u64,
            keep: facts.keep_alive,
        },
        Err(_) => Sent {
            bytes: 0,
            keep: false,
        },
    }
}

/// Sends a short response that is the connection's last.
pub(crate) async fn refuse(
    connection: &mut Connection,
    facts: RequestFacts,
    status: StatusCode,
    text: &str,
) -> Sent {
    let facts = RequestFacts {
        keep_alive: false,
        ..facts
    };
    let fields = if text.is_empty() {
        &[][..]
    } else {
        &[("Content-Type", "text/plain")][..]
    };
    respond(connection, facts, status, fields, text.as_bytes()).await
}
