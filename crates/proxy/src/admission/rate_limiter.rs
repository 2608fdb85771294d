//! Rate limiters: the global one, then the one the route names (reference A11.3).
//!
//! 1. ask for a permit;
//! 2. wait for one where the limiter has a queue, and keep an eye on the client meanwhile;
//! 3. answer that there is none, as ASP.NET does, and when to come again, which ASP.NET leaves to
//!    code (`OnRejected`).

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use ostler_model::policies::{Acquired, Permit, Rejected, Waiting};

use super::not_admitted::NotAdmitted;
use crate::client_side::ClientSide;
use crate::context::ExchangeContext;
use crate::head_view::HeadView;
use crate::permits::Permits;
use crate::reason::Reason;

/// Gets the exchange its permits.
pub(super) async fn acquire(
    client_side: &mut ClientSide<'_>,
    context: &ExchangeContext<'_>,
) -> Result<Permits, NotAdmitted> {
    let route = Arc::clone(context.route());
    let Some(limiters) = &route.policies.rate_limiters else {
        return Ok(Permits::default());
    };
    let mut permits = Permits::default();
    let asked = [&limiters.global, &limiters.named];
    for (permit, limiter) in permits.slots().zip(asked) {
        let Some(limiter) = limiter else { continue };
        if limiter.counts_exchanges_under_way() {
            // Ends of delegated exchanges are taken in lazily; now they matter.
            client_side.worker().settle();
        }
        let client = context.client_address().map(|client| client.ip());
        let acquired =
            limiter.acquire(now(), client, &HeadView(context.head(), context.is_https()));
        let acquired = match acquired {
            Acquired::Permit(permit) => Ok(permit),
            Acquired::Rejected(rejected) => Err(rejected),
            // On the heap, so that exchanges that do not wait do not carry the room for it.
            Acquired::Waiting(waiting) => match Box::pin(wait(client_side, waiting)).await {
                Some(waited) => waited,
                None => return Err(NotAdmitted::ClientGone),
            },
        };
        match acquired {
            Ok(acquired) => *permit = Some(acquired),
            Err(rejected) => {
                // Not louder: clients choose how often it is said.
                tracing::debug!(
                    route = route.config.route_id,
                    client = ?context.client_address(),
                    status = limiters.rejection_status,
                    "a request is rejected by a rate limiter"
                );
                let response = rejection(limiters.rejection_status, rejected);
                return Err(NotAdmitted::Answered(Reason::RateLimiter, response));
            }
        }
    }
    Ok(permits)
}

fn rejection(status: u16, rejected: Rejected) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    *response.status_mut() = status;
    if let Some(after) = rejected.retry_after {
        // Whole seconds (RFC 9110 section 10.2.3); rounded down, the client would come too early.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let value = HeaderValue::from(seconds.max(1));
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// Waits in the limiter's queue; `None` when the client goes away.
async fn wait(
    client_side: &mut ClientSide<'_>,
    mut waiting: Waiting,
) -> Option<Result<Permit, Rejected>> {
    let mut gone = pin!(client_side.gone());
    loop {
        let replenished = waiting.replenished_in(now());
        let time = async {
            match replenished {
                Some(replenished) => tokio::time::sleep(replenished).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            permit = poll_fn(|cx| waiting.poll(now(), cx.waker())) => return Some(permit),
            _ = gone.as_mut() => return None,
            () = time => {}
        }
    }
}

/// The time that limiters reckon with.
fn now() -> Duration {
    Duration::from_nanos(ostler_shm::monotonic_nanoseconds())
}
