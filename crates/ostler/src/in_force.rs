//! The configuration in force, and how a changed one takes its place: read, validated, handed to a
//! provider; one with mistakes changes nothing.

use std::sync::Arc;

use ostler_config::{
    AllowedHosts, DataProtectionConfig, DestinationResolverConfig, DestinationResolverKind,
    LimitsConfig, Loaded, OstlerConfig, Settings,
};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_discovery::Names;
use ostler_model::provider::{
    ConfigChangeListener, ConfigManager, InMemoryConfigProvider, ProviderConfig, ReloadError,
};
use ostler_model::{ProxyModel, Snapshot};
use ostler_proxy::Front;

use crate::configuration::{self, Sources};
use crate::front_configuration::{front_limits, pipeline};
use crate::protection_keys;

/// What a running front goes by.
#[derive(Debug)]
pub(crate) struct InForce {
    sources: Sources,
    /// What the front was started with; some of it takes a restart.
    started: Settings,
    /// What was read last and was good.
    current: Settings,
    model: Arc<ProxyModel>,
    provider: Arc<InMemoryConfigProvider>,
    /// Where names of destinations are looked up beforehand.
    names: Option<Names>,
    _manager: ConfigManager,
}

impl InForce {
    /// Puts the first configuration in force, when its names have been looked up.
    pub(crate) async fn start(
        sources: Sources,
        settings: Settings,
        model: &Arc<ProxyModel>,
    ) -> Result<Self, ReloadError> {
        let name = sources.name();
        let provider = Arc::new(InMemoryConfigProvider::new(name, settings.proxy.clone()));
        let names = match resolves_names(&settings) {
            true => {
                let names = Names::new(Arc::clone(&provider));
                let resolver = settings.ostler.destination_resolver.clone();
                names.update(settings.proxy.clone(), resolver).await;
                Some(names)
            }
            false => None,
        };
        let manager = ConfigManager::builder(Arc::clone(model))
            .provider(Arc::clone(&provider) as _)
            .start()?;
        manager.add_listener(Arc::new(Log));
        Ok(Self {
            sources,
            started: settings.clone(),
            current: settings,
            model: Arc::clone(model),
            provider,
            names,
            _manager: manager,
        })
    }

    /// What was read last and was good.
    pub(crate) fn settings(&self) -> &Settings {
        &self.current
    }

    /// Reads the sources again and puts in force what they say, if that is something else.
    pub(crate) fn reload(&mut self, front: &Front, runtime: &RuntimeFolder) {
        let loaded = match self.sources.read() {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!("the configuration cannot be read and stays as it was: {error:#}");
                return;
            }
        };
        let Loaded {
            settings,
            diagnostics,
        } = loaded;
        configuration::print(&diagnostics);
        if diagnostics.has_errors() {
            tracing::error!("the configuration has errors and stays as it was");
            return;
        }
        if settings == self.current {
            tracing::info!("the configuration says what it said");
            return;
        }
        let keys = match protection_keys::read(&settings) {
            Ok(keys) => keys,
            Err(error) => {
                tracing::error!("the configuration stays as it was: {error:#}");
                return;
            }
        };
        if takes_a_restart(&settings, &self.started) {
            tracing::warn!(
                "limits of heads, static files or the Ostler section have changed: that takes a restart, or \
                 SIGUSR2, which refuses nobody meanwhile"
            );
        }
        let replaced = pipeline(&settings, self.sources.steps())
            .and_then(|pipeline| Ok(front.set_pipeline(pipeline, runtime)?));
        if let Err(error) = replaced {
            tracing::error!("the configuration stays as it was: {error:#}");
            return;
        }
        front.set_limits(front_limits(&settings.ostler));
        protection_keys::put_in_force(&self.model, keys);
        self.route_by(&settings);
        self.current = settings;
        // Two configurations were there at once, which may have been large ones.
        ostler_shm::release_free_memory();
    }

    /// Puts routes and clusters in force: at once, or when new names have been looked up.
    fn route_by(&mut self, settings: &Settings) {
        let proxy = settings.proxy.clone();
        if !resolves_names(settings) {
            self.names = None;
            self.provider.update(proxy);
            return;
        }
        let provider = &self.provider;
        let names = self
            .names
            .get_or_insert_with(|| Names::new(Arc::clone(provider)));
        // It comes to pass whoever waits for it or not.
        drop(names.update(proxy, settings.ostler.destination_resolver.clone()));
    }
}

/// Whether names of destinations are looked up beforehand.
fn resolves_names(settings: &Settings) -> bool {
    settings.ostler.destination_resolver.kind == DestinationResolverKind::Dns
}

/// Whether something has changed that only a start reads. Protection keys, where and how to listen,
/// names, and limits but those of heads are not among it.
fn takes_a_restart(settings: &Settings, started: &Settings) -> bool {
    let ostler = |settings: &Settings| {
        let limits = &settings.ostler.limits;
        OstlerConfig {
            data_protection: DataProtectionConfig::default(),
            client_certificate_authorities: None,
            allowed_hosts: AllowedHosts::default(),
            forwarded_headers: None,
            destination_resolver: DestinationResolverConfig::default(),
            limits: LimitsConfig {
                request_line: limits.request_line,
                field_lines: limits.field_lines,
                fields: limits.fields,
                ..LimitsConfig::default()
            },
            ..settings.ostler.clone()
        }
    };
    settings.static_files != started.static_files || ostler(settings) != ostler(started)
}

/// Says in the log how a reload went.
struct Log;

impl ConfigChangeListener for Log {
    fn applied(&self, _configs: &[Arc<ProviderConfig>], snapshot: &Arc<Snapshot>) {
        let revision = snapshot.revision;
        tracing::info!(revision, "the configuration is reloaded");
    }

    fn applying_failed(&self, _configs: &[Arc<ProviderConfig>], error: &ReloadError) {
        tracing::error!("the configuration stays as it was: {error}");
    }
}
