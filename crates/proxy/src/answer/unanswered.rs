//! Why no target answers a request that was to be delegated.

use http::StatusCode;
use ostler_delegation::Verbosity503;
use ostler_delegation::rule::RuleError;

use crate::outcome::ForwarderError;

/// The reason.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The rule leads nowhere.
    Rule(RuleError),
    /// The queue's limit is reached.
    QueueFull(Verbosity503),
    /// No target took it in time.
    WaitedTooLong,
    /// The route's timeout is over, and no target had begun (reference A11.4).
    TimedOut(StatusCode),
    /// Its target died with it.
    TargetDied,
    /// No entry can hold it.
    TooLarge,
}

impl Unanswered {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TimedOut(status) => *status,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// YARP's error for it.
    pub(super) fn error(&self) -> ForwarderError {
        match self {
            Self::TargetDied => ForwarderError::Request,
            Self::TimedOut(_) => ForwarderError::RequestTimedOut,
            Self::TooLarge => ForwarderError::RequestCreation,
            _ => ForwarderError::NoAvailableDestinations,
        }
    }

    /// Whether it follows from the queue's state, which the log is told of when it changes.
    pub(super) fn is_of_the_queue(&self) -> bool {
        matches!(self, Self::Rule(_) | Self::QueueFull(_))
    }

    /// http.sys' reason phrase for its error log, where it has one.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Rule(error) => error.to_string(),
            Self::QueueFull(_) => "QueueFull".to_owned(),
            Self::WaitedTooLong => "Timer_AppPool".to_owned(),
            Self::TimedOut(_) => "the route's timeout is over".to_owned(),
            Self::TargetDied => "Connection_Abandoned_By_AppPool".to_owned(),
            Self::TooLarge => "the request does not fit into a queue entry".to_owned(),
        }
    }
}
