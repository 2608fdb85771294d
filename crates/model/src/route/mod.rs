//! Routes: which of them a request belongs to (reference A3).
//!
//! ```text
//! path  ->  S, the routes whose template fits  ->  method  ->  host  ->  filters  ->  rank  ->  one
//!           (PathIndex: a trie of segments)        405         (HostIndex)                  404, 500
//! ```

pub(crate) mod escape;
mod host;
mod method;
pub(crate) mod path;
mod rules;
mod table;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod unmet;
mod validate;

use std::sync::Arc;

use ostler_config::schema::RouteConfig;

use crate::cluster::ClusterState;
use crate::policies::RoutePolicies;
use crate::transforms::Transforms;

pub use host::{HostError, HostPattern};
pub use table::{Found, RouteBuildError, RouteTable};
pub(crate) use template::PathBinder;
pub use template::{PathTemplate, TemplateError};
pub use unmet::MatchPart;
pub use validate::{ConfigurationRules, RouteRules};

/// What route matching reads of a request. Implemented by the proxy for its heads.
pub trait RequestView {
    /// The method as it was sent, case included.
    fn method(&self) -> &str;

    /// The path as it was sent: percent-encoded, without query. What does not begin with `/` (the
    /// `*` of OPTIONS, a CONNECT request) counts as the path without segments.
    fn path(&self) -> &str;

    /// What follows the first `?`, without it; `None` when there is none.
    fn query(&self) -> Option<&str>;

    /// `host[:port]` of the `Host` field or `:authority`; empty when there is none.
    fn authority(&self) -> &str;

    /// Whether the request came over TLS: the port is 443 then where `authority` names none, else 80.
    fn is_https(&self) -> bool;

    /// Calls `visit` with the value of each field line of that name (compared without case), in the
    /// order they were sent, without the blanks around it.
    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8]));
}

/// What the configuration says of a route, bound to its cluster; replaced whole when that changes.
#[derive(Debug, Clone)]
pub struct RouteModel {
    /// The route as it is written.
    pub config: RouteConfig,
    /// The cluster that answers; `None` when `ClusterId` is absent or names none, and then the
    /// route still matches and the request is answered 503.
    pub cluster: Option<Arc<ClusterState>>,
    /// The policies it names, resolved.
    pub policies: RoutePolicies,
    /// Its transforms; `None` where only the defaults apply.
    pub transforms: Option<Arc<Transforms>>,
}
