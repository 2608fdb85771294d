//! Puts the configurations of all providers in force, at the start and whenever one changes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use ostler_config::schema::ProxyConfig;

use super::build::{Named, build, build_changed};
use super::{
    ConfigChangeListener, ProviderConfig, ProviderError, ProxyConfigFilter, ProxyConfigProvider,
    ReloadError,
};
use crate::proxy_model::ProxyModel;
use crate::snapshot::Snapshot;

/// Keeps a [`ProxyModel`] at what its providers say (YARP's `ProxyConfigManager`).
#[derive(Debug)]
pub struct ConfigManager {
    shared: Arc<Shared>,
}

/// What a [`ConfigManager`] is made of.
pub struct ConfigManagerBuilder {
    shared: Shared,
}

struct Shared {
    model: Arc<ProxyModel>,
    providers: Vec<Arc<dyn ProxyConfigProvider>>,
    filters: Vec<Arc<dyn ProxyConfigFilter>>,
    listeners: RwLock<Vec<Arc<dyn ConfigChangeListener>>>,
    /// Held while a configuration is loaded and applied: one after the other.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The last one of each provider, in force or not: one that was refused is combined with what
    /// other providers say later (reference A2.4).
    configs: Vec<Arc<ProviderConfig>>,
    /// Whether these are in force.
    applied: bool,
    /// What was made of those that were in force last.
    in_force: Option<ProxyConfig>,
}

/// What there is to tell listeners once the lock is let go of.
struct Told {
    failures: Vec<(usize, ProviderError)>,
    configs: Vec<Arc<ProviderConfig>>,
    is_new: bool,
    result: Result<Arc<Snapshot>, ReloadError>,
}

impl ConfigManager {
    /// Begins one for a model, which nobody else should apply configurations to.
    pub fn builder(model: Arc<ProxyModel>) -> ConfigManagerBuilder {
        ConfigManagerBuilder {
            shared: Shared {
                model,
                providers: Vec::new(),
                filters: Vec::new(),
                listeners: RwLock::default(),
                kept: Mutex::default(),
            },
        }
    }

    /// Has a listener told from now on.
    pub fn add_listener(&self, listener: Arc<dyn ConfigChangeListener>) {
        self.shared.add_listener(listener);
    }

    /// Asks every provider again. Signals do this by themselves. Nothing happens when no provider
    /// has anything new.
    ///
    /// # Errors
    ///
    /// When what they say is not valid together; what was in force stays.
    pub fn reload(&self) -> Result<Arc<Snapshot>, ReloadError> {
        self.shared.reload()
    }
}

impl ConfigManagerBuilder {
    /// Adds a provider; routes and clusters come in the order of providers.
    pub fn provider(mut self, provider: Arc<dyn ProxyConfigProvider>) -> Self {
        self.shared.providers.push(provider);
        self
    }

    /// Adds a filter; they run in this order.
    pub fn filter(mut self, filter: Arc<dyn ProxyConfigFilter>) -> Self {
        self.shared.filters.push(filter);
        self
    }

    /// Adds a listener.
    pub fn listener(self, listener: Arc<dyn ConfigChangeListener>) -> Self {
        self.shared.add_listener(listener);
        self
    }

    /// Puts the first configuration in force and follows the providers from then on.
    ///
    /// # Errors
    ///
    /// When a provider has no configuration, or what they say is not valid (reference A2.3).
    pub fn start(self) -> Result<ConfigManager, ReloadError> {
        let shared = Arc::new(self.shared);
        // Before they are asked, so that no change falls between.
        for provider in &shared.providers {
            let shared: Weak<Shared> = Arc::downgrade(&shared);
            provider.on_change(Arc::new(move || {
                if let Some(shared) = shared.upgrade() {
                    // Listeners are told how it went.
                    _ = shared.reload();
                }
            }));
        }
        shared.reload()?;
        Ok(ConfigManager { shared })
    }
}

impl Shared {
    fn add_listener(&self, listener: Arc<dyn ConfigChangeListener>) {
        let mut listeners = self
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
    }

    fn reload(&self) -> Result<Arc<Snapshot>, ReloadError> {
        let told = self.load_and_apply();
        // Not under the lock, since a listener may well update a provider.
        let listeners = self
            .listeners
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for listener in &listeners {
            for (provider, error) in &told.failures {
                if let Some(provider) = self.providers.get(*provider) {
                    listener.loading_failed(provider.name(), error);
                }
            }
            if told.is_new {
                listener.loaded(&told.configs);
                match &told.result {
                    Ok(snapshot) => listener.applied(&told.configs, snapshot),
                    Err(error) => listener.applying_failed(&told.configs, error),
                }
            }
        }
        // At the start there is nothing to stay in force.
        if told.configs.is_empty()
            && let Some((provider, source)) = told.failures.into_iter().next()
        {
            let provider = self.providers.get(provider);
            let provider = provider.map(|provider| provider.name().to_owned());
            let provider = provider.unwrap_or_default();
            return Err(ReloadError::Provider { provider, source });
        }
        told.result
    }

    fn load_and_apply(&self) -> Told {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failures = Vec::new();
        let mut configs = Vec::new();
        for (at, provider) in self.providers.iter().enumerate() {
            match (provider.config(), kept.configs.get(at)) {
                (Ok(config), _) => configs.push(config),
                (Err(error), before) => {
                    failures.push((at, error));
                    configs.extend(before.cloned());
                }
            }
        }
        let complete = configs.len() == self.providers.len();
        let same = configs.len() == kept.configs.len()
            && configs
                .iter()
                .zip(&kept.configs)
                .all(|(new, old)| Arc::ptr_eq(new, old));
        if !complete || (same && kept.applied) {
            return Told {
                failures,
                configs: kept.configs.clone(),
                is_new: false,
                result: Ok(self.model.snapshot()),
            };
        }
        kept.configs.clone_from(&configs);
        let names = self.providers.iter().map(|provider| provider.name());
        let named: Vec<_> = names.zip(&configs).collect();
        let result = self.apply(&named, kept.in_force.as_ref());
        kept.applied = result.is_ok();
        let result = result.map(|(snapshot, proxy)| {
            kept.in_force = Some(proxy);
            snapshot
        });
        Told {
            failures,
            configs,
            is_new: true,
            result,
        }
    }
}

impl Shared {
    /// Puts what providers say in force.
    fn apply(
        &self,
        named: &[Named<'_>],
        in_force: Option<&ProxyConfig>,
    ) -> Result<(Arc<Snapshot>, ProxyConfig), ReloadError> {
        let registry = self.model.registry();
        if let ([only], Some(in_force), []) = (named, in_force, &self.filters[..])
            && let Some(Ok(proxy)) = build_changed(*only, in_force, registry)
            && let Ok(snapshot) = self.model.apply(&proxy)
        {
            return Ok((snapshot, proxy));
        }
        // Where something is wrong, all of it is said.
        let proxy = build(named, &self.filters, registry).map_err(ReloadError::Invalid)?;
        Ok((self.model.apply(&proxy)?, proxy))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.providers.iter().map(|provider| provider.name());
        f.debug_struct("ConfigManager")
            .field("providers", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ConfigManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
