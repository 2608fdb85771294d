//! HTTP in clear text where TLS is spoken: somebody has forgotten the s, and is told so.

use std::time::Duration;

use http::StatusCode;
use ostler_http1::{RequestFacts, Version, encode_simple_response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::account::{Account, Given};
use crate::reason::Reason;

const TEXT: &[u8] = b"This port speaks https, and the request was sent by http.\n";

/// How long the client may take to read it and go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a connection begins as a request does. No record of TLS begins with a letter.
pub(super) async fn is_spoken(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase()
}

/// Answers, and closes when the client has: a socket closed with bytes unread is reset, and the answer
/// lost.
pub(super) async fn answer(mut stream: TcpStream, mut account: Account) {
    let status = StatusCode::BAD_REQUEST;
    let mut given = Given::NOTHING;
    let answered = async {
        let mut bytes = vec![0; 16 * 1024];
        let read = stream.read(&mut bytes).await?;
        account.is_malformed(&bytes[..read]);
        let facts = RequestFacts {
            is_head: bytes[..read].starts_with(b"HEAD "),
            is_connect: false,
            version: Version::Http11,
            keep_alive: false,
        };
        let mut answer = Vec::with_capacity(256);
        encode_simple_response(
            &mut answer,
            facts,
            status,
            &[("Content-Type", "text/plain")],
            TEXT,
            &crate::clock::date(),
        );
        stream.write_all(&answer).await?;
        given = Given::of(status, answer.len() as u64);
        stream.shutdown().await?;
        while stream.read(&mut bytes).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whatever fails, or takes too long, ends with the connection.
    let _ = tokio::time::timeout(PATIENCE, answered).await;
    account.because(Reason::Malformed);
    account.close(given, None);
}
