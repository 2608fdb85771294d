//! The client's side of an exchange, whatever its connection speaks.
//!
//! An exchange asks little of the server that read its head: who the client is, the request's body,
//! a response. HTTP/1.1 gives the whole connection to one exchange at a time; HTTP/2 gives it one of
//! many streams. Only the former can be given away, in clear text or with a kernel that encrypts: see
//! [`ClientSide::delegable`].

mod request_body;
mod response_writer;

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use http_body::Body;
use http_body_util::Full;
use ostler_delegation::control::ConnectionFacts;
use ostler_http1::{BodyLength, RequestFacts, RequestHead};

use request_body::Ahead;
pub(crate) use request_body::{BodyFailure, Piece, RequestBody};
pub(crate) use response_writer::{Head, ResponseWriter, WriteError};

use crate::client::Interest;
use crate::connection::{Connection, Watch};
use crate::connection_counts::Upgraded;
use crate::error_chain::Chain;
use crate::exchange::After;
use crate::http2::Stream;
use crate::queues::RelayPlaces;
use crate::tls::ClientFacts;
use crate::worker::Worker;

/// How long a client may take to accept an answer of the front's own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The client, as an exchange sees it: whoever waits for the response.
#[derive(Debug)]
pub(crate) enum ClientSide<'c> {
    /// A connection, for as long as the exchange lasts.
    Http1(&'c mut Connection),
    /// A stream of a connection.
    Http2(&'c mut Stream),
}

/// How much of the request's body has been read when the front answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRead {
    Nothing,
    Part,
    Whole,
}

/// An answer of the front's own is over.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(crate) struct Answered {
    /// What becomes of the connection.
    pub(crate) after: After,
    /// Its status; 0 where the client got nothing of it.
    pub(crate) status: u16,
    /// Bytes of it given to the client, head included.
    pub(crate) bytes_sent: u64,
}

impl Answered {
    fn new(after: After, status: StatusCode, bytes_sent: u64) -> Self {
        let status = match bytes_sent {
            0 => 0,
            _ => status.as_u16(),
        };
        Self {
            after,
            status,
            bytes_sent,
        }
    }
}

