//! Another destination for a request of which nothing has been sent, since no connection opens to the
//! one that was chosen.

use std::sync::Arc;

use ostler_model::DestinationState;

use crate::account::Account;
use crate::affinity;
use crate::context::ExchangeContext;
use crate::destinations::SendError;
use crate::error_chain::Chain;
use crate::outcome::ForwarderError;
use crate::worker::Worker;

/// Chooses one of those that were available when the first was chosen and have not been tried, as
/// the first was: by the cluster's load balancing. `None` where there is none, or where the cluster
/// wants none. What became of the one before is told to its passive health check.
pub(super) fn choose(
    worker: &Worker,
    context: &mut ExchangeContext<'_>,
    account: &mut Account,
    error: &SendError,
) -> Option<Arc<DestinationState>> {
    let cluster = Arc::clone(context.cluster());
    let model = cluster.model();
    if model.config.ostler.try_other_destinations == Some(false) {
        return None;
    }
    let mut left = context.untried();
    if account.may_delegate() {
        // A queue's address is no place to connect to.
        left.retain(|destination| destination.model().queue.is_none());
    }
    let other = match &left[..] {
        [] => return None,
        [one] => Arc::clone(one),
        many => worker.with_random(|random| {
            let picked = model.load_balancing.pick(&cluster, many, random);
            picked.map(Arc::clone)
        })?,
    };
    tracing::debug!(cluster = cluster.id(), destination = context.chosen().map(|before| before.id()), instead = other.id(), error = %Chain(error.source.as_ref()), "a request goes to another destination");
    let error = match error.timed_out {
        true => ForwarderError::RequestTimedOut,
        false => ForwarderError::Request,
    };
    account.decided_anew(&other, error);
    context.choose(Arc::clone(&other));
    affinity::issue_key_anew(context, &other);
    Some(other)
}
