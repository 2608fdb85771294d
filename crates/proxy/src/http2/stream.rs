//! A stream: the client's side of one exchange.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use ostler_http1::{
    BodyEncoder, BodyLength, RequestHead, ResponseBody, is_set_once, stated_length,
};

use super::shared::Http2Connection;
use crate::client_side::{BodyFailure, Head, Piece, WriteError};
use crate::data_rates::DataRates;
use crate::linger;
use crate::queues::RelayPlaces;
use crate::tls::ClientFacts;
use crate::watch::Watch;
use crate::worker::Worker;

/// A stream that a client has opened with a request.
#[derive(Debug)]
pub(crate) struct Stream {
    connection: Rc<Http2Connection>,
    body: RecvStream,
    response: SendResponse<Bytes>,
    taken_back: Cell<bool>,
    /// Who the client is said to be, where it is not the connection's.
    pub(crate) claimed: Option<Box<ClientFacts>>,
}

impl Stream {
    pub(super) fn new(
        connection: &Rc<Http2Connection>,
        body: RecvStream,
        response: SendResponse<Bytes>,
    ) -> Self {
        Self {
            connection: Rc::clone(connection),
            body,
            response,
            taken_back: Cell::new(false),
            claimed: None,
        }
    }

    /// Whether the client has been seen to reset it.
    pub(super) fn is_taken_back(&self) -> bool {
        self.taken_back.get()
    }

    pub(crate) fn worker(&self) -> &Rc<Worker> {
        &self.connection.worker
    }

    pub(crate) fn watch(&self) -> &Rc<Watch> {
        &self.connection.watch
    }

    pub(crate) fn facts(&self) -> &ClientFacts {
        self.claimed.as_deref().unwrap_or(&self.connection.facts)
    }

    pub(crate) fn relays(&self) -> &RelayPlaces {
        &self.connection.relays
    }

    pub(crate) fn halves(&mut self, head: &RequestHead) -> (StreamBody<'_>, StreamResponse<'_>) {
        let body = StreamBody {
            body: &mut self.body,
            taken_back: &self.taken_back,
            ahead: None,
            data_ended: false,
            ended: false,
        };
        let response = StreamResponse {
            response: &mut self.response,
            taken_back: &self.taken_back,
            rates: &self.connection.watch.data_rates,
            stream: None,
            head: None,
            may_not_accept: head.upgrade().is_some(),
            is_head: head.is_head(),
            encoder: BodyEncoder::new(ResponseBody::None),
            begun: false,
            bytes_sent: 0,
        };
        (body, response)
    }

    /// Completes when the client takes the request back, or its connection breaks.
    pub(crate) async fn gone(&mut self) {
        let _ = poll_fn(|cx| self.response.poll_reset(cx)).await;
        self.taken_back.set(true);
    }

    /// Takes in for a while what is still to come of a body that nobody needs any more, as an
    /// HTTP/1.1 connection does: the reset that follows (RFC 9113 section 8.1) makes some clients
    /// forget the response.
    pub(super) async fn linger(&mut self) {
        /// Here the reset says that the rest is not wanted, so it need not be as long.
        const LONGEST: Duration = Duration::from_secs(5);
        let body = &mut self.body;
        linger::discard(LONGEST, async || match body.data().await {
            Some(Ok(data)) => {
                let _ = body.flow_control().release_capacity(data.len());
                true
            }
            _ => false,
        })
        .await;
    }

    /// The client may try again elsewhere: nothing has been done (RFC 9113 section 8.7).
    pub(crate) fn refuse(&mut self) {
        self.response.send_reset(Reason::REFUSED_STREAM);
    }
}

/// The request's body. The client may send as much more as has been read here.
#[derive(Debug)]
pub(crate) struct StreamBody<'c> {
    body: &'c mut RecvStream,
    taken_back: &'c Cell<bool>,
    /// What has been received before anybody asked.
    ahead: Option<Result<Bytes, h2::Error>>,
    data_ended: bool,
    ended: bool,
}

impl StreamBody<'_> {
    pub(crate) fn is_end(&self) -> bool {
        self.ended || (self.ahead.is_none() && self.body.is_end_stream())
    }

    /// Completes when something of it arrives, which is kept.
    pub(crate) async fn arrives(&mut self) {
        if self.ahead.is_none() && !self.is_end() {
            self.ahead = poll_fn(|cx| self.body.poll_data(cx)).await;
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Piece, BodyFailure> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, BodyFailure>> {
        while !self.data_ended {
            let next = match self.ahead.take() {
                Some(ahead) => Some(ahead),
                None => ready!(self.body.poll_data(cx)),
            };
            match next {
                Some(Ok(data)) => {
                    let released = self.body.flow_control().release_capacity(data.len());
                    if released.is_err() {
                        return Poll::Ready(Err(BodyFailure::Gone));
                    }
                    if !data.is_empty() {
                        return Poll::Ready(Ok(Piece::Data(data)));
                    }
                }
                Some(Err(_)) => {
                    self.taken_back.set(true);
                    return Poll::Ready(Err(BodyFailure::Gone));
                }
                None => self.data_ended = true,
            }
        }
        if self.ended {
            return Poll::Ready(Ok(Piece::End));
        }
        let trailers = ready!(self.body.poll_trailers(cx));
        self.ended = true;
        Poll::Ready(match trailers {
            Ok(Some(trailers)) => Ok(Piece::Trailers(trailers)),
            Ok(None) => Ok(Piece::End),
            Err(_) => Err(BodyFailure::Gone),
        })
    }
}

/// The response.
#[derive(Debug)]
pub(crate) struct StreamResponse<'c> {
    response: &'c mut SendResponse<Bytes>,
    taken_back: &'c Cell<bool>,
    rates: &'c DataRates,
    stream: Option<SendStream<Bytes>>,
    /// Said and not sent.
    head: Option<Response<()>>,
    /// The client asks to switch the protocol, which any 2xx would say is done (RFC 8441 section 5).
    may_not_accept: bool,
    is_head: bool,
    /// Holds the body to its length.
    encoder: BodyEncoder,
    /// The head has been given to the connection.
    begun: bool,
    bytes_sent: u64,
}

