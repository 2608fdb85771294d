//! The log's line that says why the front answers itself.

use http::StatusCode;
use ostler_delegation::QueueName;

use super::{Request, Respond, Unanswered, Why};
use crate::context::ExchangeContext;
use crate::error_chain::Chain;
use crate::failing::{MethodAndPath, warn_of_failure};

/// Tells the log. What a policy, a step or a transform answers is theirs to tell.
pub(super) fn tell(why: &Why, respond: &Respond<'_, '_>) {
    let client = respond.client_side.facts().client;
    match (why, respond.request) {
        (Why::AmbiguousRoutes(routes), _) => {
            tracing::error!(?routes, "several routes match a request equally well");
        }
        (Why::NoCluster, Request::Read(head, _)) => {
            let (route, request) = (respond.account.route_id(), MethodAndPath(head));
            tracing::info!(route, %request, "the route has no cluster");
        }
        (Why::TooManyUpgrades, _) => {
            tracing::info!("there are as many upgraded connections as may be");
        }
        (Why::MalformedHead(error), _) => {
            let status = why.status().as_u16();
            tracing::debug!(?client, status, %error, "a request is refused");
        }
        (Why::MalformedStream(_, error), _) => {
            tracing::debug!(?client, %error, "a request is refused");
        }
        _ => {
            if let Some(context) = respond.context {
                tell_of_destination(why, context);
            }
        }
    }
}

/// Tells of what a destination or a target has to do with.
fn tell_of_destination(why: &Why, context: &ExchangeContext<'_>) {
    match why {
        Why::NoDestination => warn_of_failure!(context, "no destination is available"),
        Why::NoRule(error) => warn_of_failure!(context, %error, "no delegation rule can be made"),
        Why::NotTransformed => {
            let route = &context.route().config.route_id;
            warn_of_failure!(
                context,
                route,
                "transforms make no head that can be delegated"
            );
        }
        Why::Unanswered(queue, reason) => unanswered(queue, reason, why.status(), context),
        Why::NoRequest(_, error) => {
            warn_of_failure!(context, error = %Chain(error.as_ref()), "no request can be made");
        }
        Why::UpgradeForbidden => warn_of_failure!(
            context,
            "an upgrade needs HTTP/1.1, which the version's policy forbids"
        ),
        Why::InvalidKey(error) => {
            let client = context.client_address();
            warn_of_failure!(context, ?client, %error, "a WebSocket is refused");
        }
        Why::NoResponse(failure) => {
            if let Some(cause) = &failure.cause {
                warn_of_failure!(context, error = %Chain(cause.as_ref()), "forwarding failed");
            }
        }
        Why::SwitchIgnored(status) => warn_of_failure!(
            context,
            %status,
            "a destination answers a WebSocket's handshake as if it were none"
        ),
        _ => {}
    }
}

/// What follows from the state of its queue the log is told when that changes, and not for each
/// request.
fn unanswered(
    queue: &QueueName,
    reason: &Unanswered,
    status: StatusCode,
    context: &ExchangeContext<'_>,
) {
    const TEXT: &str = "a delegated request is answered here";
    let destination = context.chosen().map(|destination| destination.id());
    let (request, status) = (MethodAndPath(context.head()), status.as_u16());
    let text = reason.reason();
    if reason.is_of_the_queue() {
        tracing::debug!(%queue, destination, %request, status, reason = text, "{TEXT}");
    } else {
        tracing::warn!(%queue, destination, %request, status, reason = text, "{TEXT}");
    }
}
