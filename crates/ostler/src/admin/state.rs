//! What the endpoint tells of.

use std::sync::Arc;

use super::readiness::Readiness;
use crate::metrics::Registry;

/// What the endpoint tells of.
#[derive(Debug)]
pub(crate) struct AdminState {
    pub(crate) registry: Registry,
    pub(crate) readiness: Arc<Readiness>,
}
