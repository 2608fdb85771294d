//! What stands before the proxy pipeline: the policies that a route names, in ASP.NET's order
//! (reference A4.1): CORS, authorization, rate limiter, request timeouts.

mod authorization;
mod body_limit;
mod cors;
mod not_admitted;
mod rate_limiter;

use bytes::Bytes;

use crate::client_side::ClientSide;
use crate::context::ExchangeContext;
use crate::deadline::Deadline;
use crate::limits::FrontLimits;
use crate::permits::Permits;
use crate::reason::Reason;

pub(crate) use not_admitted::NotAdmitted;

/// Asks each policy in turn, and gives what the exchange holds until it is over. A route without
/// policies costs nothing here.
pub(crate) async fn admit(
    client_side: &mut ClientSide<'_>,
    context: &mut ExchangeContext<'_>,
    limits: &FrontLimits,
) -> Result<Permits, NotAdmitted> {
    let mut permits = Permits::default();
    if context.route().policies.cors.is_some()
        && let Some(response) = cors::apply(context)
    {
        return Err(NotAdmitted::Answered(Reason::Cors, response));
    }
    if let Some(authorization) = &context.route().policies.authorization
        && let Some(response) = authorization::refuse(context, authorization)
    {
        return Err(NotAdmitted::Answered(Reason::Authorization, response));
    }
    if context.route().policies.rate_limiters.is_some() {
        permits = rate_limiter::acquire(client_side, context).await?;
    }
    if let Some(timeout) = context.route().policies.request_timeout {
        context.set_deadline(Deadline::start(timeout));
    }
    match body_limit::check(context, limits.max_request_body_size) {
        Ok(limit) => context.set_body_limit(limit),
        Err(status) => {
            let mut response = http::Response::new(Bytes::new());
            *response.status_mut() = status;
            return Err(NotAdmitted::Answered(Reason::BodyTooLarge, response));
        }
    }
    Ok(permits)
}
