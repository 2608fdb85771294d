//! The client's side of an exchange, whatever its connection speaks.
//!
//! An exchange asks little of the server that read its head: who the client is, the request's body,
//! a response. HTTP/1.1 gives the whole connection to one exchange at a time; HTTP/2 gives it one of
//! many streams. Only the former can be given away, in clear text or with a kernel that encrypts: see
//! [`ClientSide::delegable`].

mod piece;
mod request_body;
mod response_head;
mod response_writer;

use std::rc::Rc;
use std::sync::Arc;

use ostler_delegation::control::ConnectionFacts;
use ostler_http1::RequestHead;

pub(crate) use piece::{BodyFailure, Piece};
use request_body::ReadAhead;
pub(crate) use request_body::RequestBody;
pub(crate) use response_head::{Head, WriteError};
pub(crate) use response_writer::ResponseWriter;

use crate::access_log::{Listeners, LoggedRequest, Noted};
use crate::account::Told;
use crate::client_socket::Interest;
use crate::connection::Connection;
use crate::connection_counts::Upgraded;
use crate::http2::Stream;
use crate::metrics::Asked;
use crate::queues::RelayPlaces;
use crate::tls::ClientFacts;
use crate::trace::TraceContext;
use crate::watch::Watch;
use crate::worker::Worker;

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

/// What becomes of the client's connection behind an exchange. A stream of HTTP/2 ends with its
/// exchange in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterExchange {
    Keep,
    Close,
    /// It is closed once the client has stopped sending what nobody needs: the exchange is over
    /// before that.
    Linger,
    /// It is the target's.
    Detached,
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

    /// The client's connection, or, of an exchange whose client is said to be another, that client.
    pub(crate) fn client_facts(&self) -> &ClientFacts {
        match self {
            Self::Http1(connection) => {
                let claimed = connection.claimed.as_deref();
                claimed.unwrap_or_else(|| connection.client.client_facts())
            }
            Self::Http2(stream) => stream.facts(),
        }
    }

    /// The exchange is this client's. The next one of the connection is its own again.
    pub(crate) fn claim(&mut self, facts: ClientFacts) {
        let claimed = Some(Box::new(facts));
        match self {
            Self::Http1(connection) => connection.claimed = claimed,
            Self::Http2(stream) => stream.claimed = claimed,
        }
    }

    /// An exchange begins: nothing has been said of whose it is.
    pub(crate) fn begin(&mut self) {
        if let Self::Http1(connection) = self {
            connection.claimed = None;
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

    /// Who is told of this request's exchange, which is this span.
    pub(crate) fn told(&self, head: &RequestHead, trace: Option<Box<TraceContext>>) -> Told {
        let (worker, is_https) = (self.worker(), self.is_https());
        let is_sampled = trace.as_ref().is_some_and(|trace| trace.is_sampled());
        let traces = worker.traces().filter(|_| is_sampled);
        let listeners = Listeners {
            log: worker.access_log().cloned(),
            exporter: traces.map(|traces| Arc::clone(&traces.exporter)),
        };
        let is_noted = listeners.log.is_some() || listeners.exporter.is_some();
        Told {
            noted: is_noted.then(|| {
                let request = LoggedRequest::Read(Box::new(head.clone()), self.version(head));
                Noted::new(listeners, self.facts(), is_https, request, trace)
            }),
            measured: worker.metrics().map(|metrics| {
                let version = self.version(head);
                metrics.begin(Asked::request(head.method(), version, is_https))
            }),
        }
    }

    /// Who is told of something that is no request.
    pub(crate) fn told_malformed(&self) -> Told {
        let input = match self {
            Self::Http1(connection) => &connection.input[..],
            Self::Http2(_) => &[],
        };
        let (worker, connection) = (self.worker(), self.facts());
        worker.told_malformed(connection, self.is_https(), input)
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
                if let ReadAhead::Gone = request_body::read_ahead(client, input, read_closed).await
                {
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

    /// What becomes of the connection behind a response; `whole` is whether the request's body has
    /// been read to its end.
    pub(crate) fn after_response(&self, keep_alive: bool, whole: bool) -> AfterExchange {
        match self {
            Self::Http1(connection) if keep_alive && !connection.read_closed_and_empty() => {
                AfterExchange::Keep
            }
            Self::Http1(_) if !whole => AfterExchange::Linger,
            Self::Http1(_) | Self::Http2(_) => AfterExchange::Close,
        }
    }

    /// Ends the exchange without a word.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Http1(connection) => connection.client.reset(),
            Self::Http2(stream) => stream.refuse(),
        }
    }
}
