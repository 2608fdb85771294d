//! Another destination for a delegated exchange that nobody has begun: its queue has no instance, or
//! none that takes anything, and another destination could answer at once.

use std::rc::Rc;
use std::sync::Arc;

use ostler_model::DestinationState;

use crate::affinity;
use crate::context::ExchangeContext;
use crate::exchange_state::Exchange;
use crate::outcome::ForwarderError;
use crate::worker::Worker;

/// Whether there is another destination that could take the exchange now.
pub(crate) fn can_go_elsewhere(worker: &Worker, context: &ExchangeContext<'_>) -> bool {
    others(worker, context).next().is_some()
}

/// The destination that the exchange goes to instead, as the cluster balances its load. Where none is
/// left by now, it stays where it is.
pub(crate) fn go_elsewhere(
    exchange: &mut Exchange<'_, '_>,
    destination: Arc<DestinationState>,
) -> Arc<DestinationState> {
    let worker = Rc::clone(exchange.worker());
    let context = &mut exchange.context;
    let left: Vec<_> = others(&worker, context).map(Arc::clone).collect();
    let model = context.cluster().model();
    let picked = worker.with_random(|random| {
        let picked = model.load_balancing.pick(context.cluster(), &left, random);
        picked.or(left.first()).map(Arc::clone)
    });
    let Some(other) = picked else {
        return destination;
    };
    tracing::debug!(
        cluster = context.cluster().id(),
        destination = destination.id(),
        instead = other.id(),
        "a request that nobody has begun goes to another destination"
    );
    let error = ForwarderError::NoAvailableDestinations;
    exchange.account.decided_anew(&other, error);
    context.choose(Arc::clone(&other));
    affinity::issue_key_anew(context, &other);
    other
}

fn others<'c>(
    worker: &'c Worker,
    context: &'c ExchangeContext<'_>,
) -> impl Iterator<Item = &'c Arc<DestinationState>> {
    let tries_others = context
        .cluster()
        .model()
        .config
        .ostler
        .try_other_destinations
        != Some(false);
    let others = context
        .alternatives()
        .filter(|other| worker.could_take(other));
    others.filter(move |_| tries_others)
}
