//! What goes wrong on an HTTP/1.1 connection to a destination.

use std::error::Error;
use std::io;

use ostler_http1::{RequestHeadError, ResponseBodyError, ResponseHeadError};

/// A connection fails an exchange.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Http1Error {
    #[error("the destination closed the connection before it answered")]
    Closed,
    #[error("the connection to the destination failed")]
    Io(#[from] io::Error),
    #[error("the request cannot be sent")]
    Request(#[source] RequestHeadError),
    #[error("the request's body broke off")]
    RequestBody(#[source] Box<dyn Error + Send + Sync>),
    #[error("the response's head cannot be read")]
    Head(#[from] ResponseHeadError),
    #[error("the response's body cannot be read")]
    Body(#[from] ResponseBodyError),
}

impl Http1Error {
    /// Whether it may have come of sending the request's body: there was a connection, and what
    /// failed is not the response's head.
    pub(crate) fn is_of_body(&self) -> bool {
        matches!(self, Self::Closed | Self::Io(_) | Self::RequestBody(_))
    }
}
