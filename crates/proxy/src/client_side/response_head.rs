//! What is written of a response before its body, and why it may not be.

use std::io;

use http::{HeaderMap, StatusCode};
use ostler_http1::{BodyLength, BodyLengthError};

/// A response's head.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) status: StatusCode,
    /// Of HTTP/1.1 destinations.
    pub(crate) reason: Option<&'a str>,
    pub(crate) fields: HeaderMap,
    /// Fields that come behind the others.
    pub(crate) added: &'a [(&'a [u8], &'a [u8])],
    pub(crate) length: BodyLength,
    /// Whether the connection may carry another request, as far as this exchange is concerned.
    pub(crate) keep_alive: bool,
}

/// A response cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the client does not take the response")]
    Client(#[source] io::Error),
    #[error("the body is not as long as its Content-Length")]
    Length(#[from] BodyLengthError),
}
