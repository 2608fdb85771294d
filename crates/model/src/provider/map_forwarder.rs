//! Routes that are forwarded to a prefix, without a cluster to be written (YARP's `MapForwarder`).

use std::collections::BTreeMap;

use ostler_config::schema::{
    ActivityTimeout, ClusterConfig, DestinationConfig, HttpClientConfig, HttpRequestConfig,
    MatchConfig, RouteConfig,
};

/// A path template and the prefix to which requests of it are forwarded (reference B21).
///
/// It becomes a route like any other, in their order and precedence, with a cluster of its own that
/// has one destination: no health checks, no affinity, no `Host` but the prefix's.
#[derive(Debug, Clone, PartialEq)]
pub struct MapForwarder {
    route: RouteConfig,
    cluster: ClusterConfig,
}

impl MapForwarder {
    /// Requests whose path is like `pattern` go to `prefix`, to which their path is appended, with
    /// the default transforms.
    pub fn new(pattern: impl Into<String>, prefix: impl Into<String>) -> Self {
        let (pattern, prefix) = (pattern.into(), prefix.into());
        let id = format!("MapForwarder {pattern}");
        let destination = DestinationConfig {
            destination_id: prefix.clone(),
            address: prefix,
            ..DestinationConfig::default()
        };
        Self {
            route: RouteConfig {
                route_id: id.clone(),
                cluster_id: Some(id.clone()),
                matches: MatchConfig {
                    path: Some(pattern),
                    ..MatchConfig::default()
                },
                ..RouteConfig::default()
            },
            cluster: ClusterConfig {
                cluster_id: id,
                destinations: vec![destination],
                ..ClusterConfig::default()
            },
        }
    }

    /// Another path takes the place of the request's: a pattern with what the route's has captured.
    pub fn target_path(self, pattern: impl Into<String>) -> Self {
        self.transform([("PathPattern".to_owned(), pattern.into())])
    }

    /// A transform, with the keys that it has in a file; they run in the order they are added.
    pub fn transform<K: Into<String>, V: Into<String>>(
        mut self,
        keys: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let keys = keys.into_iter();
        let item: BTreeMap<_, _> = keys
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        self.route.transforms.push(item);
        self
    }

    /// How requests are sent: `HttpRequest` of a cluster.
    pub fn http_request(mut self, http_request: HttpRequestConfig) -> Self {
        self.cluster.http_request = http_request;
        self
    }

    /// How long an exchange may be idle.
    pub fn activity_timeout(mut self, timeout: ActivityTimeout) -> Self {
        self.cluster.activity_timeout = Some(timeout);
        self
    }

    /// Which client sends them: `HttpClient` of a cluster.
    pub fn http_client(mut self, http_client: HttpClientConfig) -> Self {
        self.cluster.http_client = http_client;
        self
    }

    /// The route and the cluster that this is, for whoever wants more of them: hosts, an order,
    /// policies.
    pub fn into_parts(self) -> (RouteConfig, ClusterConfig) {
        (self.route, self.cluster)
    }
}
