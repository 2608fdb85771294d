//! Writing an answer of the front's own to the client, as far as the client takes it.

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use ostler_http1::{
    BodyLength, RequestFacts, RequestHead, ResponseBody, Version, encode_response_head,
};

use super::{Answer, AnswerBody, Request, Then};
use crate::account::Given;
use crate::client_side::{AfterExchange, BodyRead, ClientSide, Head, ResponseWriter};
use crate::connection::Connection;
use crate::error_chain::Chain;
use crate::http2::Stream;

/// How long a client may take to accept a short answer.
const SHORT: Duration = Duration::from_secs(10);

/// How long a client may take no byte of a file.
const PATIENCE: Duration = Duration::from_secs(120);

/// Fields that come behind an answer's own.
type Added<'a> = [(&'a [u8], &'a [u8])];

/// An answer is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) after: AfterExchange,
    pub(super) given: Given,
}

impl Said {
    fn nothing() -> Self {
        Self {
            after: AfterExchange::Close,
            given: Given::NOTHING,
        }
    }
}

/// Says an answer, and `added` behind its fields.
pub(super) async fn say(
    client_side: &mut ClientSide<'_>,
    request: Request<'_>,
    answer: Answer,
    added: &Added<'_>,
) -> Said {
    match answer.connection {
        Then::Keep | Then::Close => {}
        Then::Silent => return Said::nothing(),
        Then::Reset => {
            client_side.reset();
            return Said::nothing();
        }
    }
    let keep = answer.connection == Then::Keep;
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.fields;
    match (answer.body, client_side) {
        (AnswerBody::Here(body), ClientSide::Http1(connection)) => {
            let response = response.map(|()| body);
            to_connection(connection, request, keep, response, added).await
        }
        (AnswerBody::Here(body), ClientSide::Http2(stream)) => {
            let response = response.map(|()| body);
            to_stream(stream, request, response, added).await
        }
        (AnswerBody::File(file), client_side) => {
            let response = response.map(|()| file);
            piece_by_piece(client_side, request, response, added).await
        }
    }
}

/// A short answer over HTTP/1.1, in one write.
async fn to_connection(
    connection: &mut Connection,
    request: Request<'_>,
    keep: bool,
    mut response: Response<Bytes>,
    added: &Added<'_>,
) -> Said {
    let (facts, unread) = match request {
        Request::Malformed => (facts_of_malformed(&connection.input), None),
        Request::Read(head, read) => {
            let unread = unread(connection, head, read).filter(|_| keep);
            let facts = RequestFacts::from(head);
            let keep_alive = facts.keep_alive && unread.is_some() && !connection.is_last(head);
            (
                RequestFacts {
                    keep_alive,
                    ..facts
                },
                unread,
            )
        }
    };
    state_length_of_nothing(facts, &mut response);
    let (parts, body) = response.into_parts();
    let mut bytes = Vec::with_capacity(256);
    let framing = encode_response_head(
        &mut bytes,
        facts,
        parts.status,
        None,
        &parts.headers,
        added,
        BodyLength::Known(body.len() as u64),
        &crate::clock::date(),
    );
    if framing.body != ResponseBody::None {
        bytes.extend_from_slice(&body);
    }
    if connection.client.send_all(&bytes, SHORT).await.is_err() {
        return Said {
            after: AfterExchange::Linger,
            given: Given::NOTHING,
        };
    }
    let given = Given::of(parts.status, bytes.len() as u64);
    let after = match unread {
        Some(unread) if framing.keep_alive => {
            connection.consume(unread);
            AfterExchange::Keep
        }
        _ => AfterExchange::Linger,
    };
    Said { after, given }
}

/// A short answer over HTTP/2.
async fn to_stream(
    stream: &mut Stream,
    request: Request<'_>,
    mut response: Response<Bytes>,
    added: &Added<'_>,
) -> Said {
    let none = RequestHead::default();
    let head = match request {
        Request::Read(head, _) => head,
        Request::Malformed => &none,
    };
    state_length_of_nothing(RequestFacts::from(head), &mut response);
    let status = response.status();
    let (_body, writer) = stream.halves(head);
    let mut writer = ResponseWriter::Http2(writer);
    let response = response.map(Full::new);
    let written = tokio::time::timeout(SHORT, write(&mut writer, response, added, true)).await;
    let after = match written {
        Ok(Ok(_)) => AfterExchange::Keep,
        _ => AfterExchange::Close,
    };
    let given = Given::of(status, writer.bytes_sent());
    Said { after, given }
}

/// An answer whose body comes piece by piece.
async fn piece_by_piece<B>(
    client_side: &mut ClientSide<'_>,
    request: Request<'_>,
    response: Response<B>,
    added: &Added<'_>,
) -> Said
where
    B: Body<Data = Bytes>,
    B::Error: Error + 'static,
{
    let Request::Read(head, read) = request else {
        return Said::nothing();
    };
    let unread = match client_side {
        ClientSide::Http1(connection) => unread(connection, head, read),
        ClientSide::Http2(_) => Some(0),
    };
    let status = response.status();
    let Some((_body, mut writer)) = client_side.halves(head) else {
        return Said::nothing();
    };
    let written = write(&mut writer, response, added, unread.is_some()).await;
    if let Err(error) = &written {
        tracing::debug!(error = %Chain(error.as_ref()), "a response breaks off");
        writer.abort();
    }
    let given = Given::of(status, writer.bytes_sent());
    drop(writer);
    let after = match (written, client_side) {
        (Err(_), client_side) => {
            client_side.cut_short();
            AfterExchange::Close
        }
        (Ok(true), ClientSide::Http1(connection)) => {
            connection.consume(unread.unwrap_or_default());
            AfterExchange::Keep
        }
        (Ok(false), ClientSide::Http1(_)) => AfterExchange::Linger,
        (Ok(_), ClientSide::Http2(_)) => AfterExchange::Close,
    };
    Said { after, given }
}

/// Writes a whole response. True when the connection may carry another request.
async fn write<B>(
    writer: &mut ResponseWriter<'_>,
    response: Response<B>,
    added: &Added<'_>,
    keep_alive: bool,
) -> Result<bool, Box<dyn Error>>
where
    B: Body<Data = Bytes>,
    B::Error: Error + 'static,
{
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
        added,
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

/// What is known of a request that could not be read, of which `input` is there: an answer to it
/// closes the connection.
fn facts_of_malformed(input: &[u8]) -> RequestFacts {
    let begins = input.trim_ascii_start();
    RequestFacts {
        // What follows the head of the answer would be the start of the next one to the client
        // (RFC 9110 section 9.3.2).
        is_head: begins.starts_with(b"HEAD "),
        is_connect: false,
        version: Version::Http11,
        keep_alive: false,
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

/// Kestrel tells a HEAD the length of its own empty 500, and of no other empty answer.
fn state_length_of_nothing(facts: RequestFacts, response: &mut Response<Bytes>) {
    let is_500 = response.status() == StatusCode::INTERNAL_SERVER_ERROR;
    if facts.is_head && is_500 && response.body().is_empty() {
        let fields: &mut HeaderMap = response.headers_mut();
        fields.insert(CONTENT_LENGTH, 0.into());
    }
}
