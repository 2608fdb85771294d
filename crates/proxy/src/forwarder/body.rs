//! The request's body on its way to a destination: read from the client while the response is
//! waited for.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use ostler_http1::{BodyDecoder, BodyProgress, CONTINUE, Framing, RequestHead};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::SendError;
use crate::admission::Deadline;
use crate::client::READ;
use crate::connection::Connection;
use crate::outcome::ForwarderError;

/// Bytes read from the client at a time, once a body is on its way.
const READ_BODY: usize = 4 * READ;

/// The body as hyper's client takes it.
#[derive(Debug)]
pub(crate) struct ForwardBody {
    receiver: Option<mpsc::Receiver<Result<Bytes, Broken>>>,
    length: Option<u64>,
}

impl ForwardBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self {
            receiver: None,
            length: Some(0),
        }
    }
}

/// The client's body broke off.
#[derive(Debug, thiserror::Error)]
#[error("the client's body broke off")]
pub(crate) struct Broken;

impl Body for ForwardBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.receiver {
            None => Poll::Ready(None),
            Some(receiver) => receiver
                .poll_recv(cx)
                .map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.receiver.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The reading half: what is still to be read of the client's body.
#[derive(Debug)]
pub(crate) struct Upload {
    decoder: BodyDecoder,
    sender: Option<mpsc::Sender<Result<Bytes, Broken>>>,
    expects_continue: bool,
    limit: Option<u64>,
    /// The body cannot be read to its end any more: the connection must close.
    broken: Option<Side>,
}

/// Who ended an upload early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    /// Its body is larger than it may be.
    ClientTooLarge,
    Destination,
}

/// The two halves of a request's body, which has `limit` bytes at most.
pub(crate) fn upload(
    head: &RequestHead,
    connection: &Connection,
    limit: Option<u64>,
) -> (ForwardBody, Upload) {
    let framing = head.framing();
    let decoder = BodyDecoder::new(framing);
    let (sender, receiver) = match framing {
        Framing::None => (None, None),
        _ => {
            let (sender, receiver) = mpsc::channel(1);
            (Some(sender), Some(receiver))
        }
    };
    let length = match framing {
        Framing::None => Some(0),
        Framing::Length(length) => Some(length),
        Framing::Chunked => None,
    };
    let expects_continue = head.expects_continue() && connection.input.is_empty();
    (
        ForwardBody { receiver, length },
        Upload {
            decoder,
            sender,
            expects_continue,
            limit,
            broken: None,
        },
    )
}

impl Upload {
    /// Whether the body has been read whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.decoder.is_end() && self.broken.is_none()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.decoder.is_end() || self.broken.is_some()
    }

    /// Nobody takes the rest.
    pub(crate) fn abandon(&mut self) {
        self.sender = None;
    }

    /// Moves the body from the client's socket to the destination until it is over.
    pub(crate) async fn run(&mut self, connection: &mut Connection, activity: &Activity) {
        while !self.is_over() {
            if let Err(side) = self.step(connection, activity).await {
                self.broken = Some(side);
                if let (Side::Client | Side::ClientTooLarge, Some(sender)) =
                    (side, self.sender.take())
                {
                    let _ = sender.try_send(Err(Broken));
                }
            }
        }
        self.sender = None;
    }

    async fn step(&mut self, connection: &mut Connection, activity: &Activity) -> Result<(), Side> {
        // Room first: bytes stay with the client until the destination takes them.
        let permit = match &self.sender {
            Some(sender) => sender.reserve().await.map_err(|_| Side::Destination)?,
            None => return Err(Side::Destination),
        };
        loop {
            match self.decoder.decode(&connection.input) {
                Ok(BodyProgress::Data {
                    start,
                    end,
                    consumed,
                }) => {
                    if self
                        .limit
                        .is_some_and(|most| self.decoder.consumed_body() > most)
                    {
                        return Err(Side::ClientTooLarge);
                    }
                    let data = Bytes::copy_from_slice(&connection.input[start..end]);
                    connection.input.drain(..consumed);
                    permit.send(Ok(data));
                    activity.happened();
                    return Ok(());
                }
                Ok(BodyProgress::End { consumed }) => {
                    connection.input.drain(..consumed);
                    return Ok(());
                }
                Ok(BodyProgress::NeedMore { consumed }) => {
                    connection.input.drain(..consumed);
                }
                Err(_) => return Err(Side::Client),
            }
            if std::mem::take(&mut self.expects_continue) {
                let sent = connection.client.send_now(CONTINUE);
                sent.map_err(|_| Side::Client)?;
            }
            match connection
                .client
                .recv(&mut connection.input, READ_BODY)
                .await
            {
                Ok(0) | Err(_) => {
                    connection.read_closed = true;
                    return Err(Side::Client);
                }
                Ok(_) => activity.happened(),
            }
        }
    }
}

/// When something last moved in an exchange; it ends after too long without, and at its route's
/// deadline in any case.
#[derive(Debug)]
pub(crate) struct Activity {
    last: std::cell::Cell<Instant>,
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
}

/// Why an exchange may not go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ceased {
    /// Nothing has moved for the activity timeout.
    Silent,
    /// The route's timeout is over; the status says so where the response has not begun.
    Over(StatusCode),
}

impl Activity {
    pub(crate) fn new(timeout: Option<Duration>, deadline: Option<Deadline>) -> Self {
        Self {
            last: std::cell::Cell::new(crate::clock::now().into()),
            timeout,
            deadline,
        }
    }

