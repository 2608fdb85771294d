//! What stands before the proxy pipeline: the policies that a route names, in ASP.NET's order
//! (reference 4.1): CORS, authorization, rate limiter, request timeouts.

mod authorization;
mod body_limit;
mod request_timeouts;

use bytes::Bytes;

use crate::context::ExchangeContext;
use crate::front::FrontLimits;

pub(crate) use request_timeouts::{Deadline, GRACE};

/// What became of an exchange at the door.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It goes on; what is held for it is given back when this is dropped.
    Admitted(Admitted),
    /// It is answered here.
    Answered(http::Response<Bytes>),
}

/// What an admitted exchange holds until it is over.
#[derive(Debug, Default)]
pub(crate) struct Admitted {}

/// Asks each policy in turn. A route without policies costs nothing here.
pub(crate) async fn admit(context: &mut ExchangeContext<'_>, limits: &FrontLimits) -> Admission {
    if let Some(authorization) = &context.route().policies.authorization
        && let Some(response) = authorization::refuse(context, authorization)
    {
        return Admission::Answered(response);
    }
    if let Some(timeout) = context.route().policies.request_timeout {
        context.set_deadline(Deadline::start(timeout));
    }
    match body_limit::check(context, limits.max_request_body_size) {
        Ok(limit) => context.set_body_limit(limit),
        Err(status) => {
            let mut response = http::Response::new(Bytes::new());
            *response.status_mut() = status;
            return Admission::Answered(response);
        }
    }
    Admission::Admitted(Admitted::default())
}