impl ClientSide<'_> {
    pub(crate) fn worker(&self) -> &Rc<Worker> {
        match self {
            Self::Http1(connection) => &connection.worker,
            Self::Http2(stream) => stream.worker(),
        }
    }

    /// What the worker knows of the connection.
    pub(crate) fn watch(&self) -> &Rc<Watch> {
        match self {
            Self::Http1(connection) => &connection.watch,
            Self::Http2(stream) => stream.watch(),
        }
    }

    /// Counts an upgrade; `None` when there are as many as may be.
    pub(crate) fn upgrade<'w>(&self, watch: &'w Watch) -> Option<Upgraded<'w>> {
        let most = self.worker().limits().max_concurrent_upgraded_connections;
        match self {
            Self::Http1(_) => watch.counted.upgrade(most),
            Self::Http2(_) => watch.counted.upgrade_stream(most),
        }
    }

    /// The client's connection.
    pub(crate) fn client_facts(&self) -> &ClientFacts {
        match self {
            Self::Http1(connection) => connection.client.client_facts(),
            Self::Http2(stream) => stream.facts(),
        }
    }

    /// The two ends of it.
    pub(crate) fn facts(&self) -> &ConnectionFacts {
        &self.client_facts().connection
    }

    pub(crate) fn is_https(&self) -> bool {
        self.client_facts().is_https()
    }

    /// What was being said to the client is not whole, and the end of its connection is to show it.
    pub(crate) fn cut_short(&self) {
        if let Self::Http1(connection) = self {
            connection.client.cut_short();
        }
    }

    /// What the client speaks.
    pub(crate) fn version(&self, head: &RequestHead) -> http::Version {
        match (self, head.version()) {
            (Self::Http2(_), _) => http::Version::HTTP_2,
            (Self::Http1(_), ostler_http1::Version::Http11) => http::Version::HTTP_11,
            (Self::Http1(_), ostler_http1::Version::Http10) => http::Version::HTTP_10,
        }
    }

    /// The connections to relayed targets that were opened for this client.
    pub(crate) fn relays(&self) -> &RelayPlaces {
        match self {
            Self::Http1(connection) => &connection.relays,
            Self::Http2(stream) => stream.relays(),
        }
    }

    /// The connection, if it can be given to another process: what the client says and hears next is
    /// this exchange and nothing else, in clear text or in records that the kernel writes.
    pub(crate) fn delegable(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Http1(connection) => match connection.client.plain_fd() {
                Some(_) => Some(connection),
                None => None,
            },
            Self::Http2(_) => None,
        }
    }

    /// The request's body and the response: two directions, each with its own pace. `None` when the
    /// client is gone.
    pub(crate) fn halves(
        &mut self,
        head: &RequestHead,
    ) -> Option<(RequestBody<'_>, ResponseWriter<'_>)> {
        match self {
            Self::Http1(connection) => {
                let has_more = connection.has_more(head);
                let client = &mut connection.client;
                client.set_interest(Interest::ReadsAndWrites).ok()?;
                let client = &connection.client;
                let body = request_body::Http1Body::new(
                    head,
                    client,
                    &connection.watch.data_rates,
                    &mut connection.input,
                    &mut connection.read_closed,
                );
                let ending = connection.watch.counted.ending();
                let response = response_writer::Http1Response::new(head, client, ending, has_more);
                Some((RequestBody::Http1(body), ResponseWriter::Http1(response)))
            }
            Self::Http2(stream) => {
                let (body, response) = stream.halves(head);
                Some((RequestBody::Http2(body), ResponseWriter::Http2(response)))
            }
        }
    }

    /// Completes when the client is gone. What it sends ahead is kept meanwhile.
    pub(crate) async fn gone(&mut self) {
        match self {
            Self::Http1(connection) => {
                let client = &mut connection.client;
                let (input, read_closed) = (&mut connection.input, &mut connection.read_closed);
                if !*read_closed && client.set_interest(Interest::Reads).is_err() {
                    return;
                }
                if let Ahead::Gone = request_body::read_ahead(client, input, read_closed).await {
                    return;
                }
                // What it says next stays with it; that it breaks is told all the same.
                if client.set_interest(Interest::Breaks).is_ok() {
                    client.broken().await;
                }
            }
            Self::Http2(stream) => stream.gone().await,
        }
    }

    /// Completes when the connection breaks or the stream is reset. A client that only ends its own
    /// direction is not gone by that.
    pub(crate) async fn broken(&mut self) {
        match self {
            Self::Http1(connection) => {
                if connection.client.set_interest(Interest::Breaks).is_ok() {
                    connection.client.broken().await;
                }
            }
            Self::Http2(stream) => stream.gone().await,
        }
    }

    /// Answers here, without a destination. The connection stays open (it need not suffer for a
    /// routing error) unless a body is under way that nobody will read.
    pub(crate) async fn answer(
        &mut self,
        head: &RequestHead,
        read: BodyRead,
        status: StatusCode,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Answered {
        let fields = &*with_length_for_head(head, status, fields, body);
        let connection = match self {
            Self::Http1(connection) => connection,
            Self::Http2(stream) => {
                return answer_stream(stream, head, status, fields, body).await;
            }
        };
        let unread = unread(connection, head, read);
        let facts = RequestFacts::from(head);
        let facts = RequestFacts {
            keep_alive: facts.keep_alive && unread.is_some() && !connection.is_last(head),
            ..facts
        };
        let sent = crate::respond::respond(connection, facts, status, fields, body).await;
        let after = match sent.keep {
            true => After::Keep,
            false => After::Linger,
        };
        if sent.keep {
            connection.consume(unread.unwrap_or_default());
        }
        Answered::new(after, status, sent.bytes)
    }

    /// Answers here with a body that comes piece by piece, before anything of the request's own body
    /// has been read.
    pub(crate) async fn answer_with<B>(
        &mut self,
        head: &RequestHead,
        response: http::Response<B>,
    ) -> Answered
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + 'static,
    {
        let unread = match self {
            Self::Http1(connection) => unread(connection, head, BodyRead::Nothing),
            Self::Http2(_) => Some(0),
        };
        let keep_alive = unread.is_some();
        let status = response.status();
        let Some((_body, mut writer)) = self.halves(head) else {
            return Answered::new(After::Close, status, 0);
        };
        let kept = match write(&mut writer, response, keep_alive).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::debug!(error = %Chain(error.as_ref()), "a response breaks off");
                writer.abort();
                let sent = writer.bytes_sent();
                drop(writer);
                self.cut_short();
                return Answered::new(After::Close, status, sent);
            }
        };
        let sent = writer.bytes_sent();
        drop(writer);
        let after = match self {
            Self::Http1(connection) if kept => {
                connection.consume(unread.unwrap_or_default());
                After::Keep
            }
            Self::Http1(_) => After::Linger,
            Self::Http2(_) => After::Close,
        };
        Answered::new(after, status, sent)
    }

    /// What becomes of the connection behind a response; `whole` is whether the request's body has
    /// been read to its end.
    pub(crate) fn after_response(&self, keep_alive: bool, whole: bool) -> After {
        match self {
            Self::Http1(connection) if keep_alive && !connection.read_closed_and_empty() => {
                After::Keep
            }
            Self::Http1(_) if !whole => After::Linger,
            Self::Http1(_) | Self::Http2(_) => After::Close,
        }
    }

    /// Answers that no more can be taken now; `text` says why. The connection ends.
    pub(crate) async fn refuse(
        &mut self,
        head: &RequestHead,
        status: StatusCode,
        text: &str,
    ) -> Answered {
        match self {
            Self::Http1(connection) => {
                let facts = RequestFacts::from(head);
                let sent = crate::respond::refuse(connection, facts, status, text).await;
                Answered::new(After::Linger, status, sent.bytes)
            }
            Self::Http2(stream) => {
                let fields = [("content-type", "text/plain")];
                let fields = if text.is_empty() { &[][..] } else { &fields };
                let answered = answer_stream(stream, head, status, fields, text.as_bytes());
                Answered {
                    after: After::Close,
                    ..answered.await
                }
            }
        }
    }

    /// Ends the exchange without a word.
    pub(crate) fn reset(&mut self) -> Answered {
        match self {
            Self::Http1(connection) => connection.client.reset(),
            Self::Http2(stream) => stream.refuse(),
        }
        Answered {
            after: After::Close,
            status: 0,
            bytes_sent: 0,
        }
    }
}

