//! A response on its way to the client: interim ones, a head, a body piece by piece, an end.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ostler_http1::{
    BodyEncoder, BodyLength, RequestFacts, RequestHead, ResponseBody, encode_response_head,
};

use super::response_head::{Head, WriteError};
use crate::client_socket::ClientSocket;
use crate::http2;

/// Writes one response.
///
/// The head is not sent before [`data`](Self::data), [`flush`](Self::flush) or [`end`](Self::end),
/// so that a failure until then can still be answered.
#[derive(Debug)]
pub(crate) enum ResponseWriter<'c> {
    Http1(Http1Response<'c>),
    Http2(http2::StreamResponse<'c>),
}

impl ResponseWriter<'_> {
    /// Sends an interim response (RFC 9110 section 15.2) if the client can take it.
    pub(crate) async fn interim(
        &mut self,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<(), WriteError> {
        match self {
            Self::Http1(response) => response.interim(status, fields).await,
            Self::Http2(response) => response.interim(status, fields),
        }
    }

    /// Says what the head is. True when a body may follow.
    pub(crate) fn head(&mut self, head: Head<'_>) -> bool {
        match self {
            Self::Http1(response) => response.head(head),
            Self::Http2(response) => response.head(head),
        }
    }

    /// Whether the client may have something of the response: from the moment its first byte is
    /// tried, whether the connection takes it or not, nothing else can be said in its place.
    pub(crate) fn is_begun(&self) -> bool {
        match self {
            Self::Http1(response) => response.begun,
            Self::Http2(response) => response.is_begun(),
        }
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        match self {
            Self::Http1(response) => response.bytes_sent,
            Self::Http2(response) => response.bytes_sent(),
        }
    }

    /// Sends the head, if it has not been.
    pub(crate) async fn flush(&mut self, timeout: Duration) -> Result<(), WriteError> {
        match self {
            Self::Http1(response) => response.send(Bytes::new(), b"", timeout).await,
            Self::Http2(response) => response.flush(),
        }
    }

    /// Sends a piece of the body, which is not empty, and waits until the client's connection has
    /// taken it, or fails when it takes nothing for `timeout`.
    pub(crate) async fn data(&mut self, data: Bytes, timeout: Duration) -> Result<(), WriteError> {
        match self {
            Self::Http1(response) => response.data(data, timeout).await,
            Self::Http2(response) => match tokio::time::timeout(timeout, response.data(data)).await
            {
                Ok(sent) => sent,
                Err(_elapsed) => Err(WriteError::Client(io::ErrorKind::TimedOut.into())),
            },
        }
    }

    /// The same for a piece that nothing but trailers and the end come behind: over HTTP/1.1 it goes
    /// out with them, in one write.
    pub(crate) async fn last(&mut self, data: Bytes, timeout: Duration) -> Result<(), WriteError> {
        match self {
            Self::Http1(response) => response.hold(data),
            Self::Http2(_) => self.data(data, timeout).await,
        }
    }

    /// Ends the response. True when the connection may carry another request.
    pub(crate) async fn end(
        &mut self,
        trailers: Option<HeaderMap>,
        timeout: Duration,
    ) -> Result<bool, WriteError> {
        match self {
            Self::Http1(response) => response.end(trailers, timeout).await,
            Self::Http2(response) => response.end(trailers).map(|()| true),
        }
    }

    /// Cuts off a response that has begun, so that the client does not take it for whole.
    pub(crate) fn abort(&mut self) {
        match self {
            // Closing is what says it.
            Self::Http1(_) => {}
            Self::Http2(response) => response.abort(h2::Reason::INTERNAL_ERROR),
        }
    }

    /// The same for a tunnel whose other side breaks (RFC 8441 section 5).
    pub(crate) fn abort_tunnel(&mut self) {
        match self {
            Self::Http1(_) => {}
            Self::Http2(response) => response.abort(h2::Reason::CANCEL),
        }
    }

    /// Switches the protocol: what follows is [`raw`](Self::raw).
    pub(crate) async fn switch(
        &mut self,
        fields: HeaderMap,
        added: &[(&[u8], &[u8])],
        timeout: Duration,
    ) -> Result<(), WriteError> {
        let head = Head {
            status: StatusCode::SWITCHING_PROTOCOLS,
            reason: None,
            fields,
            added,
            length: BodyLength::Unknown,
            keep_alive: true,
        };
        match self {
            Self::Http1(response) => {
                response.head(head);
                response.send(Bytes::new(), b"", timeout).await
            }
            // RFC 8441 section 5: a stream that is accepted stays open.
            Self::Http2(response) => {
                response.accept();
                response.head(Head {
                    status: StatusCode::OK,
                    ..head
                });
                response.flush()
            }
        }
    }

    /// Sends bytes of the protocol that has been switched to.
    pub(crate) async fn raw(&mut self, data: Bytes, timeout: Duration) -> Result<(), WriteError> {
        match self {
            Self::Http1(response) => response.send(data, b"", timeout).await,
            Self::Http2(_) => self.data(data, timeout).await,
        }
    }

    /// Ready when the client has taken back its request: only a stream says so here, of a connection
    /// the request's body tells.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(_) => Poll::Pending,
            Self::Http2(response) => response.poll_gone(cx),
        }
    }
}

