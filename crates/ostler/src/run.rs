//! `ostler run`: starts the front, reloads it, stops it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler_config::{KernelTls, OstlerConfig, Settings};
use ostler_delegation::accounts;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::status::StatusListener;
use ostler_http1::Limits;
use ostler_model::health::TransportFailureRateOptions;
use ostler_model::{PolicyRegistry, ProxyModel};
use ostler_proxy::{
    ActiveHealthOptions, Endpoint, Front, FrontLimits, FrontOptions, Pipeline, StaticFileOptions,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::EXIT_CONFIGURATION;
use crate::args::RunArgs;
use crate::configuration::{self, Sources};
use crate::endpoints::{self, Endpoints};
use crate::in_force::InForce;
use crate::protection_keys;
use crate::reload::FileChanges;
use crate::signing_keys::SigningKeys;

/// Runs the front until a signal stops it.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let mut settings_over = args.settings.clone();
    if let Some(urls) = &args.urls {
        settings_over.push(format!("Urls={urls}"));
    }
    let sources = Sources::new(&args.config, settings_over);
    let changes = FileChanges::new(&sources.files());
    let loaded = match sources.read() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    configuration::print(&loaded.diagnostics);
    if loaded.diagnostics.has_errors() {
        return Ok(ExitCode::from(EXIT_CONFIGURATION));
    }
    let settings = loaded.settings;
    let model = Arc::new(ProxyModel::with_policies(policies(&settings)));
    let keys = match protection_keys::read(&settings) {
        Ok(keys) => keys,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    protection_keys::put_in_force(&model, keys);
    let certificate_changes = endpoints::changes(&settings);
    let endpoints = match endpoints::build(&settings) {
        Ok(endpoints) => endpoints,
        Err(mistakes) => {
            // Not there when the configuration was checked: a file has changed since.
            for mistake in mistakes {
                eprintln!("error: {mistake}");
            }
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    let in_force = InForce::start(sources, settings.clone(), &model)?;
    // What reading took and nobody needs any more.
    ostler_shm::release_free_memory();
    let options = options(args, &settings, endpoints)?;
    let pipeline = pipeline(&settings)?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        // Before the listeners are told of, so that no signal finds the default action.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut changes = watch_files(changes);
        let mut keys = SigningKeys::default();
        keys.follow(model.bearer_scheme());
        let mut front = Front::start(Arc::clone(&model), pipeline, &options)?;
        let listening = &options.endpoints;
        let mut endpoints = Endpoints::follow(listening, &settings, certificate_changes);
        let mut in_force = in_force;
        for url in front.urls() {
            println!("listening on {url}");
        }
        let status = status_listener(&options.runtime);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    in_force.reload(&front, &options.runtime);
                    endpoints.reload(in_force.settings(), &mut front);
                    keys.follow(model.bearer_scheme());
                },
                Some(()) = changes.recv() => {
                    in_force.reload(&front, &options.runtime);
                    endpoints.reload(in_force.settings(), &mut front);
                    keys.follow(model.bearer_scheme());
                },
                () = answer_status(status.as_ref(), &front) => {}
            }
        }
        tracing::info!("draining");
        drop(status);
        front.drain();
        let mut joined = std::pin::pin!(join(front));
        tokio::select! {
            front = &mut joined => front,
            () = tokio::time::sleep(Duration::from_secs(args.drain_timeout)) => {
                tracing::warn!("exchanges are cut short: the drain timeout is over");
                Ok(())
            }
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    });
    // What has been cut short is not waited for: the thread that joins the front's would be.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Watches on its own: a wait that is begun anew at each turn of the loop would never end.
fn watch_files(mut changes: FileChanges) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            changes.changed().await;
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Without it the front does its work all the same; `ostler queues` does not see what waits in it.
fn status_listener(runtime: &RuntimeFolder) -> Option<StatusListener> {
    StatusListener::bind(runtime)
        .inspect_err(|error| tracing::info!(%error, "nobody can ask what waits in this front"))
        .ok()
}

async fn join(front: Front) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || front.join())
        .await
        .context("a thread of the front failed")
}

/// Tells whoever asks how many requests wait here.
async fn answer_status(status: Option<&StatusListener>, front: &Front) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    if let Some(status) = status {
        status.answer(&front.queue_depths());
    }
}

