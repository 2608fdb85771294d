//! `MaxRequestBodySize` (reference A11.6): a length beyond it is refused here, before a byte is read;
//! a chunked body is counted by whoever reads it.

use http::StatusCode;
use ostler_http1::Framing;

use crate::context::ExchangeContext;

/// The limit of an exchange, which the route's own sets aside the server's; `None` is none.
///
/// # Errors
///
/// The status of the answer, where the request is not to go on: 413, or 500 for a limit that means
/// nothing.
pub(super) fn check(
    context: &ExchangeContext<'_>,
    of_server: Option<u64>,
) -> Result<Option<u64>, StatusCode> {
    let route = &context.route().config;
    let limit = match route.max_request_body_size {
        // Calls that stream have no length worth limiting (reference B13).
        _ if context.is_grpc() => None,
        None => of_server,
        Some(-1) => None,
        Some(limit) => match u64::try_from(limit) {
            Ok(limit) => Some(limit),
            Err(_) => {
                tracing::error!(route = route.route_id, limit, "a body limit is negative");
                return Err(StatusCode::INTERNAL_SERVER_ERROR);
            }
        },
    };
    match (limit, context.head().framing()) {
        (Some(limit), Framing::Length(length)) if length > limit => {
            tracing::info!(route = route.route_id, length, limit, "a body is too large");
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        _ => Ok(limit),
    }
}
