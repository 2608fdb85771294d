//! What can go wrong between a program and its queue.

use ostler_target::{BindError, BodyError, QueueError};

/// Why a call did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A handle that stands for nothing, or not for what the call is about.
    #[error("this handle stands for no {0}: it was closed, or never one")]
    Handle(&'static str),
    /// What was given cannot be right.
    #[error("{0}")]
    Argument(String),
    /// It cannot be done now, or not any more.
    #[error("{0}")]
    State(&'static str),
    /// It would have to wait: an event says when to try again.
    #[error("this would have to wait; an event says when to try again")]
    Again,
    /// The client is gone, or its exchange is over.
    #[error("the client is gone, or the exchange is over")]
    Gone,
    /// The queue cannot be opened.
    #[error("the queue cannot be opened: {0}")]
    Bind(#[from] BindError),
    /// The request's body cannot be read.
    #[error("{0}")]
    Body(BodyError),
    /// The system refuses.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A fault of this library's.
    #[error("a fault of the library's: {0}")]
    Fault(String),
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::ClientGone | BodyError::ExchangeOver => Self::Gone,
            BodyError::Io(error) => Self::Io(error),
            other => Self::Body(other),
        }
    }
}

impl Error {
    /// Whether the queue exists already, is missing, or may not be opened by this user.
    pub(crate) fn queue_error(&self) -> Option<&QueueError> {
        match self {
            Self::Bind(BindError::Queue(error)) => Some(error),
            _ => None,
        }
    }
}
