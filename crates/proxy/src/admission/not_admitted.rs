//! Why an exchange is not let in.

use bytes::Bytes;

/// Why an exchange does not go on.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    /// A policy answers.
    Answered(http::Response<Bytes>),
    /// The client went away while it waited.
    ClientGone,
}
