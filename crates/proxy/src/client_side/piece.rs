//! The pieces that a request's body is read in.

use bytes::Bytes;
use http::HeaderMap;

/// What comes next of a body.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// The trailer section; the end comes behind it.
    Trailers(HeaderMap),
    End,
}

/// Why a body cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFailure {
    /// The client ended its stream, or the connection broke.
    Gone,
    Malformed,
    /// It comes more slowly than it may.
    TooSlow,
}