impl StreamResponse<'_> {
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    pub(crate) fn is_begun(&self) -> bool {
        self.begun
    }

    pub(crate) fn interim(
        &mut self,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<(), WriteError> {
        let mut interim = Response::new(());
        *interim.status_mut() = status;
        *interim.headers_mut() = fields.clone();
        remove_connection_fields(interim.headers_mut());
        self.response
            .send_informational(interim)
            .map_err(client_error)
    }

    /// What follows is the protocol that the client has asked to switch to.
    pub(crate) fn accept(&mut self) {
        self.may_not_accept = false;
    }

    pub(crate) fn head(&mut self, mut head: Head<'_>) -> bool {
        let refuses = self.may_not_accept && head.status.is_success();
        if refuses {
            head.status = StatusCode::BAD_GATEWAY;
            head.fields = HeaderMap::new();
            head.length = BodyLength::Empty;
        }
        let Head { status, length, .. } = head;
        let mut fields = head.fields;
        remove_connection_fields(&mut fields);
        for (name, value) in head.added {
            add(&mut fields, name, value);
        }
        if !fields.contains_key(header::DATE)
            && let Ok(date) = HeaderValue::from_bytes(&crate::clock::date())
        {
            fields.insert(header::DATE, date);
        }
        let none =
            self.is_head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        let body = match length {
            _ if none => ResponseBody::None,
            // RFC 9110 section 15.3.6.
            _ if status == StatusCode::RESET_CONTENT => ResponseBody::Length(0),
            BodyLength::Empty => ResponseBody::Length(0),
            BodyLength::Known(length) => ResponseBody::Length(length),
            BodyLength::Unknown => match stated_length(&fields) {
                Some(length) => ResponseBody::Length(length),
                None => ResponseBody::UntilClose,
            },
        };
        match body {
            ResponseBody::Length(length) => {
                fields.insert(header::CONTENT_LENGTH, length.into());
            }
            ResponseBody::None if status == StatusCode::NO_CONTENT => {
                fields.remove(header::CONTENT_LENGTH);
            }
            ResponseBody::None => {}
            _ => {
                fields.remove(header::CONTENT_LENGTH);
            }
        }
        self.encoder = BodyEncoder::new(body);
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        self.head = Some(response);
        body != ResponseBody::None && !refuses
    }

    pub(crate) fn flush(&mut self) -> Result<(), WriteError> {
        self.send_head(false)
    }

    fn send_head(&mut self, ends: bool) -> Result<(), WriteError> {
        let Some(head) = self.head.take() else {
            return Ok(());
        };
        // What goes over the wire depends on the compression's state: this is what it says.
        let fields = head.headers().iter();
        let bytes: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        self.bytes_sent += bytes as u64 + 1;
        self.begun = true;
        let stream = self.response.send_response(head, ends);
        self.stream = Some(stream.map_err(client_error)?);
        Ok(())
    }

    pub(crate) async fn data(&mut self, mut data: Bytes) -> Result<(), WriteError> {
        self.encoder.begin_data(data.len(), &mut Vec::new())?;
        self.send_head(false)?;
        let Some(stream) = &mut self.stream else {
            return Err(WriteError::Client(io::ErrorKind::NotConnected.into()));
        };
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            let mut waits = None;
            let room = poll_fn(|cx| {
                let room = poll_room(stream, cx);
                if room.is_pending() {
                    waits.get_or_insert_with(|| self.rates.awaits_window());
                }
                room
            });
            let room = room.await?;
            let piece = data.split_to(room.min(data.len()));
            self.rates.window_passed(piece.len());
            self.bytes_sent += piece.len() as u64;
            stream.send_data(piece, false).map_err(client_error)?;
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), WriteError> {
        self.encoder.finish(None, &mut Vec::new())?;
        let trailers = trailers.filter(|trailers| !trailers.is_empty());
        if self.head.is_some() {
            self.send_head(trailers.is_none())?;
            if trailers.is_none() {
                return Ok(());
            }
        }
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        match trailers {
            Some(mut trailers) => {
                remove_connection_fields(&mut trailers);
                stream.send_trailers(trailers)
            }
            None => stream.send_data(Bytes::new(), true),
        }
        .map_err(client_error)
    }

    pub(crate) fn abort(&mut self, reason: Reason) {
        match &mut self.stream {
            Some(stream) => stream.send_reset(reason),
            None => self.response.send_reset(reason),
        }
    }

    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let reset = match &mut self.stream {
            Some(stream) => stream.poll_reset(cx),
            None => self.response.poll_reset(cx),
        };
        reset.map(|_why| self.taken_back.set(true))
    }
}

/// Bytes that the client's window has room for.
fn poll_room(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, WriteError>> {
    loop {
        let room = stream.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(client_error(error))),
            None => {
                let gone = io::ErrorKind::ConnectionReset.into();
                return Poll::Ready(Err(WriteError::Client(gone)));
            }
        }
    }
}

fn client_error(error: h2::Error) -> WriteError {
    WriteError::Client(io::Error::other(error))
}

/// Fields that say how a connection of HTTP/1.1 carries a message (RFC 9113 section 8.2.2).
fn remove_connection_fields(fields: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        fields.remove(name);
    }
}

fn add(fields: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(field), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        if is_set_once(name) {
            fields.insert(field, value);
        } else {
            fields.append(field, value);
        }
    }
}
