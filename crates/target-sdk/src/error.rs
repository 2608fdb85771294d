//! What can go wrong when a queue is opened, and while a body is read.

use ostler_delegation::QueueError;

/// Any error of a service or of its bodies.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Opening a request queue failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The queue cannot be opened as asked.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The queue's socket cannot be waited on.
    #[error("cannot wait on the queue's socket")]
    Io(#[source] std::io::Error),
}

/// Reading a request's body failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client went away before the end of the body.
    #[error("the client went away before the end of the body")]
    ClientGone,
    /// The client sent nothing for too long.
    #[error("the client sent no body byte for {} s", .0.as_secs())]
    TimedOut(std::time::Duration),
    /// The client sent the body more slowly than the front's configuration allows.
    #[error("the client sends the body too slowly")]
    TooSlow,
    /// The body is larger than the front's configuration allows.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// The body breaks the framing of HTTP/1.1.
    #[error("the body is malformed")]
    Malformed(#[from] ostler_http1::BodyError),
    /// The exchange is over; what is left of the body is not for the handler.
    #[error("the exchange is over")]
    ExchangeOver,
    /// The client's socket failed.
    #[error("the client's socket failed")]
    Io(#[source] std::io::Error),
    /// A relayed body failed.
    #[error("the relayed body failed")]
    Relayed(#[source] BoxError),
}
