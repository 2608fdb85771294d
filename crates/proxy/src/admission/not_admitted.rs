//! Why an exchange is not let in.

use bytes::Bytes;

use crate::reason::Reason;

/// Why an exchange does not go on.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    /// A policy answers, and which.
    Answered(Reason, http::Response<Bytes>),
    /// The client went away while it waited.
    ClientGone,
}
