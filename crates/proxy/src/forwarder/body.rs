//! The request's body on its way to a destination: read from the client while the response is
//! waited for.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::StatusCode;
use ostler_http1::{Framing, RequestHead};
use tokio::sync::mpsc;

use super::response::pass_fields;
use crate::answer::{Cause, NoResponse, Why};
use crate::client_side::{BodyFailure, BodyRead, Piece, RequestBody, ResponseWriter};
use crate::deadline::Deadline;
use crate::destinations::{ForwardBody, Interim, SendError, SentPart};
use crate::outcome::ForwarderError;
use crate::slow_timer::{self, SlowTimer, TICK};

/// The reading half: what is still to be read of the client's body.
#[derive(Debug)]
pub(crate) struct Upload<'c> {
    body: RequestBody<'c>,
    /// Without it, a body that was not whole breaks off.
    sender: Option<mpsc::Sender<SentPart>>,
    limit: Option<u64>,
    read: u64,
    /// The client holds the body back until it is asked for it.
    awaits_continue: bool,
    /// How it ended, once it has.
    ended: Option<Result<(), Side>>,
    /// The client has sent all of it, though the destination did not want all.
    discarded: bool,
}

/// Who ended an upload early: the body cannot be read to its end any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client is gone.
    ClientGone,
    /// What it sends is no body.
    Client,
    /// Its body is larger than it may be.
    ClientTooLarge,
    /// Its body comes too slowly.
    ClientTooSlow,
    Destination,
}

/// The two halves of a request's body, which has `limit` bytes at most.
pub(crate) fn upload<'c>(
    head: &RequestHead,
    body: RequestBody<'c>,
    limit: Option<u64>,
) -> (ForwardBody, Upload<'c>) {
    let framing = head.framing();
    let (sender, outgoing) = ForwardBody::channel(framing);
    let ended = matches!(framing, Framing::None).then_some(Ok(()));
    let upload = Upload {
        // A client that did not wait needs no asking.
        awaits_continue: head.expects_continue() && !body.is_begun(),
        body,
        sender,
        limit,
        read: 0,
        ended,
        discarded: false,
    };
    (outgoing, upload)
}

impl<'c> Upload<'c> {
    /// Whether the body has been read whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.ended == Some(Ok(()))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether the client has nothing more to send of it.
    pub(crate) fn is_read(&self) -> bool {
        self.is_complete() || self.discarded
    }

    /// How much has been read, for who answers in a destination's place.
    pub(crate) fn body_read(&self) -> BodyRead {
        match self.is_read() {
            true => BodyRead::Whole,
            false => BodyRead::Part,
        }
    }

    /// The response has begun: a client that waits to be asked for its body is not asked any more.
    pub(crate) fn response_has_begun(&mut self) {
        if self.awaits_continue {
            // It does not break off by that: an HTTP/1.1 connection would end with it, and the
            // response too.
            self.ended.get_or_insert(Err(Side::Destination));
        }
    }

    /// Completes when the client is to be asked for the body that it holds back: when the
    /// destination wants it, or says nothing for a second (reference B10.2). False when
    /// the client does not hold it back after all: it comes.
    async fn is_wanted(&mut self, interim: &Interim) -> bool {
        const PATIENCE: Duration = Duration::from_secs(1);
        let mut enough = pin!(tokio::time::sleep(PATIENCE));
        let wanted = poll_fn(|cx| match interim.continues() {
            true => Poll::Ready(()),
            false => enough.as_mut().poll(cx),
        });
        tokio::select! {
            biased;
            () = self.body.arrives() => false,
            () = wanted => true,
        }
    }

