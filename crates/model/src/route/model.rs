//! A route as it is in force.

use std::sync::Arc;

use ostler_config::schema::RouteConfig;

use super::action::RouteAction;
use crate::cluster::ClusterState;
use crate::policies::RoutePolicies;
use crate::transforms::Transforms;

/// What the configuration says of a route, bound to its cluster; replaced whole when that changes.
#[derive(Debug, Clone)]
pub struct RouteModel {
    /// The route as it is written.
    pub config: Arc<RouteConfig>,
    /// The cluster that answers; `None` when `ClusterId` is absent or names none, and then the
    /// route still matches and the request is answered 503.
    pub cluster: Option<Arc<ClusterState>>,
    /// The policies it names, resolved.
    pub policies: RoutePolicies,
    /// What it answers by itself, if it does; then there is no cluster.
    pub action: Option<Arc<RouteAction>>,
    /// Its transforms; `None` where only the defaults apply.
    pub transforms: Option<Arc<Transforms>>,
}
