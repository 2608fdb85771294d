//! What stands before the proxy pipeline: the policies that a route names, in ASP.NET's order
//! (reference A4.1): CORS, authorization, rate limiter, request timeouts.

mod authorization;
mod body_limit;
mod cors;
mod rate_limiter;
mod request_timeouts;

use bytes::Bytes;

use crate::client_side::ClientSide;
use crate::context::ExchangeContext;
use crate::limits::FrontLimits;

pub(crate) use request_timeouts::{Deadline, GRACE};

/// What became of an exchange at the door.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It goes on; what is held for it is given back when this is dropped.
    Admitted(Admitted),
    /// It is answered here.
    Answered(http::Response<Bytes>),
    /// The client went away while it waited.
    ClientGone,
}

/// What an admitted exchange holds until it is over.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    permits: rate_limiter::Permits,
}

impl Admitted {
    /// Whether others may be waiting for what it holds, so that its end must be known at once.
    pub(crate) fn is_awaited(&self) -> bool {
        self.permits.are_given_back()
    }
}

/// Asks each policy in turn. A route without policies costs nothing here.
pub(crate) async fn admit(
    client_side: &mut ClientSide<'_>,
    context: &mut ExchangeContext<'_>,
    limits: &FrontLimits,
) -> Admission {
    let mut admitted = Admitted::default();
    if context.route().policies.cors.is_some()
        && let Some(response) = cors::apply(context)
    {
        return Admission::Answered(response);
    }
    if let Some(authorization) = &context.route().policies.authorization
        && let Some(response) = authorization::refuse(context, authorization)
    {
        return Admission::Answered(response);
    }
    if context.route().policies.rate_limiters.is_some() {
        match rate_limiter::acquire(client_side, context).await {
            Ok(permits) => admitted.permits = permits,
            Err(refusal) => return refusal,
        }
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
    Admission::Admitted(admitted)
}
