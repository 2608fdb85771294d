//! What the proxy knows and decides: routes, clusters, destinations, policies; no socket, no clock.
//!
//! Three kinds of type, in YARP's words. A `*Config` (in `ostler_config`) is what the file says. A
//! `*Model` is that, resolved; it never changes and is replaced whole on reload. A `*State` outlives
//! reloads: counters and health. A request takes one [`Snapshot`] when it starts and keeps it.
//!
//! ```
//! use ostler_config::schema::{ClusterConfig, DestinationConfig, MatchConfig, ProxyConfig, RouteConfig};
//! use ostler_model::{Found, ProxyModel, RequestView};
//!
//! struct Request(&'static str);
//! impl RequestView for Request {
//!     fn method(&self) -> &str { "GET" }
//!     fn path(&self) -> &str { self.0 }
//!     fn query(&self) -> Option<&str> { None }
//!     fn authority(&self) -> &str { "example.com" }
//!     fn is_https(&self) -> bool { false }
//!     fn for_each_field_value(&self, _name: &str, _visit: &mut dyn FnMut(&[u8])) {}
//! }
//!
//! let model = ProxyModel::new();
//! let snapshot = model.apply(&ProxyConfig {
//!     routes: vec![RouteConfig {
//!         route_id: "api".into(),
//!         cluster_id: Some("cluster1".into()),
//!         matches: MatchConfig { path: Some("/api/{**rest}".into()), ..Default::default() },
//!         ..Default::default()
//!     }].into(),
//!     clusters: vec![ClusterConfig {
//!         cluster_id: "cluster1".into(),
//!         destinations: vec![DestinationConfig {
//!             destination_id: "d1".into(),
//!             address: "http://localhost:5001/".into(),
//!             ..Default::default()
//!         }],
//!         ..Default::default()
//!     }].into(),
//!     ..Default::default()
//! })?;
//! let Found::Route(route) = snapshot.routes.find(&Request("/api/users")) else { panic!() };
//! assert_eq!(route.cluster.as_ref().unwrap().destinations().available.len(), 1);
//! assert!(matches!(snapshot.routes.find(&Request("/")), Found::NotFound));
//! # Ok::<(), ostler_model::ApplyError>(())
//! ```
#![forbid(unsafe_code)]

pub mod cluster;
pub mod destination;
pub mod health;
pub mod load_balancing;
pub mod policies;
pub mod provider;
pub mod route;
pub mod session_affinity;
pub mod transforms;

mod equality;
mod error;
mod ordinal;
mod pairs;
mod proxy_model;
mod queue_names;
mod random;
mod registry;
mod snapshot;

pub use cluster::{AvailableDestinationsPolicy, ClusterModel, ClusterState, DestinationSnapshot};
pub use destination::{DestinationHealth, DestinationModel, DestinationState, RequestGuard};
pub use error::{ApplyError, ApplyMistake};
pub use health::{ActiveHealthCheckPolicy, PassiveHealthCheckPolicy};
pub use load_balancing::LoadBalancingPolicy;
pub use policies::RoutePolicies;
pub use proxy_model::ProxyModel;
pub use queue_names::QueueNames;
pub use random::{FastRandom, RandomSource};
pub use registry::{DuplicatePolicy, PolicyRegistry};
pub use route::{
    ConfigurationRules, ExclusivePaths, Found, HostError, HostPattern, PathSet, PathTemplate,
    RequestView, RouteBuildError, RouteModel, RouteRules, RouteTable, TemplateError,
};
pub use session_affinity::{AffinityFailurePolicy, SessionAffinity, SessionAffinityPolicy};
pub use snapshot::{Clusters, Snapshot};
