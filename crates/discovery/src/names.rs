//! The names of a configuration, and the destinations that they lead to at any time.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ostler_config::DestinationResolverConfig;
use ostler_config::schema::ProxyConfig;
use ostler_model::FastRandom;
use ostler_model::provider::InMemoryConfigProvider;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dns::Dns;
use crate::follow::{Follower, Told};
use crate::lookup::Lookup;
use crate::query::{Endpoint, Query};
use crate::resolve;

/// How many names are asked for at once.
const LOOKUPS_AT_ONCE: usize = 64;

/// How long a configuration with new names waits for their first answers.
const FIRST_ANSWERS: Duration = Duration::from_secs(5);

/// Answers that come within this time are put in force together.
const GATHERING: Duration = Duration::from_millis(50);

/// Keeps a provider at what a configuration's names lead to, from one answer to the next.
///
/// What cannot be looked up stays as it was. A name that never could has no destinations until it can.
pub struct Names {
    commands: mpsc::UnboundedSender<Command>,
}

struct Command {
    proxy: ProxyConfig,
    config: DestinationResolverConfig,
    in_force: oneshot::Sender<()>,
}

impl Names {
    /// Begins on the runtime that calls, without a name.
    pub fn new(provider: Arc<InMemoryConfigProvider>) -> Self {
        Self::asking(provider, |config| Arc::new(Dns::new(config)))
    }

    fn asking(
        provider: Arc<InMemoryConfigProvider>,
        lookup: impl Fn(&DestinationResolverConfig) -> Arc<dyn Lookup> + Send + 'static,
    ) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (told, answers) = mpsc::unbounded_channel();
        let follower = Follower {
            lookup: lookup(&DestinationResolverConfig::default()),
            refresh_period: None,
            permits: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)),
            told,
        };
        let following = Following {
            provider,
            make_lookup: Box::new(lookup),
            config: DestinationResolverConfig::default(),
            follower,
            wanted: ProxyConfig::default(),
            known: HashMap::new(),
            due: None,
            in_force: None,
        };
        tokio::spawn(following.run(receiver, answers));
        Self { commands }
    }

    /// Follows the names of another configuration. It is put in force when each new name has been asked
    /// for once, after five seconds at the latest; then the result completes.
    pub fn update(
        &self,
        proxy: ProxyConfig,
        config: DestinationResolverConfig,
    ) -> impl Future<Output = ()> + use<> {
        let (in_force, done) = oneshot::channel();
        // Whoever reads commands lives as long as this does.
        _ = self.commands.send(Command {
            proxy,
            config,
            in_force,
        });
        async move { _ = done.await }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

type MakeLookup = Box<dyn Fn(&DestinationResolverConfig) -> Arc<dyn Lookup> + Send>;

/// The task behind [`Names`].
struct Following {
    provider: Arc<InMemoryConfigProvider>,
    make_lookup: MakeLookup,
    config: DestinationResolverConfig,
    follower: Follower,
    /// What was written, with its names.
    wanted: ProxyConfig,
    known: HashMap<Query, Known>,
    /// When what is known is to be put in force.
    due: Option<Instant>,
    /// Who waits for a new configuration, until it is in force.
    in_force: Option<oneshot::Sender<()>>,
}

/// What is known of a name.
struct Known {
    endpoints: Option<BTreeSet<Endpoint>>,
    was_asked: bool,
    /// Why it cannot be looked up, as it was said last.
    failure: Option<String>,
    task: AbortHandle,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut answers: mpsc::UnboundedReceiver<Told>,
    ) {
        loop {
            tokio::select! {
                // Nothing is put in force in the place of what the next command, or the end, says.
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.want(command),
                    None => return,
                },
                Some(told) = answers.recv() => self.learn(told),
                () = until(self.due) => self.put_in_force(),
            }
        }
    }

    /// Takes another configuration and asks for what is new in it.
    fn want(&mut self, command: Command) {
        let Command {
            proxy,
            config,
            in_force,
        } = command;
        let asks_anew = self.known.is_empty() || config != self.config;
        if asks_anew {
            self.follower.lookup = (self.make_lookup)(&config);
            self.follower.refresh_period = config.refresh_period;
        }
        let mut before = std::mem::take(&mut self.known);
        for query in resolve::queries(&proxy) {
            let known = match before.remove(&query) {
                Some(known) if !asks_anew => known,
                // Its addresses hold until there is an answer by the new settings.
                known => Known {
                    endpoints: known.and_then(|mut known| known.endpoints.take()),
                    was_asked: false,
                    failure: None,
                    task: self.begin(query.clone()),
                },
            };
            self.known.insert(query, known);
        }
        self.wanted = proxy;
        self.config = config;
        // One that waits still is told when its successor is in force.
        self.in_force = Some(in_force);
        self.due = match self.is_complete() {
            true => {
                self.put_in_force();
                None
            }
            false => Some(in_time(FIRST_ANSWERS)),
        };
    }

    fn begin(&self, query: Query) -> AbortHandle {
        let random = FastRandom::new(seed(&query));
        tokio::spawn(self.follower.clone().follow(query, random)).abort_handle()
    }

    /// Whether every name has been asked for.
    fn is_complete(&self) -> bool {
        self.known.values().all(|known| known.was_asked)
    }

    /// Takes an answer, or that there is none.
    fn learn(&mut self, told: Told) {
        let Some(known) = self.known.get_mut(&told.query) else {
            return;
        };
        known.was_asked = true;
        let has_changed = known.learn(told);
        if self.in_force.is_some() {
            if self.is_complete() {
                self.put_in_force();
            }
        } else if has_changed && self.due.is_none() {
            self.due = Some(in_time(GATHERING));
        }
    }

    fn put_in_force(&mut self) {
        self.due = None;
        let resolved = resolve::resolve(&self.wanted, |query| {
            self.known.get(query)?.endpoints.as_ref()
        });
        self.provider.update(resolved);
        if let Some(in_force) = self.in_force.take() {
            // Nobody may be waiting for it.
            _ = in_force.send(());
        }
    }
}

impl Known {
    /// Whether the answer says something else than what was known; and tells the log.
    fn learn(&mut self, told: Told) -> bool {
        let name = told.query.name();
        let found = match told.found {
            Ok(found) => found,
            Err(error) => {
                let error = error.to_string();
                if self.failure.as_ref() != Some(&error) {
                    let consequence = match self.endpoints {
                        Some(_) => "its last addresses stay in force",
                        None => "it has no destinations until it can",
                    };
                    tracing::warn!(name, error, "the name cannot be looked up: {consequence}");
                    self.failure = Some(error);
                }
                return false;
            }
        };
        if self.failure.take().is_some() {
            tracing::info!(name, "the name can be looked up again");
        }
        let endpoints = found.over(self.endpoints.as_ref());
        if self.endpoints.as_ref() == Some(&endpoints) {
            return false;
        }
        let listed: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
        tracing::info!(name, addresses = listed.join(" "), "the name's addresses");
        self.endpoints = Some(endpoints);
        true
    }
}

/// The moment after this time.
fn in_time(time: Duration) -> Instant {
    sleep(time).deadline()
}

/// Completes then, never without a time.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Different for each name and each process: many fronts that start together are not to ask together.
fn seed(query: &Query) -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(query)
}

#[cfg(test)]
mod tests;
