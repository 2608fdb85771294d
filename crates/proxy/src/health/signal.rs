//! How others tell the thread of health checks that something has changed.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes the thread of health checks: the configuration or a passive state has changed.
#[derive(Debug, Default, Clone)]
pub(crate) struct HealthSignal(pub(super) Arc<Notify>);

impl HealthSignal {
    pub(crate) fn stir(&self) {
        self.0.notify_one();
    }
}
