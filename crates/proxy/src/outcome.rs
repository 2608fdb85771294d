//! How an exchange ended, whoever answered it.

use std::sync::Arc;
use std::time::Duration;

use ostler_delegation::Ending;
use ostler_model::{DestinationState, RouteModel};

use crate::reason::Reason;

/// How an exchange ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The route it took, if one matched.
    pub route: Option<Arc<RouteModel>>,
    /// Where it went, if anywhere.
    pub destination: Option<Arc<DestinationState>>,
    /// How it was answered.
    pub mode: Mode,
    /// Why it was not delegated, where it was not.
    pub reason: Option<Reason>,
    /// Status of the response; 0 when none was sent.
    pub status: u16,
    /// Bytes of the response given to the client, head included. Over HTTP/2 a head counts as what it
    /// would be without compression.
    pub bytes_sent: u64,
    /// Bytes of the request's body, framing excluded, where the exchange was delegated.
    pub bytes_received: Option<u64>,
    /// From the head's arrival to the end of the exchange.
    pub duration: Duration,
    /// From the head's arrival until it was decided where it goes, and it went there.
    pub decided: Option<Duration>,
    /// From the head's arrival until a target took the request out of its queue, where the exchange
    /// was delegated.
    pub queued: Option<Duration>,
    /// From the head's arrival to the first byte of the response, where a destination or a target had
    /// one: as the target wrote it, or as it reached the front.
    pub first_byte: Option<Duration>,
    /// What went wrong, if anything.
    pub error: Option<ForwarderError>,
}

impl Outcome {
    /// Of an answer of the front's own.
    pub fn local(status: u16, bytes_sent: u64, duration: Duration) -> Self {
        Self {
            route: None,
            destination: None,
            mode: Mode::Local,
            reason: None,
            status,
            bytes_sent,
            bytes_received: None,
            duration,
            decided: None,
            queued: None,
            first_byte: None,
            error: None,
        }
    }
}

/// How long an exchange was in each of its stages, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stages {
    /// From the head to the decision where it goes.
    pub decided: Option<Duration>,
    /// From there until a target took it out of its queue.
    pub queued: Option<Duration>,
    /// From there to the first byte of the response.
    pub answered: Option<Duration>,
    /// From there until the client had taken all of it.
    pub taken: Option<Duration>,
}

impl Outcome {
    /// The stages, one behind the other.
    pub fn stages(&self) -> Stages {
        let between = |from: Duration, to: Option<Duration>| to.map(|to| to.saturating_sub(from));
        let Some(decided) = self.decided else {
            return Stages::default();
        };
        let sent = self.queued.unwrap_or(decided);
        let taken = self
            .first_byte
            .map(|first| self.duration.saturating_sub(first));
        Stages {
            decided: Some(decided),
            queued: between(decided, self.queued),
            answered: between(sent, self.first_byte),
            taken,
        }
    }
}

/// How an exchange is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mode {
    /// By the front itself: no route, no destination, a step's answer.
    Local,
    /// By a target that holds the client's socket.
    Delegated,
    /// By a target that holds the client's socket, and has read the request itself.
    Leased,
    /// By a target, its bytes passed on by the front through memory that the two share.
    Streamed,
    /// By a target, its bytes passed on by the front over a socket.
    Relayed,
    /// By a destination over HTTP.
    Forwarded,
}

impl Mode {
    /// The word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Delegated => "delegated",
            Self::Leased => "leased",
            Self::Streamed => "streamed",
            Self::Relayed => "relayed",
            Self::Forwarded => "forwarded",
        }
    }
}

/// What went wrong, and in which phase (YARP's `ForwarderError`; reference B15).
///
/// *Canceled* is that the client is gone; *client* that it is there and fails: a malformed body, one
/// that is too large, bytes that it does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ForwarderError {
    /// The destination could not be asked: no connection, a reset, a malformed response head.
    Request,
    /// It did not answer in time.
    RequestTimedOut,
    /// The client went away before the response.
    RequestCanceled,
    /// The client went away in the middle of its body.
    RequestBodyCanceled,
    /// The client's body failed.
    RequestBodyClient,
    /// The destination did not take the body.
    RequestBodyDestination,
    /// The response cannot be passed on.
    ResponseHeaders,
    /// The client went away, or took its request back, while the response's body was passed on.
    ResponseBodyCanceled,
    /// The client did not take the response's body.
    ResponseBodyClient,
    /// The destination's body failed.
    ResponseBodyDestination,
    /// Of an upgraded connection, the client went away while it was read from.
    UpgradeRequestCanceled,
    /// Of an upgraded connection, reading from the client failed.
    UpgradeRequestClient,
    /// Of an upgraded connection, writing to the destination failed.
    UpgradeRequestDestination,
    /// Of an upgraded connection, the client went away while it was written to.
    UpgradeResponseCanceled,
    /// Of an upgraded connection, writing to the client failed, or the upgrade could not be granted.
    UpgradeResponseClient,
    /// Of an upgraded connection, reading from the destination failed.
    UpgradeResponseDestination,
    /// An upgraded connection was idle for too long.
    UpgradeActivityTimeout,
    /// There is no destination to ask.
    NoAvailableDestinations,
    /// No request can be made of the configuration.
    RequestCreation,
}

/// What went wrong in a delegated exchange, by the word of its target. Before the response has begun
/// (`status` is 0) the same ending is of another phase.
pub(crate) fn of_ending(ending: Ending, status: u16) -> Option<ForwarderError> {
    let begun = status != 0;
    match (ending, begun) {
        (Ending::Answered | Ending::NotBegun, _) => None,
        (Ending::ClientGone, false) => Some(ForwarderError::RequestCanceled),
        (Ending::ClientGone, true) => Some(ForwarderError::ResponseBodyCanceled),
        (Ending::HandlerFailed, false) => Some(ForwarderError::Request),
        (Ending::HandlerFailed, true) => Some(ForwarderError::ResponseBodyDestination),
        (Ending::BadBody, _) | (Ending::TimedOut, false) => Some(ForwarderError::RequestBodyClient),
        (Ending::TimedOut, true) => Some(ForwarderError::ResponseBodyClient),
    }
}

/// Whether a client's socket says that the client is gone, and not that it is slow.
pub(crate) fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
    )
}
