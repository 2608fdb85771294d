//! An application: how many instances it has, which of them are to go, and who answers while none can.
//!
//! An actor. Whatever happens is an [`Event`]; after each, and now and then, `settle` brings what is closer to
//! what should be:
//!
//! ```text
//!   size                how many are wanted: Min; one, while requests wait; more, while they go on waiting
//!   starting, ready     fresh ones count up to size
//!   outdated            serve on until as many fresh ones are ready as are wanted, and are stopped then, all
//!                       at once: from that point on requests go to fresh ones alone
//!   failing             nothing is started until a pause is over; without an instance, a stand-in answers 503
//! ```

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ostler_config::ApplicationConfig;
use ostler_delegation::queue::{make_unserved, remove_unserved};
use ostler_delegation::{QueueName, QueueProperties, Verbosity503};
use ostler_shm::monotonic_nanoseconds;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::event::{Event, Look, News};
use super::instance::Start;
use super::measure::{Figures, figures, resident};
use super::program::Surroundings;
use super::stand_in::{Reason, StandIn, seconds_until};
use super::watched;
use crate::pool_words::{
    Action, ApplicationState, ApplicationStatus, InstanceState, InstanceStatus,
};

/// How often instances are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long requests wait in the queue until another instance is started for them.
const WAITING_FOR_LONG: Duration = Duration::from_millis(500);
/// An instance that has served for so long did not fail in its start.
const STEADY: Duration = Duration::from_secs(10);
/// The pause after the second failure in a row; it doubles with each.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Permissions of the queue's folder.
const PERMISSIONS: u32 = 0o750;

struct Instance {
    number: u64,
    pid: u32,
    state: InstanceState,
    outdated: bool,
    started_ns: u64,
    /// When it was last seen to have a request, or became ready.
    busy_ns: u64,
    /// In the queue's folder.
    ids: Vec<String>,
    figures: Figures,
    memory: u64,
    stop: Option<oneshot::Sender<()>>,
}

impl Instance {
    fn is_fresh(&self) -> bool {
        !self.outdated && self.state != InstanceState::Stopping
    }

    fn is_ready(&self) -> bool {
        self.state == InstanceState::Ready
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            self.state = InstanceState::Stopping;
            // It may have ended.
            let _ = stop.send(());
        }
    }
}

pub(super) struct Application {
    config: Arc<ApplicationConfig>,
    queue: QueueName,
    surroundings: Arc<Surroundings>,
    events: mpsc::UnboundedSender<Event>,
    instances: Vec<Instance>,
    /// Of the next instance.
    number: u64,
    size: usize,
    waiting: usize,
    /// Since when requests wait, without a pause.
    waiting_since_ns: Option<u64>,
    failures: u32,
    last_failure: Option<String>,
    /// Nothing is started until then.
    pause_until_ns: Option<u64>,
    is_stopped: bool,
    is_ending: bool,
    stand_in: Option<StandIn>,
    /// Those of the last instance that was ready.
    url_prefixes: Vec<String>,
    next_look_ns: u64,
    /// Instances are being asked.
    is_looking: bool,
    watching: Option<JoinHandle<()>>,
}

impl Application {
    /// Makes its queue, so that requests wait from now on.
    pub(super) fn new(
        config: ApplicationConfig,
        queue: QueueName,
        surroundings: Arc<Surroundings>,
        events: mpsc::UnboundedSender<Event>,
    ) -> anyhow::Result<Self> {
        let mut application = Self {
            url_prefixes: config.url_prefixes.clone(),
            config: Arc::new(config),
            queue,
            surroundings,
            events,
            instances: Vec::new(),
            number: 0,
            size: 0,
            waiting: 0,
            waiting_since_ns: None,
            failures: 0,
            last_failure: None,
            pause_until_ns: None,
            is_stopped: false,
            is_ending: false,
            stand_in: None,
            next_look_ns: 0,
            is_looking: false,
            watching: None,
        };
        application.make_queue()?;
        application.watch();
        Ok(application)
    }