    /// What the client says once the protocol is switched.
    pub(crate) fn into_body(self) -> RequestBody<'c> {
        self.body
    }

    /// Moves the body from the client to the destination until it is over, and then waits for the
    /// client to go away. Completes with who ended the body early, or when the client is gone.
    /// Dropping the future loses nothing.
    pub(crate) async fn run(&mut self, activity: &Activity) -> Side {
        let ended = self.finish(activity).await;
        match ended {
            Ok(()) => {}
            Err(Side::Destination) => self.discard().await,
            Err(side) => return side,
        }
        self.body.gone().await;
        Side::ClientGone
    }

    /// Takes in what the destination does not want: a client that sends everything before it reads
    /// anything would wait for ever, and the response with it.
    async fn discard(&mut self) {
        if self.awaits_continue || self.discarded {
            return;
        }
        while self.limit.is_none_or(|most| self.read <= most) {
            match self.body.next().await {
                Ok(Piece::Data(data)) => self.read += data.len() as u64,
                Ok(Piece::Trailers(_) | Piece::End) => {
                    self.discarded = true;
                    return;
                }
                // What it says or does not say is nothing to anybody any more.
                Err(_) => return,
            }
        }
    }

    /// Moves the body until it is over.
    pub(crate) async fn finish(&mut self, activity: &Activity) -> Result<(), Side> {
        if self.awaits_continue && self.ended.is_none() {
            return std::future::pending().await;
        }
        loop {
            if let Some(ended) = self.ended {
                return ended;
            }
            let moved = self.step(activity).await;
            activity.happened();
            if let Err(side) = moved {
                self.ended = Some(Err(side));
            }
            if self.ended.is_some() {
                self.sender = None;
            }
        }
    }

    async fn step(&mut self, activity: &Activity) -> Result<(), Side> {
        let Some(sender) = &self.sender else {
            return Err(Side::Destination);
        };
        // Room first: bytes stay with the client until the destination takes them.
        activity.awaits_destination.set(true);
        let permit = sender.reserve().await.map_err(|_| Side::Destination)?;
        activity.awaits_destination.set(false);
        let piece = self.body.next().await.map_err(|failure| match failure {
            BodyFailure::Gone => Side::ClientGone,
            BodyFailure::Malformed => Side::Client,
            BodyFailure::TooSlow => Side::ClientTooSlow,
        })?;
        match piece {
            Piece::Data(data) => {
                self.read += data.len() as u64;
                if self.limit.is_some_and(|most| self.read > most) {
                    return Err(Side::ClientTooLarge);
                }
                let is_last = self.body.is_end();
                permit.send(SentPart::Data { data, is_last });
                if is_last {
                    self.ended = Some(Ok(()));
                }
            }
            Piece::Trailers(trailers) => {
                permit.send(SentPart::Trailers(trailers));
                self.ended = Some(Ok(()));
            }
            Piece::End => {
                permit.send(SentPart::End);
                self.ended = Some(Ok(()));
            }
        }
        Ok(())
    }
}

/// When something last moved in an exchange; it ends after too long without, and at its route's
/// deadline in any case.
#[derive(Debug)]
pub(crate) struct Activity {
    last: std::cell::Cell<Instant>,
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    /// Whether the request's body waits for the destination to take some, and not for the client to
    /// send some: who is to blame for a silence (reference B14).
    awaits_destination: std::cell::Cell<bool>,
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
            last: std::cell::Cell::new(slow_timer::now()),
            timeout,
            deadline,
            awaits_destination: std::cell::Cell::new(false),
        }
    }

    /// Whether the route's timeout is over.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline.has_passed())
    }

    /// What is left of a wait for the client that may take `most`: not longer than the activity
    /// timeout (reference B14), nor than the route's.
    pub(crate) fn at_most(&self, most: Duration) -> Duration {
        let most = self.timeout.map_or(most, |timeout| timeout.min(most));
        match self.deadline {
            None => most,
            Some(deadline) => {
                let left = deadline.at.saturating_duration_since(crate::clock::now());
                left.min(most)
            }
        }
    }

    pub(crate) fn happened(&self) {
        self.last.set(slow_timer::now());
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

    /// The clock is a slow one: never too early, and up to two ticks too late.
    async fn silent(&self) -> Ceased {
        let Some(timeout) = self.timeout else {
            return std::future::pending().await;
        };
        let mut timer = SlowTimer::default();
        poll_fn(
            |cx| match self.last.get().checked_add(timeout.saturating_add(TICK)) {
                Some(until) => timer.poll_until(until, cx),
                None => Poll::Pending,
            },
        )
        .await;
        Ceased::Silent
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
    ClientBodyGone,
    ClientBodyTooLarge,
    ClientBodyTimedOut,
    /// The destination did not take the body.
    DestinationBody(SendError),
    DestinationBodyTimedOut,
}

impl Failure {
    /// What the client is told, if it is still there.
    pub(crate) fn why(self) -> Why {
        let (status, error) = match &self {
            Self::ClientGone => return Why::ClientGone(ForwarderError::RequestCanceled),
            Self::ClientBodyGone => return Why::ClientGone(ForwarderError::RequestBodyCanceled),
            Self::Send(error) if error.timed_out => {
                (StatusCode::GATEWAY_TIMEOUT, ForwarderError::RequestTimedOut)
            }
            Self::Send(_) => (StatusCode::BAD_GATEWAY, ForwarderError::Request),
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, ForwarderError::RequestTimedOut),
            // YARP says 400 here, which is a known mistake of its (reference A11.4).
            Self::Over(status) => (*status, ForwarderError::RequestTimedOut),
            Self::ClientBodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                ForwarderError::RequestBodyClient,
            ),
            Self::DestinationBody(_) => (
                StatusCode::BAD_GATEWAY,
                ForwarderError::RequestBodyDestination,
            ),
            Self::ClientBody => (StatusCode::BAD_REQUEST, ForwarderError::RequestBodyClient),
            Self::DestinationBodyTimedOut => (
                StatusCode::GATEWAY_TIMEOUT,
                ForwarderError::RequestBodyDestination,
            ),
            Self::ClientBodyTimedOut => (
                StatusCode::REQUEST_TIMEOUT,
                ForwarderError::RequestBodyClient,
            ),
        };
        let cause: Option<Cause> = match self {
            Self::Send(error) | Self::DestinationBody(error) => Some(error.source),
            _ => None,
        };
        Why::NoResponse(NoResponse {
            status,
            error,
            cause,
        })
    }
}

