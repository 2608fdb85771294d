//! A provider whose configuration is made by code.

use std::sync::{Arc, Mutex, PoisonError};

use ostler_config::schema::{ClusterConfig, ProxyConfig, RouteConfig};

use super::{ChangeSignal, MapForwarder, ProviderConfig, ProviderError, ProxyConfigProvider};

/// Holds routes and clusters that an application sets (YARP's `InMemoryConfigProvider`).
pub struct InMemoryConfigProvider {
    name: String,
    held: Mutex<Held>,
}

struct Held {
    config: Arc<ProviderConfig>,
    /// What was mapped, which updates leave in place.
    mapped: Vec<(RouteConfig, ClusterConfig)>,
    updates: u64,
    signals: Vec<ChangeSignal>,
}

impl InMemoryConfigProvider {
    /// A provider of this.
    pub fn new(name: impl Into<String>, proxy: ProxyConfig) -> Self {
        let revision_id = "1".to_owned();
        let config = Arc::new(ProviderConfig { proxy, revision_id });
        Self {
            name: name.into(),
            held: Mutex::new(Held {
                config,
                mapped: Vec::new(),
                updates: 1,
                signals: Vec::new(),
            }),
        }
    }

    /// Sets another configuration and has it put in force before this returns. Whether it is, a
    /// listener is told. Revisions are numbered.
    pub fn update(&self, proxy: ProxyConfig) {
        self.replace(|_| proxy, None);
    }

    /// The same with a revision's name of one's own.
    pub fn update_as(&self, proxy: ProxyConfig, revision_id: impl Into<String>) {
        self.replace(|_| proxy, Some(revision_id.into()));
    }

    /// Adds a route that is forwarded to a prefix (YARP's `MapForwarder`), and has it put in force
    /// before this returns. Updates leave it in place.
    pub fn map_forwarder(&self, forwarder: MapForwarder) {
        let add = |held: &mut Held| {
            let proxy = held.unmapped();
            held.mapped.push(forwarder.into_parts());
            proxy
        };
        self.replace(add, None);
    }

    fn replace(&self, make: impl FnOnce(&mut Held) -> ProxyConfig, revision_id: Option<String>) {
        let signals = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let mut proxy = make(&mut held);
            for (route, cluster) in &held.mapped {
                proxy.routes.push(route.clone());
                proxy.clusters.push(cluster.clone());
            }
            held.updates += 1;
            let revision_id = revision_id.unwrap_or_else(|| held.updates.to_string());
            held.config = Arc::new(ProviderConfig { proxy, revision_id });
            held.signals.clone()
        };
        // Not under the lock: they come back for the configuration.
        signals.iter().for_each(|changed| changed());
    }
}

impl Held {
    /// What was set, without what was mapped, which stands behind it.
    fn unmapped(&self) -> ProxyConfig {
        let mut proxy = self.config.proxy.clone();
        let count = self.mapped.len();
        proxy
            .routes
            .truncate(proxy.routes.len().saturating_sub(count));
        proxy
            .clusters
            .truncate(proxy.clusters.len().saturating_sub(count));
        proxy
    }
}

impl ProxyConfigProvider for InMemoryConfigProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn config(&self) -> Result<Arc<ProviderConfig>, ProviderError> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(&held.config))
    }

    fn on_change(&self, changed: ChangeSignal) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.signals.push(changed);
    }
}

impl std::fmt::Debug for InMemoryConfigProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InMemoryConfigProvider")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
