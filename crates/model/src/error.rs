//! What can be wrong with a configuration that is to be applied.

use std::fmt;

use crate::route::RouteBuildError;

/// A configuration was not applied; the one before stays in force, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Listed(.mistakes))]
pub struct ApplyError {
    /// Every mistake found, clusters before routes, each in configuration order. Never empty.
    pub mistakes: Vec<ApplyMistake>,
}

/// One reason why a configuration was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyMistake {
    /// Two routes have one id (compared without case).
    #[error("route {0:?} is there twice")]
    DuplicateRoute(String),
    /// Two clusters have one id (compared without case).
    #[error("cluster {0:?} is there twice")]
    DuplicateCluster(String),
    /// Two destinations of one cluster have one id (compared without case).
    #[error("destination {destination_id:?} is there twice in cluster {cluster_id:?}")]
    DuplicateDestination {
        /// The cluster.
        cluster_id: String,
        /// The repeated id.
        destination_id: String,
    },
    /// A cluster names a load balancing policy that does not exist.
    #[error("cluster {cluster_id:?} has no such load balancing policy as {policy:?}")]
    UnknownLoadBalancingPolicy {
        /// The cluster.
        cluster_id: String,
        /// The name.
        policy: String,
    },
    /// A cluster names a policy that does not exist.
    #[error("cluster {cluster_id:?} has no such {kind} as {policy:?}")]
    UnknownPolicy {
        /// The cluster.
        cluster_id: String,
        /// What kind of policy.
        kind: &'static str,
        /// The name.
        policy: String,
    },
    /// A cluster names an available destinations policy that does not exist.
    #[error("cluster {cluster_id:?} has no such available destinations policy as {policy:?}")]
    UnknownAvailableDestinationsPolicy {
        /// The cluster.
        cluster_id: String,
        /// The name.
        policy: String,
    },
    /// A cluster names a health check policy that does not exist.
    #[error("cluster {cluster_id:?} has no such {kind} health check policy as {policy:?}")]
    UnknownHealthCheckPolicy {
        /// `active` or `passive`.
        kind: &'static str,
        /// The cluster.
        cluster_id: String,
        /// The name.
        policy: String,
    },
    /// A route cannot be compiled.
    #[error(transparent)]
    Route(#[from] RouteBuildError),
}

/// The mistakes on one line.
struct Listed<'a>(&'a [ApplyMistake]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}