/// Waits for a destination's reply while the body moves and the client stays. Interim responses are
/// passed on meanwhile.
pub(crate) async fn reply<T>(
    upload: &mut Upload<'_>,
    writer: &mut ResponseWriter<'_>,
    mut reply: Pin<&mut impl Future<Output = Result<T, SendError>>>,
    interim: &Interim,
    activity: &Activity,
) -> Result<T, Failure> {
    loop {
        match next(upload, writer, reply.as_mut(), interim, activity).await? {
            Waited::Reply(reply) => {
                // What has arrived together with it comes before it.
                while let Some(response) = interim.take() {
                    pass_interim(response, writer).await?;
                }
                return Ok(reply);
            }
            Waited::Wanted => {
                upload.awaits_continue = false;
                let mut response = http::Response::new(());
                *response.status_mut() = StatusCode::CONTINUE;
                pass_interim(response, writer).await?;
            }
            Waited::Interim(response) => pass_interim(response, writer).await?,
        }
    }
}

async fn pass_interim(
    response: http::Response<()>,
    writer: &mut ResponseWriter<'_>,
) -> Result<(), Failure> {
    let (parts, ()) = response.into_parts();
    let fields = pass_fields(parts.status, parts.headers);
    let passed_on = writer.interim(parts.status, &fields).await;
    passed_on.map_err(|_| Failure::ClientGone)
}

enum Waited<T> {
    Reply(T),
    /// The client is to send the body that it holds back.
    Wanted,
    Interim(http::Response<()>),
}

async fn next<T>(
    upload: &mut Upload<'_>,
    writer: &mut ResponseWriter<'_>,
    mut reply: Pin<&mut impl Future<Output = Result<T, SendError>>>,
    interim: &Interim,
    activity: &Activity,
) -> Result<Waited<T>, Failure> {
    let mut ceased = pin!(activity.ceased());
    let uploads = std::cell::Cell::new(!upload.is_over());
    let whole = std::cell::Cell::new(upload.is_complete());
    let mut uploading = pin!(async {
        if upload.awaits_continue && upload.is_wanted(interim).await {
            return None;
        }
        upload.awaits_continue = false;
        // A body that is whole is behind a client that goes after it.
        whole.set(upload.finish(activity).await.is_ok());
        uploads.set(false);
        Some(upload.run(activity).await)
    });
    poll_fn(|cx| {
        if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
            return Poll::Ready(reply.map(Waited::Reply).map_err(|error| {
                match uploads.get() && error.is_of_body() {
                    true => Failure::DestinationBody(error),
                    false => Failure::Send(error),
                }
            }));
        }
        // What the destination has said ahead has arrived by now.
        if let Some(response) = interim.take() {
            return Poll::Ready(Ok(Waited::Interim(response)));
        }
        match uploading.as_mut().poll(cx) {
            Poll::Ready(None) => return Poll::Ready(Ok(Waited::Wanted)),
            Poll::Ready(Some(side)) => {
                return Poll::Ready(Err(match side {
                    Side::Client => Failure::ClientBody,
                    Side::ClientTooLarge => Failure::ClientBodyTooLarge,
                    Side::ClientTooSlow => Failure::ClientBodyTimedOut,
                    Side::ClientGone if !whole.get() => Failure::ClientBodyGone,
                    Side::ClientGone | Side::Destination => Failure::ClientGone,
                }));
            }
            Poll::Pending => {}
        }
        if writer.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        ceased.as_mut().poll(cx).map(|why| {
            Err(match why {
                // The side that is waited for is to blame (reference B14).
                Ceased::Silent if uploads.get() && activity.awaits_destination.get() => {
                    Failure::DestinationBodyTimedOut
                }
                Ceased::Silent if uploads.get() => Failure::ClientBodyTimedOut,
                Ceased::Silent => Failure::TimedOut,
                Ceased::Over(status) => Failure::Over(status),
            })
        })
    })
    .await
}
