//! `ostler run`: starts the front, reloads it, stops it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler_config::Settings;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::status::StatusListener;
use ostler_http1::Limits;
use ostler_model::health::TransportFailureRateOptions;
use ostler_model::{PolicyRegistry, ProxyModel};
use ostler_proxy::{ActiveHealthOptions, Front, FrontLimits, FrontOptions, ListenUrl, Pipeline};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::EXIT_CONFIGURATION;
use crate::args::RunArgs;
use crate::configuration::{self, Sources};
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
    let in_force = InForce::start(sources, settings.clone(), &model)?;
    // What reading took and nobody needs any more.
    ostler_shm::release_free_memory();
    let options = options(args, &settings)?;
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
        let front = Front::start(Arc::clone(&model), pipeline, &options)?;
        let mut in_force = in_force;
        for address in front.addresses() {
            println!("listening on http://{address}");
        }
        let status = StatusListener::bind(&options.runtime).ok();
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    in_force.reload(&front, &options.runtime);
                    keys.follow(model.bearer_scheme());
                },
                Some(()) = changes.recv() => {
                    in_force.reload(&front, &options.runtime);
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

fn options(args: &RunArgs, settings: &Settings) -> anyhow::Result<FrontOptions> {
    let urls: Result<Vec<_>, _> = settings
        .urls
        .iter()
        .map(|url| ListenUrl::parse(url))
        .collect();
    let ostler = &settings.ostler;
    let limits = &ostler.limits;
    let runtime = match &ostler.runtime_folder {
        Some(path) => RuntimeFolder::new(path),
        None => RuntimeFolder::from_environment(),
    };
    let trusted_uids: Result<Vec<_>, _> = ostler
        .trusted_users
        .iter()
        .map(|user| uid_of(user))
        .collect();
    Ok(FrontOptions {
        urls: urls?,
        threads: args.threads.unwrap_or(ostler.threads),
        limits: FrontLimits {
            http1: Limits {
                request_line: limits.request_line,
                head: limits.head,
                fields: limits.fields,
            },
            keep_alive_timeout: limits.keep_alive_timeout,
            head_timeout: limits.head_timeout,
            max_request_body_size: limits.max_request_body_size,
        },
        runtime,
        trusted_uids: trusted_uids?,
        active_health: ActiveHealthOptions {
            default_interval: ostler.health_checks.active_default_interval,
            default_timeout: ostler.health_checks.active_default_timeout,
        },
    })
}

/// A user by number, or by name in `/etc/passwd`.
fn uid_of(user: &str) -> anyhow::Result<u32> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&user))
        .and_then(|fields| fields.get(2)?.parse().ok())
        .with_context(|| format!("Ostler:TrustedUsers: there is no user {user:?}"))
}
