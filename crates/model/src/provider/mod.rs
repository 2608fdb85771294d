//! Where routes and clusters come from, and what happens to them before they are put in force
//! (reference A2.3 to A2.5): several providers, filters, validation, listeners. No files, no threads.

mod build;
mod in_memory;
mod manager;
mod map_forwarder;

use std::error::Error;
use std::sync::Arc;

use ostler_config::Diagnostics;
use ostler_config::schema::{ClusterConfig, ProxyConfig, RouteConfig};

use crate::error::ApplyError;
use crate::snapshot::Snapshot;

pub use in_memory::InMemoryConfigProvider;
pub use manager::{ConfigManager, ConfigManagerBuilder};
pub use map_forwarder::MapForwarder;

/// What a provider has to say, at one time.
#[derive(Debug, Clone, Default)]
pub struct ProviderConfig {
    /// Routes and clusters; and the policies and the pipeline's names, which count from the first
    /// provider that has any.
    pub proxy: ProxyConfig,
    /// Tells one from the next, for logs.
    pub revision_id: String,
}

/// Called by a provider that has something new; by any thread, never while it holds a lock that
/// [`ProxyConfigProvider::config`] takes.
pub type ChangeSignal = Arc<dyn Fn() + Send + Sync>;

/// Why a provider has no configuration.
pub type ProviderError = Box<dyn Error + Send + Sync>;

/// A source of routes and clusters (YARP's `IProxyConfigProvider`).
pub trait ProxyConfigProvider: Send + Sync {
    /// Its name, for messages.
    fn name(&self) -> &str;

    /// Its configuration now: the same `Arc` as long as nothing has changed.
    ///
    /// # Errors
    ///
    /// When there is none. After a start, the last good one stays in force.
    fn config(&self) -> Result<Arc<ProviderConfig>, ProviderError>;

    /// Has `changed` called whenever there is something new.
    fn on_change(&self, changed: ChangeSignal);
}

/// Looks at clusters and routes before they are validated, and may change them (YARP's
/// `IProxyConfigFilter`).
pub trait ProxyConfigFilter: Send + Sync {
    /// Looks at a cluster.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a phrase.
    fn configure_cluster(&self, _cluster: &mut ClusterConfig) -> Result<(), String> {
        Ok(())
    }

    /// Looks at a route, with its cluster as the filters have left it. Without one, too, when a
    /// filter has refused any cluster.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a phrase.
    fn configure_route(
        &self,
        _route: &mut RouteConfig,
        _cluster: Option<&ClusterConfig>,
    ) -> Result<(), String> {
        Ok(())
    }
}

/// Is told how configurations fare (YARP's `IConfigChangeListener`). No call holds up a request.
pub trait ConfigChangeListener: Send + Sync {
    /// These have been loaded, in the providers' order.
    fn loaded(&self, _configs: &[Arc<ProviderConfig>]) {}

    /// A provider has none; its last one stays.
    fn loading_failed(&self, _provider: &str, _error: &ProviderError) {}

    /// These are in force.
    fn applied(&self, _configs: &[Arc<ProviderConfig>], _snapshot: &Arc<Snapshot>) {}

    /// These are not, and what was before stays in force.
    fn applying_failed(&self, _configs: &[Arc<ProviderConfig>], _error: &ReloadError) {}
}

/// A configuration was not put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A provider has none. Only at the start: later its last one stays.
    #[error("the provider {provider:?} has no configuration")]
    Provider {
        /// Its name.
        provider: String,
        /// What it said.
        source: ProviderError,
    },
    /// It breaks rules.
    #[error("the configuration has errors: {}", listed(.0))]
    Invalid(Diagnostics),
    /// It cannot be compiled.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

fn listed(diagnostics: &Diagnostics) -> String {
    let all: Vec<_> = diagnostics.errors().map(ToString::to_string).collect();
    all.join("; ")
}

#[cfg(test)]
mod tests;
