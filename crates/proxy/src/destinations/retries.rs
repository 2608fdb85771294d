//! How long unused connections are kept, and when a request that met one too old is sent again.

use std::time::Duration;

use http::Method;

/// How long an unused connection is kept (reference B16.4).
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is sent again that a destination has not processed (reference B10.3).
pub(super) const MOST_RETRIES: u32 = 3;

/// Whether a request without a body may be sent again that a destination may have processed (RFC 9110
/// section 9.2.2). A PUT without one has said that there is nothing, and that has been sent.
pub(super) fn may_be_repeated(method: &Method) -> bool {
    method.is_safe() || *method == Method::DELETE
}
