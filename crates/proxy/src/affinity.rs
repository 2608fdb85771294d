//! Session affinity on an exchange (reference A4.3, A6.3 and A6.4).

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use ostler_model::session_affinity::{Affinity, UnixSeconds};
use ostler_model::{DestinationState, SessionAffinity};

use crate::context::ExchangeContext;
use crate::head_view::HeadView;

/// Narrows the available destinations to the one the client belongs to. False when the failure
/// policy has the request answered 503.
///
/// Whoever has no destination yet is given one when it is chosen: see [`issue_key`].
pub(crate) fn find(context: &mut ExchangeContext<'_>, affinity: Arc<SessionAffinity>) -> bool {
    let found = {
        let available = context.available_destinations();
        let request = HeadView(context.head(), context.is_https());
        let found = affinity.policy.find(&request, &affinity.config, available);
        match found {
            Affinity::Found(destination) => Ok(Arc::clone(destination)),
            Affinity::KeyNotSet => Err(true),
            failure => {
                let goes_on = affinity.failure_policy.goes_on(failure);
                tracing::warn!(
                    cluster = context.cluster().id(),
                    policy = affinity.policy.name(),
                    ?failure,
                    goes_on,
                    "the destination a client belongs to cannot be used"
                );
                Err(goes_on)
            }
        }
    };
    match found {
        Ok(destination) => {
            // Where it cannot be reached, the failure policy says whether another may answer.
            if affinity
                .failure_policy
                .goes_on(Affinity::DestinationNotFound)
            {
                context.choose(destination);
                context.bind(affinity);
            } else {
                context.narrow_to(destination);
            }
            true
        }
        Err(goes_on) => {
            if goes_on {
                context.set_affinity(affinity);
            }
            goes_on
        }
    }
}

/// The same for another destination than the one that was chosen before.
pub(crate) fn issue_key_anew(context: &mut ExchangeContext<'_>, destination: &DestinationState) {
    context.unbind();
    issue_key(context, destination);
}

/// Has the response make the client come back to the destination, if it does not belong to one yet.
/// A delegated response carries the key as a response directive, which YARP cannot do.
pub(crate) fn issue_key(context: &mut ExchangeContext<'_>, destination: &DestinationState) {
    let Some(affinity) = context.take_affinity() else {
        return;
    };
    context.bind_from_here(Arc::clone(&affinity));
    let now = UnixSeconds(crate::clock::seconds_since_1970());
    let request = HeadView(context.head(), context.is_https());
    let field = affinity
        .policy
        .key_field(&request, &affinity.config, destination, now);
    // None: the policy has nothing to tell the client.
    let added = field.is_none_or(|field| {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_str(&field.value);
        matches!((name, value), (Ok(name), Ok(value)) if context.add_response_field(&name, &value))
    });
    if !added {
        tracing::warn!(
            cluster = context.cluster().id(),
            policy = affinity.policy.name(),
            "the response cannot carry an affinity key"
        );
    }
}
