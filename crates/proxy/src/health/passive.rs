//! Reporting how an exchange ended to its cluster's passive health policy (reference A7.4).

use std::sync::Arc;

use ostler_model::health::{PassiveHealthCheckPolicy, ProxiedExchange};
use ostler_model::{ClusterState, DestinationHealth, DestinationState};

use super::signal::HealthSignal;
use crate::outcome::ForwarderError;

/// An exchange whose end is to be reported.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) cluster: Arc<ClusterState>,
    pub(crate) policy: Arc<dyn PassiveHealthCheckPolicy>,
    pub(crate) signal: HealthSignal,
}

impl Watched {
    /// The exchange is over.
    pub(crate) fn report(
        &self,
        destination: &Arc<DestinationState>,
        status: u16,
        error: Option<ForwarderError>,
    ) {
        let exchange = ProxiedExchange {
            failed: error.is_some_and(is_failure),
            status,
        };
        let now = crate::clock::now();
        let verdict = self
            .policy
            .request_proxied(&self.cluster, destination, exchange, now);
        let Some(verdict) = verdict else { return };
        let change = self.cluster.set_passive_health(destination, verdict, now);
        let Some(change) = change else { return };
        let (cluster, destination) = (self.cluster.id(), destination.id());
        match verdict.health {
            DestinationHealth::Unhealthy => tracing::warn!(
                cluster,
                destination,
                "too many exchanges fail: passive health is unhealthy"
            ),
            health => tracing::info!(cluster, destination, ?health, "passive health has changed"),
        }
        if change.scheduled {
            let after = verdict.reactivate_after;
            tracing::warn!(
                cluster,
                destination,
                ?after,
                "reactivation of an unhealthy destination is scheduled"
            );
            self.signal.stir();
        }
    }
}

/// Whether the destination is to blame. What the client does is not, and neither is any status nor
/// a queue without an instance.
fn is_failure(error: ForwarderError) -> bool {
    match error {
        ForwarderError::Request
        | ForwarderError::RequestTimedOut
        | ForwarderError::RequestBodyDestination
        | ForwarderError::ResponseBodyDestination
        | ForwarderError::UpgradeRequestDestination
        | ForwarderError::UpgradeResponseDestination => true,
        ForwarderError::RequestCanceled
        | ForwarderError::RequestBodyCanceled
        | ForwarderError::RequestBodyClient
        | ForwarderError::ResponseHeaders
        | ForwarderError::ResponseBodyClient
        | ForwarderError::ResponseBodyCanceled
        | ForwarderError::UpgradeRequestCanceled
        | ForwarderError::UpgradeRequestClient
        | ForwarderError::UpgradeResponseCanceled
        | ForwarderError::UpgradeResponseClient
        | ForwarderError::UpgradeActivityTimeout
        | ForwarderError::NoAvailableDestinations
        | ForwarderError::RequestCreation => false,
    }
}