    /// Runs until it has been told to end and no instance runs.
    pub(super) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        loop {
            self.settle();
            if self.is_ending && self.instances.is_empty() {
                break;
            }
            let next = self.next_turn();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(event),
                    None => break,
                },
                () = next => self.look(),
            }
        }
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        if let Err(error) = remove_unserved(&self.surroundings.runtime, &self.queue) {
            tracing::warn!(application = self.config.name, %error, "the queue cannot be removed");
        }
    }

    fn make_queue(&self) -> anyhow::Result<()> {
        let properties = QueueProperties {
            name: self.config.queue.clone(),
            verbosity: Verbosity503::Full,
            ..QueueProperties::new(&self.queue)
        };
        make_unserved(&self.surroundings.runtime, &properties, PERMISSIONS)
            .context("cannot make the queue")
    }

    fn watch(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        if self.config.watch.is_empty() {
            return;
        }
        let folder = self.surroundings.working_directory(&self.config);
        let paths: Vec<_> = self
            .config
            .watch
            .iter()
            .map(|path| folder.join(path))
            .collect();
        let events = self.events.clone();
        self.watching = Some(tokio::spawn(async move {
            loop {
                watched::changed(&paths).await;
                if events.send(Event::FilesChanged).is_err() {
                    return;
                }
            }
        }));
    }

    /// When something is due: never, while nothing runs and no pause is to end.
    fn next_turn(&self) -> impl Future<Output = ()> + use<> {
        let look = (!self.instances.is_empty()).then_some(self.next_look_ns);
        let due = look.into_iter().chain(self.pause_until_ns).min();
        async move {
            match due {
                None => std::future::pending().await,
                Some(due) => {
                    let left = due.saturating_sub(monotonic_nanoseconds());
                    tokio::time::sleep(Duration::from_nanos(left)).await;
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Waiting(waiting) => {
                self.waiting = waiting;
                self.note_waiting();
            }
            Event::News(number, news) => self.hear(number, news),
            Event::Looked(looks) => {
                self.is_looking = false;
                for (number, look) in looks {
                    self.note(number, look);
                }
                self.note_waiting();
                self.grow();
                self.shrink();
            }
            Event::FilesChanged => {
                tracing::info!(application = self.config.name, "its files have changed");
                self.failures = 0;
                self.pause_until_ns = None;
                self.recycle();
            }
            Event::Configure(config) => self.configure(*config),
            Event::Act(action) => self.act(action),
            Event::Status(answer) => _ = answer.send(self.status()),
            Event::End => self.is_ending = true,
        }
    }

    fn hear(&mut self, number: u64, news: News) {
        let name = &self.config.name;
        let Some(at) = self.instances.iter().position(|one| one.number == number) else {
            return;
        };
        let instance = &mut self.instances[at];
        match news {
            News::Started { pid } => {
                instance.pid = pid;
                tracing::info!(application = name, pid, "an instance starts");
            }
            News::Ready { ids, url_prefixes } => {
                let now = monotonic_nanoseconds();
                let millis = (now - instance.started_ns) / 1_000_000;
                tracing::info!(
                    application = name,
                    pid = instance.pid,
                    millis,
                    "an instance is ready"
                );
                (instance.ids, instance.busy_ns) = (ids, now);
                if instance.state == InstanceState::Starting {
                    instance.state = InstanceState::Ready;
                }
                self.url_prefixes = url_prefixes;
            }
            News::Ended { how } => {
                let ended = self.instances.remove(at);
                self.ended(&ended, how);
            }
        }
    }

    fn ended(&mut self, ended: &Instance, how: String) {
        let (name, pid) = (&self.config.name, ended.pid);
        let now = monotonic_nanoseconds();
        // The last one may have taken the queue along.
        if !self.is_ending
            && let Err(error) = self.make_queue()
        {
            tracing::error!(application = name, "requests do not wait: {error:#}");
        }
        if ended.state == InstanceState::Stopping {
            tracing::info!(application = name, pid, "an instance has ended");
            return;
        }
        let served = ended.is_ready() && now - ended.started_ns >= nanoseconds(STEADY);
        self.failures = if served { 1 } else { self.failures + 1 };
        // The first is made good at once.
        if let Some(doubled) = self.failures.checked_sub(2) {
            let pause = PAUSE * 2u32.saturating_pow(doubled.min(16));
            self.pause_until_ns = Some(now + nanoseconds(pause.min(LONGEST_PAUSE)));
        }
        let failures = self.failures;
        tracing::error!(
            application = name,
            pid,
            failures,
            how,
            "an instance has failed"
        );
        self.last_failure = Some(how);
        // Who needs it will ask for it.
        self.size = self.instances.iter().filter(|one| one.is_ready()).count();
    }

    fn note(&mut self, number: u64, look: Look) {
        let Some(instance) = self.instances.iter_mut().find(|one| one.number == number) else {
            return;
        };
        let now = monotonic_nanoseconds();
        instance.memory = look.memory;
        if let Some(figures) = look.figures {
            if figures.active > 0
                || figures.waiting > 0
                || figures.completed != instance.figures.completed
            {
                instance.busy_ns = now;
            }
            instance.figures = figures;
        }
        if now - instance.started_ns >= nanoseconds(STEADY) && instance.is_ready() {
            self.failures = 0;
        }
        let recycle = &self.config.recycle;
        let is_over = |limit: Option<u64>, now: u64| limit.is_some_and(|limit| now >= limit);
        let reason = if is_over(recycle.requests, instance.figures.completed) {
            "it has answered as many requests as it may"
        } else if is_over(recycle.memory, instance.memory) {
            "it has as much memory as it may"
        } else if is_over(recycle.time.map(nanoseconds), now - instance.started_ns) {
            "it is as old as it may be"
        } else {
            return;
        };
        if instance.is_ready() && !instance.outdated {
            instance.outdated = true;
            let (application, pid) = (&self.config.name, instance.pid);
            tracing::info!(
                application,
                pid,
                "an instance makes room for a new one: {reason}"
            );
        }
    }

    fn note_waiting(&mut self) {
        let in_rings: u64 = self.instances.iter().map(|one| one.figures.waiting).sum();
        self.waiting_since_ns = match self.waiting > 0 || in_rings > 0 {
            true => Some(self.waiting_since_ns.unwrap_or_else(monotonic_nanoseconds)),
            false => None,
        };
    }

    /// One more, if those that there are do not suffice.
    fn grow(&mut self) {
        let fresh = || self.instances.iter().filter(|one| one.is_fresh());
        let ready = fresh().filter(|one| one.is_ready()).count();
        if ready == 0 || ready < self.size || self.size >= self.config.instances.max {
            return;
        }
        let now = monotonic_nanoseconds();
        let waits = self
            .waiting_since_ns
            .is_some_and(|since| now - since >= nanoseconds(WAITING_FOR_LONG));
        let active: u64 = fresh()
            .map(|one| one.figures.active + one.figures.waiting)
            .sum();
        let concurrency = self.config.instances.concurrency;
        let is_busy = concurrency.is_some_and(|most| active > most.saturating_mul(ready as u64));
        if waits || is_busy {
            self.size += 1;
            let (application, size) = (&self.config.name, self.size);
            tracing::info!(application, size, "one more instance is started");
            // It is given the time to help.
            self.waiting_since_ns = None;
        }
    }

    /// One fewer, if it has had no request for a while.
    fn shrink(&mut self) {
        let Some(idle_timeout) = self.config.idle_timeout else {
            return;
        };
        let now = monotonic_nanoseconds();
        if self.size <= self.config.instances.min || self.waiting > 0 {
            return;
        }
        let idle = self.instances.iter_mut().find(|one| {
            one.is_fresh() && one.is_ready() && now - one.busy_ns >= nanoseconds(idle_timeout)
        });
        if let Some(idle) = idle {
            self.size -= 1;
            let (application, pid) = (&self.config.name, idle.pid);
            tracing::info!(application, pid, "an instance is stopped: nobody asks");
            idle.stop();
        }
    }

    fn recycle(&mut self) {
        for instance in &mut self.instances {
            instance.outdated = true;
        }
    }

    fn configure(&mut self, config: ApplicationConfig) {
        let same = ApplicationConfig {
            instances: config.instances,
            idle_timeout: config.idle_timeout,
            recycle: config.recycle,
            watch: config.watch.clone(),
            ..ApplicationConfig::clone(&self.config)
        };
        let is_same_program = same == config;
        self.config = Arc::new(config);
        self.watch();
        if !is_same_program {
            self.failures = 0;
            self.pause_until_ns = None;
            self.recycle();
        }
    }

    fn act(&mut self, action: Action) {
        tracing::info!(
            application = self.config.name,
            ?action,
            "told by `ostler apps`"
        );
        match action {
            Action::Recycle => self.recycle(),
            Action::Stop => self.is_stopped = true,
            Action::Start => {
                self.is_stopped = false;
                self.failures = 0;
                self.pause_until_ns = None;
                self.size = self.size.max(1);
            }
        }
    }

    /// Brings what is closer to what should be.
    fn settle(&mut self) {
        let now = monotonic_nanoseconds();
        if self.pause_until_ns.is_some_and(|until| until <= now) {
            self.pause_until_ns = None;
        }
        if self.is_stopped || self.is_ending {
            self.size = 0;
            self.instances.iter_mut().for_each(Instance::stop);
        } else {
            let limits = self.config.instances;
            let asked = usize::from(self.waiting > 0);
            self.size = self.size.max(limits.min).max(asked).min(limits.max);
            let fresh = self.instances.iter().filter(|one| one.is_fresh()).count();
            if self.pause_until_ns.is_none() {
                for _ in fresh..self.size {
                    self.start();
                }
            }
            self.let_go(fresh);
        }
        self.stand_in();
    }

    /// Stops outdated instances once they are not needed any more, and fresh ones that are too many.
    fn let_go(&mut self, fresh: usize) {
        let ready = self
            .instances
            .iter()
            .filter(|one| one.is_fresh() && one.is_ready());
        if ready.count() >= self.size {
            let outdated = self.instances.iter_mut().filter(|one| one.outdated);
            outdated.for_each(Instance::stop);
        }
        let too_many = fresh.saturating_sub(self.size);
        let fresh = self.instances.iter_mut().rev().filter(|one| one.is_fresh());
        fresh.take(too_many).for_each(Instance::stop);
    }

    fn start(&mut self) {
        self.number += 1;
        let (stop, stopped) = oneshot::channel();
        let now = monotonic_nanoseconds();
        if self.instances.is_empty() {
            self.next_look_ns = now + nanoseconds(self.pace());
        }
        self.instances.push(Instance {
            number: self.number,
            pid: 0,
            state: InstanceState::Starting,
            outdated: false,
            started_ns: now,
            busy_ns: now,
            ids: Vec::new(),
            figures: Figures::default(),
            memory: 0,
            stop: Some(stop),
        });
        let start = Start {
            number: self.number,
            config: Arc::clone(&self.config),
            queue: self.queue.clone(),
            surroundings: Arc::clone(&self.surroundings),
            events: self.events.clone(),
        };
        tokio::spawn(start.run(stopped));
    }

    /// Has somebody answer while no instance can.
    fn stand_in(&mut self) {
        let name = &self.config.name;
        let serves = self.instances.iter().any(Instance::is_ready);
        let reason = if self.is_ending || serves {
            None
        } else if self.is_stopped {
            Some(Reason {
                text: format!("The application {name} is stopped."),
                until_ns: None,
            })
        } else {
            self.pause_until_ns.map(|until| Reason {
                text: format!("The application {name} does not start."),
                until_ns: Some(until),
            })
        };
        let Some(reason) = reason else {
            self.stand_in = None;
            return;
        };
        let says = |stand_in: &StandIn| stand_in.says(&reason);
        if self.stand_in.as_ref().is_some_and(says) {
            return;
        }
        let runtime = &self.surroundings.runtime;
        match StandIn::start(runtime, &self.config.queue, &self.url_prefixes, reason) {
            Ok(stand_in) => self.stand_in = Some(stand_in),
            Err(error) => tracing::error!(application = name, "nobody answers for it: {error:#}"),
        }
    }

    /// How often instances are looked at: often enough for the idle timeout.
    fn pace(&self) -> Duration {
        let idle = self.config.idle_timeout.unwrap_or(LOOK * 4);
        (idle / 4).clamp(Duration::from_millis(50), LOOK)
    }

    /// Asks the instances, which tell some time later.
    fn look(&mut self) {
        self.next_look_ns = monotonic_nanoseconds() + nanoseconds(self.pace());
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let asked: Vec<_> = self
            .instances
            .iter()
            .filter(|one| one.is_ready())
            .map(|one| (one.number, one.pid, one.ids.clone()))
            .collect();
        let (runtime, queue) = (self.surroundings.runtime.clone(), self.queue.clone());
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let looks = asked.into_iter().map(|(number, pid, ids)| {
                let look = Look {
                    figures: figures(&runtime, &queue, &ids),
                    memory: resident(pid),
                };
                (number, look)
            });
            let _ = events.send(Event::Looked(looks.collect()));
        });
    }

    fn status(&self) -> ApplicationStatus {
        let now = monotonic_nanoseconds();
        let serves = self.instances.iter().any(Instance::is_ready);
        let state = match (
            self.is_stopped,
            self.pause_until_ns,
            self.instances.is_empty(),
        ) {
            (true, ..) => ApplicationState::Stopped,
            (false, Some(_), _) if !serves => ApplicationState::Failing,
            (false, _, true) => ApplicationState::Idle,
            (false, _, false) => ApplicationState::Running,
        };
        let instances = self.instances.iter().map(|one| InstanceStatus {
            number: one.number,
            pid: one.pid,
            state: one.state,
            outdated: one.outdated,
            age: Duration::from_nanos(now - one.started_ns).as_secs(),
            active: one.figures.active,
            completed: one.figures.completed,
            memory: one.memory,
        });
        ApplicationStatus {
            name: self.config.name.clone(),
            queue: self.config.queue.clone(),
            pool: std::process::id(),
            state,
            waiting: self.waiting as u64,
            failures: self.failures,
            last_failure: self.last_failure.clone(),
            retry_after: self.pause_until_ns.map(seconds_until),
            instances: instances.collect(),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