/// How many of the bytes that have arrived are left of the request's body, where all of it is there:
/// then the connection can go on behind them.
fn unread(connection: &Connection, head: &RequestHead, read: BodyRead) -> Option<usize> {
    match read {
        BodyRead::Whole => Some(0),
        BodyRead::Nothing => connection.whole_body(head.framing()),
        BodyRead::Part => None,
    }
}

/// Writes a whole response. True when the connection may carry another request.
async fn write<B>(
    writer: &mut ResponseWriter<'_>,
    response: http::Response<B>,
    keep_alive: bool,
) -> Result<bool, Box<dyn std::error::Error>>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + 'static,
{
    /// How long a client may take no byte.
    const PATIENCE: Duration = Duration::from_secs(120);
    let (parts, body) = response.into_parts();
    let mut body = pin!(body);
    let length = match body.size_hint().exact() {
        Some(length) => BodyLength::Known(length),
        None => BodyLength::Unknown,
    };
    let may_follow = writer.head(Head {
        status: parts.status,
        reason: None,
        fields: parts.headers,
        added: &[],
        length,
        keep_alive,
    });
    if may_follow {
        loop {
            let frame = poll_fn(|cx| match writer.poll_gone(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => body.as_mut().poll_frame(cx),
            });
            let Some(frame) = frame.await else { break };
            if let Ok(data) = frame?.into_data()
                && !data.is_empty()
            {
                writer.data(data, PATIENCE).await?;
            }
        }
    }
    Ok(writer.end(None, PATIENCE).await?)
}

/// Kestrel tells a HEAD the length of its own empty 500, and of no other empty answer.
fn with_length_for_head<'f, 'v>(
    head: &RequestHead,
    status: StatusCode,
    fields: &'f [(&'v str, &'v str)],
    body: &[u8],
) -> Cow<'f, [(&'v str, &'v str)]> {
    let told = head.is_head() && status == StatusCode::INTERNAL_SERVER_ERROR && body.is_empty();
    match told {
        false => Cow::Borrowed(fields),
        true => Cow::Owned([fields, &[("content-length", "0")]].concat()),
    }
}

async fn answer_stream(
    stream: &mut Stream,
    head: &RequestHead,
    status: StatusCode,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Answered {
    let mut response = http::Response::new(Full::new(Bytes::copy_from_slice(body)));
    *response.status_mut() = status;
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            response.headers_mut().append(name, value);
        }
    }
    let (_body, writer) = stream.halves(head);
    let mut writer = ResponseWriter::Http2(writer);
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, write(&mut writer, response, true));
    let after = match answered.await {
        Ok(Ok(_)) => After::Keep,
        _ => After::Close,
    };
    Answered::new(after, status, writer.bytes_sent())
}