    /// Whether the route's timeout is over.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline.has_passed())
    }

    /// What is left of a wait that may take `most`: not longer than the route's timeout.
    pub(crate) fn at_most(&self, most: Duration) -> Duration {
        match self.deadline {
            None => most,
            Some(deadline) => {
                let left = deadline.at.saturating_duration_since(crate::clock::now());
                left.min(most)
            }
        }
    }

    pub(crate) fn happened(&self) {
        self.last.set(crate::clock::now().into());
    }

    /// Completes when nothing has moved for the timeout or the deadline has passed; never without
    /// either.
    pub(crate) async fn ceased(&self) -> Ceased {
        let Some(deadline) = self.deadline else {
            return self.silent().await;
        };
        let mut silent = pin!(self.silent());
        let mut over = pin!(tokio::time::sleep_until(deadline.at.into()));
        poll_fn(|cx| {
            if over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ceased::Over(deadline.status));
            }
            silent.as_mut().poll(cx)
        })
        .await
    }

    async fn silent(&self) -> Ceased {
        let Some(timeout) = self.timeout else {
            return std::future::pending().await;
        };
        let mut timer: Pin<Box<Sleep>> =
            Box::pin(tokio::time::sleep_until(self.last.get() + timeout));
        loop {
            timer.as_mut().await;
            let deadline = self.last.get() + timeout;
            if deadline <= crate::clock::now().into() {
                return Ceased::Silent;
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failure {
    Send(SendError),
    TimedOut,
    /// The route's timeout is over.
    Over(StatusCode),
    ClientGone,
    ClientBody,
    ClientBodyTooLarge,
    ClientBodyTimedOut,
}

impl Failure {
    /// The status for the client, if there still is one, and YARP's error.
    pub(crate) fn answer(&self) -> (Option<StatusCode>, ForwarderError) {
        match self {
            Self::Send(error) if error.timed_out => (
                Some(StatusCode::GATEWAY_TIMEOUT),
                ForwarderError::RequestTimedOut,
            ),
            Self::Send(_) => (Some(StatusCode::BAD_GATEWAY), ForwarderError::Request),
            Self::TimedOut => (
                Some(StatusCode::GATEWAY_TIMEOUT),
                ForwarderError::RequestTimedOut,
            ),
            // YARP says 400 here, which is a known mistake of its (reference 11.4).
            Self::Over(status) => (Some(*status), ForwarderError::RequestTimedOut),
            Self::ClientBodyTooLarge => (
                Some(StatusCode::PAYLOAD_TOO_LARGE),
                ForwarderError::RequestBodyClient,
            ),
            Self::ClientGone => (None, ForwarderError::RequestCanceled),
            Self::ClientBody => (
                Some(StatusCode::BAD_REQUEST),
                ForwarderError::RequestBodyClient,
            ),
            Self::ClientBodyTimedOut => (
                Some(StatusCode::REQUEST_TIMEOUT),
                ForwarderError::RequestBodyClient,
            ),
        }
    }

    pub(crate) fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Send(error) => Some(error.source.as_ref()),
            _ => None,
        }
    }
}

/// Waits for the response's head while the body moves, and while the client stays.
pub(crate) async fn while_uploading(
    connection: &mut Connection,
    upload: &mut Upload,
    mut response: Pin<&mut impl Future<Output = Result<http::Response<Incoming>, SendError>>>,
    activity: &Activity,
) -> Result<http::Response<Incoming>, Failure> {
    let mut ceased = pin!(activity.ceased());
    if !upload.is_over() {
        let mut uploading = pin!(upload.run(connection, activity));
        let early = poll_fn(|cx| {
            if let Poll::Ready(response) = response.as_mut().poll(cx) {
                return Poll::Ready(Some(Ok(response)));
            }
            if uploading.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            ceased.as_mut().poll(cx).map(|why| Some(Err(why)))
        });
        match early.await {
            Some(Ok(response)) => return response.map_err(Failure::Send),
            Some(Err(Ceased::Silent)) => return Err(Failure::ClientBodyTimedOut),
            Some(Err(Ceased::Over(status))) => return Err(Failure::Over(status)),
            None => {}
        }
    }
    if upload.broken == Some(Side::ClientTooLarge) {
        return Err(Failure::ClientBodyTooLarge);
    }
    if upload.broken == Some(Side::Client) {
        return Err(if connection.read_closed {
            Failure::ClientGone
        } else {
            Failure::ClientBody
        });
    }
    let mut gone = pin!(client_gone(connection));
    poll_fn(|cx| {
        if let Poll::Ready(response) = response.as_mut().poll(cx) {
            return Poll::Ready(response.map_err(Failure::Send));
        }
        if let Poll::Ready(why) = ceased.as_mut().poll(cx) {
            return Poll::Ready(Err(match why {
                Ceased::Silent => Failure::TimedOut,
                Ceased::Over(status) => Failure::Over(status),
            }));
        }
        gone.as_mut().poll(cx).map(|()| Err(Failure::ClientGone))
    })
    .await
}

/// Takes in what the client sends ahead. Completes when it has been silent for a moment behind its
/// end of stream, or when the connection broke.
async fn client_gone(connection: &mut Connection) {
    const MOST: usize = 64 * 1024;
    const SILENCE: Duration = Duration::from_secs(1);
    while connection.input.len() < MOST {
        match connection.client.recv(&mut connection.input, READ).await {
            Ok(0) => {
                connection.read_closed = true;
                return tokio::time::sleep(SILENCE).await;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
    std::future::pending::<()>().await;
}