/// A response in the bytes of an HTTP/1.1 connection.
#[derive(Debug)]
pub(crate) struct Http1Response<'c> {
    client: &'c ClientSocket,
    /// Whether the connection is to end with the exchange it is in.
    ending: &'c Cell<bool>,
    facts: RequestFacts,
    /// Bytes of a further request are here.
    has_more: bool,
    /// Encoded and not sent.
    out: Vec<u8>,
    encoder: BodyEncoder,
    /// The last piece of the body, and what goes behind it.
    held: Option<(Bytes, &'static [u8])>,
    keep_alive: bool,
    /// The first byte has been tried.
    begun: bool,
    bytes_sent: u64,
}

impl<'c> Http1Response<'c> {
    pub(super) fn new(
        head: &RequestHead,
        client: &'c ClientSocket,
        ending: &'c Cell<bool>,
        has_more: bool,
    ) -> Self {
        Self {
            client,
            ending,
            has_more,
            facts: RequestFacts::from(head),
            out: Vec::new(),
            encoder: BodyEncoder::new(ResponseBody::None),
            held: None,
            keep_alive: false,
            begun: false,
            bytes_sent: 0,
        }
    }

    async fn interim(&self, status: StatusCode, fields: &HeaderMap) -> Result<(), WriteError> {
        // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
        if self.facts.version == ostler_http1::Version::Http10 {
            return Ok(());
        }
        let mut out = Vec::with_capacity(256);
        self.encode(&mut out, status, None, fields, &[], BodyLength::Empty);
        let mut pieces = [IoSlice::new(&out)];
        self.client
            .send_registered(&mut pieces, INTERIM_TIMEOUT)
            .await
            .map_err(WriteError::Client)
    }

    fn head(&mut self, head: Head<'_>) -> bool {
        let is_last = self.ending.get() && !self.has_more;
        self.facts.keep_alive &= head.keep_alive && !is_last;
        let mut out = std::mem::take(&mut self.out);
        out.reserve(1024);
        let framing = self.encode(
            &mut out,
            head.status,
            head.reason,
            &head.fields,
            head.added,
            head.length,
        );
        self.out = out;
        self.keep_alive = framing.keep_alive;
        self.encoder = BodyEncoder::new(framing.body);
        framing.body != ResponseBody::None
    }

    fn encode(
        &self,
        out: &mut Vec<u8>,
        status: StatusCode,
        reason: Option<&str>,
        fields: &HeaderMap,
        added: &[(&[u8], &[u8])],
        length: BodyLength,
    ) -> ostler_http1::ResponseFraming {
        let date = crate::clock::date();
        encode_response_head(
            out, self.facts, status, reason, fields, added, length, &date,
        )
    }

    async fn data(&mut self, data: Bytes, timeout: Duration) -> Result<(), WriteError> {
        let suffix = self.encoder.begin_data(data.len(), &mut self.out)?;
        self.send(data, suffix, timeout).await
    }

    async fn end(
        &mut self,
        trailers: Option<HeaderMap>,
        timeout: Duration,
    ) -> Result<bool, WriteError> {
        match self.held.take() {
            None => {
                self.encoder.finish(trailers.as_ref(), &mut self.out)?;
                self.send(Bytes::new(), b"", timeout).await?;
            }
            Some((data, behind)) => {
                let mut behind = behind.to_vec();
                self.encoder.finish(trailers.as_ref(), &mut behind)?;
                self.send(data, &behind, timeout).await?;
            }
        }
        Ok(self.keep_alive)
    }

    fn hold(&mut self, data: Bytes) -> Result<(), WriteError> {
        let behind = self.encoder.begin_data(data.len(), &mut self.out)?;
        self.held = Some((data, behind));
        Ok(())
    }

    async fn send(
        &mut self,
        data: Bytes,
        suffix: &[u8],
        timeout: Duration,
    ) -> Result<(), WriteError> {
        let total = self.out.len() + data.len() + suffix.len();
        if total == 0 {
            return Ok(());
        }
        // Whoever waits for this may give it up in the middle.
        self.begun = true;
        let mut pieces = [&self.out[..], &data[..], suffix].map(IoSlice::new);
        self.client
            .send_half(&mut pieces, timeout, &mut self.bytes_sent)
            .await
            .map_err(WriteError::Client)?;
        self.out.clear();
        Ok(())
    }
}

/// How long an interim response may wait for room.
const INTERIM_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
