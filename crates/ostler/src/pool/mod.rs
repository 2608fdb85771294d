//! `ostler pool`: starts the applications of a configuration when there are requests for them, watches them,
//! replaces them without a cut, and stops them when nobody asks.
//!
//! It stands beside the front, not in it: applications outlive a front, and neither needs the other to run. The
//! two meet in the runtime folder. A queue whose folder is there without an instance has requests wait in the
//! front; the front tells whoever follows it how many (`demand.rs`); an instance that opens the queue takes
//! them. Each application is an actor of its own (`application.rs`), and so is each instance (`instance.rs`).

mod application;
mod demand;
mod desk;
mod event;
mod instance;
mod measure;
mod program;
mod stand_in;
mod watched;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use ostler_config::{ApplicationConfig, Settings};
use ostler_delegation::QueueName;
use ostler_proxy::StepRegistry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::args::PoolArgs;
use crate::configuration::{self, Sources};
use crate::exit::EXIT_CONFIGURATION;
use crate::front_configuration::runtime_folder;
use crate::pool_words::{Answer, Question};
use crate::reload::FileChanges;
use crate::rules::Rules;
use crate::service_manager;

use application::Application;
use demand::Demand;
use desk::{Asked, Desk};
use event::Event;
use program::Surroundings;

/// Runs the applications until a signal stops them.
pub(crate) fn run(args: &PoolArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let sources = Sources::new(
        &args.configuration,
        args.settings.clone(),
        Rules::new(steps),
    );
    // Made before the files are read, it misses no change.
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
    if let Err(error) = check(&loaded.settings) {
        eprintln!("error: {error:#}");
        return Ok(ExitCode::from(EXIT_CONFIGURATION));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&sources, &loaded.settings, changes))?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// What only this process can say of applications.
fn check(settings: &Settings) -> anyhow::Result<()> {
    for application in &settings.ostler.applications {
        let at = || format!("Ostler:Applications:{}", application.name);
        QueueName::new(&application.queue).with_context(at)?;
        program::account_of(application).with_context(at)?;
    }
    Ok(())
}

async fn serve(sources: &Sources, settings: &Settings, changes: FileChanges) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let runtime = runtime_folder(&settings.ostler)?;
    let mut changes = changes.watch();
    let mut desk = Desk::open(&runtime)?;
    let mut demand = Demand::follow(&runtime)?;
    // Empty where the file is named without one.
    let folder = std::env::current_dir()?.join(sources.folder());
    let mut pool = Pool {
        surroundings: Arc::new(Surroundings { runtime, folder }),
        applications: BTreeMap::new(),
        ended: Vec::new(),
    };
    pool.apply(&settings.ostler.applications)?;
    println!("pool ready, {} application(s)", pool.applications.len());
    service_manager::tell_serving_applications(pool.applications.len());
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => pool.reload(sources),
            Some(()) = changes.recv() => pool.reload(sources),
            waiting = demand.changed() => pool.tell_waiting(&waiting),
            Some(asked) = desk.asked() => pool.answer(asked),
        }
    }
    desk.close();
    let longest = settings.ostler.applications.iter();
    let longest = longest.map(|application| application.stop_timeout).max();
    service_manager::tell_stopping(longest.unwrap_or_default() * 2);
    tracing::info!("stopping the applications");
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        () = pool.end() => {}
        () = again => tracing::warn!("applications are cut short: asked to end again"),
    }
    Ok(())
}

/// The applications that run.
struct Pool {
    surroundings: Arc<Surroundings>,
    /// By name in lower case.
    applications: BTreeMap<String, Running>,
    /// Those that stand in the configuration no more.
    ended: Vec<JoinHandle<()>>,
}

/// An application's actor.
struct Running {
    config: ApplicationConfig,
    /// The queue's folder.
    folder: String,
    /// How many requests it was told of last.
    waiting: usize,
    events: mpsc::UnboundedSender<Event>,
    actor: JoinHandle<()>,
}

