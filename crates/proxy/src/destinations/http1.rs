//! An HTTP/1.1 connection to a destination, run by the task of whoever uses it.
//!
//! There is no task of its own: the exchange sends its request ([`sending`]) and reads the response's
//! head here, and then the body ([`Http1Body`]), which gives the connection back. Only an upload
//! that goes on behind the response's head has a task, so that neither direction waits for the
//! other. Nobody polls an idle connection but the pool's sweep, and it holds no memory but its
//! stream.

mod body;
mod error;
mod sending;
mod socket;
mod stream;
mod upgraded;

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use ostler_http1::{ResponseBodyDecoder, ResponseHead, ResponseHeadDecoder};

use super::connection_limit::Permit;
use super::interim::Interim;
use super::retries::may_be_repeated;

use body::Behind;
pub(crate) use body::Http1Body;
pub(super) use body::{Home, Incoming};
pub(crate) use error::Http1Error;
use sending::{Sending, Sent};
use socket::Socket;
pub(super) use stream::Stream;
pub(crate) use upgraded::Upgraded;

/// A connection that speaks HTTP/1.1.
pub(super) struct Http1 {
    /// `None` once the connection has ended.
    socket: Option<Socket>,
    is_new: bool,
    opened: Instant,
    /// How long it may be unused, where the destination says so, and until when that is.
    idle_timeout: Option<Duration>,
    usable_until: Option<Instant>,
    /// Its place among `MaxConnectionsPerServer`, kept through an upgrade.
    permit: Option<Permit>,
}

impl std::fmt::Debug for Http1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1")
            .field("is_open", &self.socket.is_some())
            .finish_non_exhaustive()
    }
}

/// A request has no response.
pub(super) struct Unanswered<B> {
    pub(super) error: Http1Error,
    /// The request, if not a byte of it was sent.
    pub(super) unsent: Option<Request<B>>,
    /// Whether the destination has said anything since.
    pub(super) heard: bool,
}

/// What a status line says behind the status, where it is not what is always said.
#[derive(Debug, Clone)]
pub(crate) struct Reason(pub(crate) Bytes);

/// A request-target in origin form that no `Uri` can hold: only HTTP/1.1 can be asked for it.
#[derive(Debug, Clone)]
pub(crate) struct LongTarget(pub(crate) Bytes);

impl Http1 {
    /// HTTP/1.1 on a connection that is open.
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        Self {
            socket: Some(Socket::new(Box::new(stream))),
            is_new: true,
            opened: crate::clock::now(),
            idle_timeout: None,
            usable_until: None,
            permit: None,
        }
    }

    /// The socket, if a request can be sent over it; else it is closed.
    ///
    /// What a destination says unasked on a new connection answers the first request: it has been
    /// closed for good reasons, say. Later, it has no meaning. What cannot be sent again is not sent
    /// where the kernel knows better.
    fn take_usable(&mut self, is_repeatable: bool) -> Option<Socket> {
        let socket = self.socket.take()?;
        let is_usable = std::mem::replace(&mut self.is_new, false)
            || match is_repeatable {
                true => socket.is_quiet(),
                false => socket.is_quiet_now(),
            };
        is_usable.then_some(socket)
    }

    /// Sends a request and waits for the response's head. Interim responses go to `interim`.
    pub(super) async fn send<B>(
        &mut self,
        request: Request<B>,
        interim: Option<&Interim>,
    ) -> Result<Response<Incoming>, Unanswered<B>>
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let is_repeatable = request.body().is_end_stream() && may_be_repeated(request.method());
        let Some(socket) = self.take_usable(is_repeatable) else {
            return Err(Unanswered {
                error: Http1Error::Closed,
                unsent: Some(request),
                heard: false,
            });
        };
        let (parts, body) = request.into_parts();
        let mut sending = Sending::new(&parts, body).map_err(|error| Unanswered {
            error,
            unsent: None,
            heard: false,
        })?;
        let mut receiving = Receiving::new(parts.method.clone());
        // Needed as long as nothing is sent.
        let mut parts = Some(parts);
        let mut sent = None;
        let received = poll_fn(|cx| {
            if sent.is_none()
                && let Poll::Ready(ended) = sending.poll(&socket, cx)
            {
                match ended {
                    Sent::Broken(error) => return Poll::Ready(Err(Http1Error::RequestBody(error))),
                    ended => sent = Some(ended),
                }
            }
            if sending.is_begun() {
                parts = None;
            }
            // A destination that takes no more may have said why before.
            receiving.poll(&socket, cx, interim)
        })
        .await;
        let head = match received {
            Ok(head) => head,
            Err(error) => {
                let error = match sent {
                    Some(Sent::Unwanted(first)) if error.is_of_body() => first.into(),
                    _ => error,
                };
                let unsent = parts.zip(sending.into_unsent());
                return Err(Unanswered {
                    error,
                    unsent: unsent.map(|(parts, body)| Request::from_parts(parts, body)),
                    heard: receiving.heard,
                });
            }
        };
        let is_large = sending.is_large();
        let behind = behind(&head, &receiving.method, sent.as_ref(), is_large);
        let goes_on = sent.is_none() && behind == Behind::Request;
        let upload = goes_on.then(|| sending.go_on(socket.clone()));
        self.socket = Some(socket);
        self.idle_timeout = head.idle_timeout;
        Ok(response(head, receiving.received, behind, upload))
    }

    /// Whether nothing has arrived that nobody has asked for, nor the connection's end.
    fn is_quiet(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::is_quiet)
    }

    /// Whether a connection that nobody uses is still open.
    pub(super) fn is_still_open(&mut self) -> bool {
        if !self.is_quiet() {
            self.socket = None;
        }
        self.is_ready()
    }

    /// Whether it can take a request.
    pub(super) fn is_ready(&self) -> bool {
        let in_time = |until| crate::clock::now() < until;
        self.socket.is_some() && self.usable_until.is_none_or(in_time)
    }

    /// The connection, from now on unused.
    fn unused(mut self) -> Self {
        let timeout = self.idle_timeout;
        self.usable_until = timeout.and_then(|timeout| crate::clock::now().checked_add(timeout));
        self
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// When it was opened, by its pool's clock.
    pub(super) fn opened_at(mut self, now: Instant) -> Self {
        self.opened = now;
        self
    }

    /// It counts among the connections of its endpoint for as long as it lives.
    pub(super) fn counted_by(mut self, permit: Option<Permit>) -> Self {
        self.permit = permit;
        self
    }

    /// The connection with another protocol, which begins with what has been received.
    fn upgrade(self, received: Bytes) -> Option<Upgraded> {
        Some(Upgraded {
            stream: self.socket?.into_stream()?,
            received,
            _permit: self.permit,
        })
    }

    /// The connection behind the answer to a CONNECT.
    pub(super) fn into_tunnel(self, answer: Incoming) -> Option<Upgraded> {
        match answer.behind {
            Behind::OtherProtocol => self.upgrade(answer.received),
            Behind::Request | Behind::Nothing => None,
        }
    }
}

