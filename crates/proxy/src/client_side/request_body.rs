//! A request's body, read from the client piece by piece, and the client's going away.

use bytes::Bytes;
use ostler_http1::{BodyDecoder, BodyProgress, RequestHead};

use super::piece::{BodyFailure, Piece};
use crate::client_socket::{ClientSocket, READ};
use crate::data_rates::DataRates;
use crate::http2;

/// Bytes read from the client at a time, once a body is on its way.
const READ_BODY: usize = 4 * READ;

/// The body of one request.
#[derive(Debug)]
pub(crate) enum RequestBody<'c> {
    Http1(Http1Body<'c>),
    Http2(http2::StreamBody<'c>),
}

impl RequestBody<'_> {
    /// Whether nothing more comes.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Self::Http1(body) => body.decoder.is_end(),
            Self::Http2(body) => body.is_end(),
        }
    }

    /// The next piece. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Piece, BodyFailure> {
        match self {
            Self::Http1(body) => body.next().await,
            Self::Http2(body) => body.next().await,
        }
    }

    /// What the client says once the protocol is switched; `None` is its end.
    pub(crate) async fn next_raw(&mut self) -> std::io::Result<Option<Bytes>> {
        match self {
            Self::Http1(body) => body.next_raw().await,
            Self::Http2(body) => match body.next().await {
                Ok(Piece::Data(data)) => Ok(Some(data)),
                Ok(Piece::Trailers(_) | Piece::End) => Ok(None),
                Err(_) => Err(std::io::ErrorKind::ConnectionReset.into()),
            },
        }
    }

    /// Whether something of it has arrived already.
    pub(crate) fn is_begun(&self) -> bool {
        match self {
            Self::Http1(body) => !body.input.is_empty(),
            Self::Http2(body) => body.is_end(),
        }
    }

    /// Completes when something of it arrives, which is kept. Dropping the future loses nothing.
    pub(crate) async fn arrives(&mut self) {
        match self {
            Self::Http1(body) => body.arrives().await,
            Self::Http2(body) => body.arrives().await,
        }
    }

    /// Completes when the client is gone, as far as its own direction says so. What it sends ahead
    /// is kept meanwhile.
    pub(crate) async fn gone(&mut self) {
        match self {
            Self::Http1(body) => {
                match read_ahead(body.client, body.input, body.read_closed).await {
                    ReadAhead::Gone => {}
                    ReadAhead::Enough => std::future::pending().await,
                }
            }
            // That a stream is reset is for its response to see.
            Self::Http2(_) => std::future::pending().await,
        }
    }
}

/// Takes in what the client sends ahead, as much as is read at a time anywhere else: what is read
/// here may travel in an entry whose size counts on that.
pub(super) async fn read_ahead(
    client: &ClientSocket,
    input: &mut Vec<u8>,
    read_closed: &mut bool,
) -> ReadAhead {
    while !*read_closed {
        let room = READ.saturating_sub(input.len());
        if room == 0 {
            return ReadAhead::Enough;
        }
        match client.recv(input, room).await {
            Ok(0) => *read_closed = true,
            Ok(_) => {}
            Err(_) => return ReadAhead::Gone,
        }
    }
    client.left().await;
    ReadAhead::Gone
}

/// What ends reading ahead.
pub(super) enum ReadAhead {
    /// As much is here as is read.
    Enough,
    /// Nobody is there any more.
    Gone,
}

/// A body in the bytes of an HTTP/1.1 connection. What follows it stays in the input.
#[derive(Debug)]
pub(crate) struct Http1Body<'c> {
    client: &'c ClientSocket,
    rates: &'c DataRates,
    input: &'c mut Vec<u8>,
    read_closed: &'c mut bool,
    decoder: BodyDecoder,
}

impl<'c> Http1Body<'c> {
    pub(super) fn new(
        head: &RequestHead,
        client: &'c ClientSocket,
        rates: &'c DataRates,
        input: &'c mut Vec<u8>,
        read_closed: &'c mut bool,
    ) -> Self {
        Self {
            decoder: BodyDecoder::new(head.framing()),
            client,
            rates,
            input,
            read_closed,
        }
    }

    async fn next(&mut self) -> Result<Piece, BodyFailure> {
        loop {
            match self.decoder.decode(self.input) {
                Ok(BodyProgress::Data {
                    start,
                    end,
                    consumed,
                }) => {
                    let data = Bytes::copy_from_slice(&self.input[start..end]);
                    self.input.drain(..consumed);
                    return Ok(Piece::Data(data));
                }
                Ok(BodyProgress::End { consumed }) => {
                    self.input.drain(..consumed);
                    return Ok(match self.decoder.trailers() {
                        Some(trailers) => Piece::Trailers(trailers),
                        None => Piece::End,
                    });
                }
                Ok(BodyProgress::NeedMore { consumed }) => {
                    self.input.drain(..consumed);
                }
                Err(_) => return Err(BodyFailure::Malformed),
            }
            match self.rates.recv(self.client, self.input, READ_BODY).await {
                None => return Err(BodyFailure::TooSlow),
                Some(Ok(0) | Err(_)) => {
                    *self.read_closed = true;
                    return Err(BodyFailure::Gone);
                }
                Some(Ok(_)) => {}
            }
        }
    }

    async fn arrives(&mut self) {
        if self.input.is_empty() && !*self.read_closed {
            // An end, or an error, is found by who reads the body.
            *self.read_closed = matches!(self.client.recv(self.input, READ_BODY).await, Ok(0));
        }
    }

    async fn next_raw(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.input.is_empty() && self.client.recv(self.input, READ_BODY).await? == 0 {
            *self.read_closed = true;
            return Ok(None);
        }
        // What is said next may be long in coming, and there is no memory for it meanwhile.
        Ok(Some(std::mem::take(self.input).into()))
    }
}