impl Pool {
    /// Starts applications that are new, tells those that have changed, ends those that are gone.
    fn apply(&mut self, configs: &[ApplicationConfig]) -> anyhow::Result<()> {
        let names: Vec<_> = configs
            .iter()
            .map(|config| config.name.to_lowercase())
            .collect();
        let queue_of = |running: &Running| {
            let mut configs = configs.iter();
            configs.any(|config| {
                config.name.eq_ignore_ascii_case(&running.config.name)
                    && config.queue == running.config.queue
            })
        };
        let gone: Vec<_> = self
            .applications
            .iter()
            .filter(|(name, running)| !names.contains(name) || !queue_of(running))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(running) = self.applications.remove(&name) {
                let _ = running.events.send(Event::End);
                self.ended.push(running.actor);
            }
        }
        for (name, config) in names.into_iter().zip(configs) {
            match self.applications.get_mut(&name) {
                Some(running) if running.config == *config => {}
                Some(running) => {
                    running.config = config.clone();
                    let _ = running
                        .events
                        .send(Event::Configure(Box::new(config.clone())));
                }
                None => _ = self.applications.insert(name, self.start(config)?),
            }
        }
        Ok(())
    }

    fn start(&self, config: &ApplicationConfig) -> anyhow::Result<Running> {
        let queue = QueueName::new(&config.queue)?;
        let folder = queue.folder().to_owned();
        let (events, receiver) = mpsc::unbounded_channel();
        let surroundings = Arc::clone(&self.surroundings);
        let application = Application::new(config.clone(), queue, surroundings, events.clone())
            .with_context(|| format!("Ostler:Applications:{}", config.name))?;
        Ok(Running {
            config: config.clone(),
            folder,
            waiting: 0,
            events,
            actor: tokio::spawn(application.run(receiver)),
        })
    }

    fn reload(&mut self, sources: &Sources) {
        let loaded = match sources.read() {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!("the configuration cannot be read and stays as it was: {error:#}");
                return;
            }
        };
        configuration::print(&loaded.diagnostics);
        let applied = match loaded.diagnostics.has_errors() {
            true => Err(anyhow::anyhow!("it has errors")),
            false => check(&loaded.settings),
        };
        let applied = applied.and_then(|()| self.apply(&loaded.settings.ostler.applications));
        match applied {
            Ok(()) => tracing::info!(
                applications = self.applications.len(),
                "the configuration is reloaded"
            ),
            Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
        }
    }

    fn tell_waiting(&mut self, waiting: &BTreeMap<String, usize>) {
        for running in self.applications.values_mut() {
            let now = waiting.get(&running.folder).copied().unwrap_or(0);
            if std::mem::replace(&mut running.waiting, now) != now {
                let _ = running.events.send(Event::Waiting(now));
            }
        }
    }

    fn answer(&self, asked: Asked) {
        let Asked { question, answer } = asked;
        match question {
            Question::List => {
                let mut statuses = Vec::new();
                for running in self.applications.values() {
                    let (sender, receiver) = oneshot::channel();
                    let _ = running.events.send(Event::Status(sender));
                    statuses.push(receiver);
                }
                tokio::spawn(async move {
                    let mut found = Vec::new();
                    for status in statuses {
                        found.extend(status.await);
                    }
                    let _ = answer.send(Answer::Applications(found));
                });
            }
            Question::Act { name, action } => {
                let running = self.applications.get(&name.to_lowercase());
                let told = match running {
                    Some(running) if running.events.send(Event::Act(action)).is_ok() => {
                        Answer::Done
                    }
                    _ => Answer::NoSuchApplication,
                };
                let _ = answer.send(told);
            }
        }
    }

    async fn end(&mut self) {
        for running in self.applications.values() {
            let _ = running.events.send(Event::End);
        }
        let actors = std::mem::take(&mut self.applications).into_values();
        for actor in actors
            .map(|running| running.actor)
            .chain(self.ended.drain(..))
        {
            let _ = actor.await;
        }
    }
}