/// A response's head on its way.
struct Receiving {
    method: Method,
    decoder: ResponseHeadDecoder,
    received: Bytes,
    heard: bool,
}

impl Receiving {
    fn new(method: Method) -> Self {
        Self {
            method,
            decoder: ResponseHeadDecoder::new(ResponseHeadDecoder::LONGEST_HEAD),
            received: Bytes::new(),
            heard: false,
        }
    }

    fn poll(
        &mut self,
        socket: &Socket,
        cx: &mut Context<'_>,
        interim: Option<&Interim>,
    ) -> Poll<Result<ResponseHead, Http1Error>> {
        loop {
            let end = match self.received.is_empty() {
                true => None,
                false => self.decoder.decode(&self.received)?,
            };
            if let Some(end) = end {
                let head = ResponseHead::parse(&self.received.split_to(end), &self.method)?;
                let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
                if switches || !head.status.is_informational() {
                    return Poll::Ready(Ok(head));
                }
                if let Some(interim) = interim {
                    interim.arrive(head.status, &head.fields);
                }
                continue;
            }
            let received = ready!(socket.poll_receive(cx, &self.received))?;
            if received.is_empty() {
                return Poll::Ready(Err(match self.received.is_empty() {
                    true => Http1Error::Closed,
                    false => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
                }));
            }
            self.heard = true;
            self.received = received;
        }
    }
}

fn behind(head: &ResponseHead, method: &Method, sent: Option<&Sent>, is_large: bool) -> Behind {
    let tunnels = *method == Method::CONNECT && head.status.is_success();
    if tunnels || head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Behind::OtherProtocol;
    }
    let is_refused = head.status.is_client_error() || head.status.is_server_error();
    let is_wanted = match sent {
        // Who refuses a request may have read nothing of its body, and close the connection for that
        // the moment another request comes.
        Some(Sent::Whole) => !(is_refused && is_large),
        Some(_) => false,
        // Who refuses a request is not sent the rest of it.
        None => !is_refused,
    };
    match head.framing.keep_alive && is_wanted {
        true => Behind::Request,
        false => Behind::Nothing,
    }
}

fn response(
    head: ResponseHead,
    received: Bytes,
    behind: Behind,
    upload: Option<sending::Uploading>,
) -> Response<Incoming> {
    let mut response = Response::new(Incoming {
        decoder: ResponseBodyDecoder::new(head.framing.body),
        received,
        behind,
        upload,
    });
    *response.status_mut() = head.status;
    *response.headers_mut() = head.fields;
    if let Some(reason) = head.reason {
        response.extensions_mut().insert(Reason(reason));
    }
    response
}

#[cfg(test)]
mod tests;
