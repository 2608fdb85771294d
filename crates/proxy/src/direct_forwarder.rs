//! Forwarding an exchange to a prefix without a cluster (YARP's `IHttpForwarder`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_config::schema::{
    ActivityTimeout, ClusterConfig, DestinationConfig, HttpClientConfig, HttpRequestConfig,
    MatchConfig, ProxyConfig, RouteConfig,
};
use ostler_model::provider::{ConfigManager, InMemoryConfigProvider, ReloadError};
use ostler_model::transforms::TransformProvider;
use ostler_model::{
    ClusterState, DestinationState, Found, PolicyRegistry, ProxyModel, RequestView, RouteModel,
};

/// How clusters are called that stand in no configuration.
const DIRECT: char = '\u{2192}';

/// A prefix that exchanges can be forwarded to, with a client of its own (reference B21).
///
/// It is made once and given to a pipeline by [`Flow::Forward`](crate::Flow::Forward). Its
/// connections are its own, one pool a thread, and stay as long as they are used.
pub struct DirectForwarder {
    route: Arc<RouteModel>,
    cluster: Arc<ClusterState>,
    destination: Arc<DestinationState>,
}

/// What a [`DirectForwarder`] is made of.
pub struct DirectForwarderBuilder {
    prefix: String,
    http_client: HttpClientConfig,
    http_request: HttpRequestConfig,
    activity_timeout: Option<ActivityTimeout>,
    transforms: Vec<BTreeMap<String, String>>,
    registry: PolicyRegistry,
}

impl DirectForwarder {
    /// Begins one for a prefix, such as `http://localhost:5001/base/`: the request's path is appended
    /// to it.
    pub fn builder(prefix: impl Into<String>) -> DirectForwarderBuilder {
        DirectForwarderBuilder {
            prefix: prefix.into(),
            http_client: HttpClientConfig::default(),
            http_request: HttpRequestConfig::default(),
            activity_timeout: None,
            transforms: Vec::new(),
            registry: PolicyRegistry::default(),
        }
    }

    /// What requests are forwarded to.
    pub fn prefix(&self) -> &str {
        self.destination.id()
    }

    pub(crate) fn route(&self) -> &Arc<RouteModel> {
        &self.route
    }

    pub(crate) fn cluster(&self) -> &Arc<ClusterState> {
        &self.cluster
    }

    pub(crate) fn destination(&self) -> &Arc<DestinationState> {
        &self.destination
    }
}

impl fmt::Debug for DirectForwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirectForwarder")
            .field(&self.prefix())
            .finish()
    }
}

impl DirectForwarderBuilder {
    /// How requests are sent: `HttpRequest` of a cluster.
    pub fn http_request(mut self, http_request: HttpRequestConfig) -> Self {
        self.http_request = http_request;
        self
    }

    /// How long an exchange may be idle; 100 seconds by default.
    pub fn activity_timeout(mut self, timeout: ActivityTimeout) -> Self {
        self.activity_timeout = Some(timeout);
        self
    }

    /// Which client sends them: `HttpClient` of a cluster.
    pub fn http_client(mut self, http_client: HttpClientConfig) -> Self {
        self.http_client = http_client;
        self
    }

    /// A transform, with the keys that it has in a file; they run in the order they are added.
    pub fn transform<K: Into<String>, V: Into<String>>(
        mut self,
        keys: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let keys = keys.into_iter();
        let item = keys.map(|(key, value)| (key.into(), value.into()));
        self.transforms.push(item.collect());
        self
    }

    /// Transforms from code, which run behind the others.
    pub fn transforms_by(mut self, provider: impl TransformProvider + 'static) -> Self {
        self.registry.add_transform_provider(provider);
        self
    }

    /// Leaves the default transforms out: fields are copied, the client's `Host` with them, and none
    /// are added (YARP's `HttpTransformer.Empty`, and what a bare callback gets).
    pub fn without_default_transforms(self) -> Self {
        self.transform([("RequestHeaderOriginalHost", "true")])
            .transform([("X-Forwarded", "Off")])
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// When the prefix, a transform or a setting is not what it would have to be in a file.
    pub fn build(self) -> Result<Arc<DirectForwarder>, ReloadError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{DIRECT} {} #{number}", self.prefix);
        let destination = DestinationConfig {
            destination_id: self.prefix.clone(),
            address: self.prefix,
            ..DestinationConfig::default()
        };
        let cluster = ClusterConfig {
            cluster_id: id.clone(),
            destinations: vec![destination],
            http_client: self.http_client,
            http_request: self.http_request,
            activity_timeout: self.activity_timeout,
            ..ClusterConfig::default()
        };
        let route = RouteConfig {
            route_id: id.clone(),
            cluster_id: Some(id.clone()),
            matches: MatchConfig {
                path: Some("/{**rest}".to_owned()),
                ..MatchConfig::default()
            },
            transforms: self.transforms,
            ..RouteConfig::default()
        };
        let proxy = ProxyConfig {
            routes: vec![route].into(),
            clusters: vec![cluster].into(),
            ..ProxyConfig::default()
        };
        // A configuration of its own, read by the rules of all others.
        let model = Arc::new(ProxyModel::with_policies(self.registry));
        let provider = InMemoryConfigProvider::new(id.clone(), proxy);
        ConfigManager::builder(Arc::clone(&model))
            .provider(Arc::new(provider))
            .start()?;
        let snapshot = model.snapshot();
        let route = match snapshot.routes.find(&AnyRequest) {
            Found::Route(route) => Arc::clone(route),
            _ => return Err(missing(id)),
        };
        let Some(cluster) = route.cluster.clone() else {
            return Err(missing(id));
        };
        let Some(destination) = cluster.destinations().all.first().cloned() else {
            return Err(missing(id));
        };
        Ok(Arc::new(DirectForwarder {
            route,
            cluster,
            destination,
        }))
    }
}

impl fmt::Debug for DirectForwarderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectForwarderBuilder")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Whether a cluster stands in no configuration, so that none says that it is gone.
pub(crate) fn is_direct(cluster_id: &str) -> bool {
    cluster_id.starts_with(DIRECT)
}

/// What was put in force a moment ago is always there.
fn missing(provider: String) -> ReloadError {
    ReloadError::Provider {
        provider,
        source: "the route is not in force".into(),
    }
}

/// The one route is for every path.
struct AnyRequest;

impl RequestView for AnyRequest {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        "/"
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn authority(&self) -> &str {
        ""
    }

    fn is_https(&self) -> bool {
        false
    }

    fn for_each_field_value(&self, _name: &str, _visit: &mut dyn FnMut(&[u8])) {}
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::destinations::Destinations;

    /// The sweep forgets what the configuration does not name; of these it names none.
    #[test]
    fn connections_outlive_the_sweep_while_they_are_in_use() {
        let build = || {
            DirectForwarder::builder("http://127.0.0.1:1/")
                .build()
                .unwrap()
        };
        let (one, other) = (build(), build());
        assert_ne!(one.cluster().id(), other.cluster().id());
        let clients = Destinations::new(Arc::default());
        let model = one.destination().model();
        let before = clients.destination(1, one.cluster(), &model).unwrap();
        clients.sweep(crate::clock::now(), |_| false);
        let after = clients.endpoint(one.cluster(), &model.config).unwrap();
        assert!(Rc::ptr_eq(before.pool(false), after.pool(false)));
        let apart = clients.endpoint(other.cluster(), &model.config).unwrap();
        assert!(!Rc::ptr_eq(before.pool(false), apart.pool(false)));
    }
}