fn policies(settings: &Settings) -> PolicyRegistry {
    let checks = &settings.ostler.health_checks;
    let options = TransportFailureRateOptions {
        detection_window: checks.passive_detection_window,
        minimal_total_count: checks.passive_minimal_total_count,
        ..TransportFailureRateOptions::default()
    };
    PolicyRegistry::default().with_transport_failure_rate(options)
}

pub(crate) fn pipeline(settings: &Settings) -> anyhow::Result<Pipeline> {
    Ok(match &settings.proxy.pipeline {
        None => Pipeline::yarp_default(),
        Some(names) => Pipeline::from_names(names.iter().map(String::as_str))?,
    })
}

fn options(
    args: &RunArgs,
    settings: &Settings,
    endpoints: Vec<Endpoint>,
) -> anyhow::Result<FrontOptions> {
    let ostler = &settings.ostler;
    let trusted_uids: Result<Vec<_>, _> = ostler
        .trusted_users
        .iter()
        .map(|user| uid_of(user))
        .collect();
    Ok(FrontOptions {
        endpoints,
        threads: args.threads.unwrap_or(ostler.threads),
        limits: front_limits(ostler),
        runtime: runtime_folder(ostler)?,
        trusted_uids: trusted_uids?,
        kernel_tls: ostler.kernel_tls == KernelTls::Auto,
        active_health: ActiveHealthOptions {
            default_interval: ostler.health_checks.active_default_interval,
            default_timeout: ostler.health_checks.active_default_timeout,
        },
        static_files: static_files(args, settings),
    })
}

/// Files beside the proxy. Relative folders are the content root's, which is by default the
/// configuration file's folder, as in YARP's container application.
fn static_files(args: &RunArgs, settings: &Settings) -> Option<StaticFileOptions> {
    let files = &settings.static_files;
    if !files.enabled && files.navigation_fallback.is_none() {
        return None;
    }
    let folder = args.config.parent().unwrap_or(Path::new(""));
    let content_root = folder.join(files.content_root.as_deref().unwrap_or_default());
    let root = content_root.join(files.web_root.as_deref().unwrap_or("wwwroot"));
    if !root.is_dir() {
        tracing::warn!(root = %root.display(), "there is no folder with static files");
    }
    Some(StaticFileOptions {
        root,
        enabled: files.enabled,
        serve_unknown_file_types: files.serve_unknown_file_types,
        navigation_fallback: files.navigation_fallback.clone(),
    })
}

/// What clients may do.
pub(crate) fn front_limits(ostler: &OstlerConfig) -> FrontLimits {
    let limits = &ostler.limits;
    FrontLimits {
        http1: Limits {
            request_line: limits.request_line,
            head: limits.head,
            fields: limits.fields,
        },
        keep_alive_timeout: limits.keep_alive_timeout,
        head_timeout: limits.head_timeout,
        max_request_body_size: limits.max_request_body_size,
        min_request_body_data_rate: limits.min_request_body_data_rate,
        min_response_data_rate: limits.min_response_data_rate,
        entity_body_timeout: limits.entity_body_timeout,
        max_concurrent_connections: limits.max_concurrent_connections,
        max_concurrent_upgraded_connections: limits.max_concurrent_upgraded_connections,
        max_connections_per_address: limits.max_connections_per_address,
        allowed_hosts: ostler.allowed_hosts.clone(),
        http2: limits.http2,
    }
}

/// Where queues are, open to the group that the configuration names.
fn runtime_folder(ostler: &OstlerConfig) -> anyhow::Result<RuntimeFolder> {
    let runtime = match &ostler.runtime_folder {
        Some(path) => RuntimeFolder::new(path),
        None => RuntimeFolder::from_environment(),
    };
    if let Some(group) = &ostler.queue_group {
        let gid = accounts::gid_of(group).context("cannot read /etc/group")?;
        let gid = gid.with_context(|| format!("Ostler:QueueGroup: there is no group {group:?}"))?;
        runtime.share_queues(gid).context("Ostler:QueueGroup")?;
    }
    Ok(runtime)
}

fn uid_of(user: &str) -> anyhow::Result<u32> {
    let uid = accounts::uid_of(user).context("cannot read /etc/passwd")?;
    uid.with_context(|| format!("Ostler:TrustedUsers: there is no user {user:?}"))
}
