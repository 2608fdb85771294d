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
use crate::error_pages::{self, FollowedPages};
use crate::etcd::Etcd;
use crate::front_configuration::{front_limits, pipeline};
use crate::metrics::reloads::{Reloaded, Reloads};
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
    /// The revision of etcd's that is in force.
    shared_revision: i64,
    /// A later one that has errors, and which.
    refused: Option<(i64, Vec<String>)>,
    pages: FollowedPages,
    reloads: Arc<Reloads>,
    _manager: ConfigManager,
}

impl InForce {
    /// Puts the first configuration in force, when its names have been looked up.
    pub(crate) async fn start(
        sources: Sources,
        settings: Settings,
        pages: FollowedPages,
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
        let shared_revision = sources.etcd().map_or(0, |etcd| {
            etcd.save();
            etcd.documents().revision()
        });
        Ok(Self {
            sources,
            started: settings.clone(),
            current: settings,
            model: Arc::clone(model),
            provider,
            names,
            shared_revision,
            refused: None,
            pages,
            reloads: Arc::default(),
            _manager: manager,
        })
    }

    /// What was read last and was good.
    pub(crate) fn settings(&self) -> &Settings {
        &self.current
    }

    /// What stands in etcd.
    pub(crate) fn etcd(&self) -> Option<&Arc<Etcd>> {
        self.sources.etcd()
    }

    /// The revision of etcd's that is in force, and a later one that is not, with what is wrong with it.
    pub(crate) fn shared(&self) -> (i64, Option<(i64, Vec<String>)>) {
        (self.shared_revision, self.refused.clone())
    }

    /// How often it was read again.
    pub(crate) fn reloads(&self) -> Arc<Reloads> {
        Arc::clone(&self.reloads)
    }

    /// Reads the sources again and puts in force what they say, if that is something else.
    pub(crate) fn reload(&mut self, front: &Front, runtime: &RuntimeFolder) {
        let taken = self.take(front, runtime);
        self.reloads.count(match taken {
            Ok(reloaded) => reloaded,
            Err(_) => Reloaded::Refused,
        });
        let Some(etcd) = self.sources.etcd() else {
            return;
        };
        let revision = etcd.documents().revision();
        self.refused = match taken {
            Ok(_) => {
                self.shared_revision = revision;
                etcd.save();
                None
            }
            Err(why) => Some((revision, why)),
        };
    }

    /// Puts in force what the sources say; what is wrong with it is logged, and the result.
    fn take(&mut self, front: &Front, runtime: &RuntimeFolder) -> Result<Reloaded, Vec<String>> {
        let stays = |error: anyhow::Error| {
            tracing::error!("the configuration stays as it was: {error:#}");
            vec![format!("{error:#}")]
        };
        let loaded = match self.sources.read() {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!("the configuration cannot be read and stays as it was: {error:#}");
                return Err(vec![format!("{error:#}")]);
            }
        };
        let Loaded {
            settings,
            diagnostics,
        } = loaded;
        configuration::print(&diagnostics);
        if diagnostics.has_errors() {
            tracing::error!("the configuration has errors and stays as it was");
            return Err(diagnostics.errors().map(ToString::to_string).collect());
        }
        // What is equal is the same, so that it costs nothing from here on.
        let settings = Settings {
            proxy: settings.proxy.sharing(&self.current.proxy),
            ..settings
        };
        if settings == self.current {
            tracing::info!("the configuration says what it said");
            return Ok(Reloaded::Unchanged);
        }
        let keys = protection_keys::read(&settings).map_err(stays)?;
        let pages = error_pages::folder(self.sources.folder(), &settings);
        self.pages.follow(pages).map_err(stays)?;
        if takes_a_restart(&settings, &self.started) {
            tracing::warn!(
                "limits of heads, static files or the Ostler section have changed: that takes a restart, or \
                 SIGUSR2, which refuses nobody meanwhile"
            );
        }
        let replaced = pipeline(&settings, self.sources.steps())
            .and_then(|pipeline| Ok(front.set_pipeline(pipeline, runtime)?));
        replaced.map_err(stays)?;
        front.set_limits(front_limits(&settings.ostler, self.pages.pages()));
        protection_keys::put_in_force(&self.model, keys);
        self.route_by(&settings);
        self.current = settings;
        // Two configurations were there at once, which may have been large ones.
        ostler_shm::release_free_memory();
        Ok(Reloaded::Applied)
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
            error_pages: None,
            https_redirection: None,
            hsts: None,
            // They are the pool's to read.
            applications: Vec::new(),
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
