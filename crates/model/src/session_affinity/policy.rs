//! What session affinity asks of its policies.

use std::fmt;
use std::sync::Arc;

use ostler_config::schema::SessionAffinityConfig;

use crate::destination::DestinationState;
use crate::route::RequestView;

/// What a request says about its destination.
#[derive(Debug, Clone, Copy)]
pub enum Affinity<'a> {
    /// Nothing: it is the first of its session.
    KeyNotSet,
    /// It has a key that cannot be read.
    KeyExtractionFailed,
    /// Its key is of a destination that is not there, or not available.
    DestinationNotFound,
    /// It belongs to this destination.
    Found(&'a Arc<DestinationState>),
}

/// A way to remember a destination.
pub trait SessionAffinityPolicy: Send + Sync {
    /// The name that `SessionAffinity:Policy` says, compared without case.
    fn name(&self) -> &str;

    /// Finds the destination of a request among those available.
    fn find<'a>(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        available: &'a [Arc<DestinationState>],
    ) -> Affinity<'a>;

    /// The field for the response that makes the client come back to a destination; none when the
    /// client need not be told, or cannot be.
    fn key_field(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        destination: &DestinationState,
        now: UnixSeconds,
    ) -> Option<KeyField>;
}

/// Seconds since 1970, for cookies that expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixSeconds(pub u64);

/// A field for the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What to do about a request whose destination cannot be used.
pub trait AffinityFailurePolicy: Send + Sync {
    /// The name that `SessionAffinity:FailurePolicy` says, compared without case.
    fn name(&self) -> &str;

    /// Whether the request goes on, to any of the available destinations; else it is answered 503.
    fn goes_on(&self, failure: Affinity<'_>) -> bool;
}

/// Session affinity of a cluster, resolved.
#[derive(Debug)]
pub struct SessionAffinity {
    /// As it is written.
    pub config: SessionAffinityConfig,
    /// How a destination is remembered.
    pub policy: Arc<dyn SessionAffinityPolicy>,
    /// What is done when it cannot be used.
    pub failure_policy: Arc<dyn AffinityFailurePolicy>,
}

impl fmt::Debug for dyn SessionAffinityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for dyn AffinityFailurePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
