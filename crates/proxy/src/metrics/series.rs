//! What exchanges are told apart by, and what is counted of those that are alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_delegation::QueueName;
use ostler_model::{DestinationState, RouteModel};

use super::asked::Asked;
use super::histogram::{Cells, Durations, increase};
use crate::outcome::{ForwarderError, Mode, Outcome};
use crate::reason::Reason;

/// How exchanges differ, route and destination apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Manner {
    pub(super) asked: Asked,
    pub(super) status: u16,
    pub(super) mode: Mode,
    pub(super) reason: Option<Reason>,
    pub(super) error: Option<ForwarderError>,
}

/// Where exchanges go, by the configuration's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Course {
    pub(super) route: Option<Matched>,
    pub(super) cluster: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) server: Option<Server>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Matched {
    pub(super) id: String,
    /// Its pattern for paths, as ASP.NET has it.
    pub(super) pattern: String,
}

/// A destination's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Server {
    pub(super) is_https: bool,
    pub(super) address: String,
    pub(super) port: u16,
}

/// Exchanges that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) manner: Manner,
    pub(super) course: Course,
}

/// What is counted of them, by one thread.
#[derive(Debug, Default)]
pub(super) struct Series {
    whole: Cells,
    decided: Cells,
    queued: Cells,
    answered: Cells,
    taken: Cells,
    response_bytes: AtomicU64,
    request_bytes: AtomicU64,
}

/// The same, read at some moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    pub(super) whole: Durations,
    /// From the head to the decision where it goes.
    pub(super) decided: Durations,
    /// From there until a target took it.
    pub(super) queued: Durations,
    /// From there to the response's first byte.
    pub(super) answered: Durations,
    /// From there until the client had taken it.
    pub(super) taken: Durations,
    pub(super) response_bytes: u64,
    pub(super) request_bytes: u64,
}

impl Manner {
    pub(super) fn of(asked: Asked, outcome: &Outcome) -> Self {
        Self {
            asked,
            status: outcome.status,
            mode: outcome.mode,
            reason: outcome.reason,
            error: outcome.error,
        }
    }

    /// That of exchanges that there is no room to tell apart.
    pub(super) fn of_the_rest(mode: Mode) -> Self {
        Self {
            asked: Asked::malformed(false),
            status: 0,
            mode,
            reason: None,
            error: None,
        }
    }
}

impl Course {
    pub(super) fn of(route: Option<&RouteModel>, destination: Option<&DestinationState>) -> Self {
        let cluster = route.and_then(|route| route.cluster.as_deref());
        let model = destination.map(DestinationState::model);
        let address = model.as_ref().map(|model| model.config.address.as_str());
        Self {
            route: route.map(|route| Matched {
                id: route.config.route_id.clone(),
                pattern: pattern(route),
            }),
            cluster: cluster.map(|cluster| cluster.id().to_owned()),
            destination: destination.map(|destination| destination.id().to_owned()),
            queue: model.as_ref().and_then(|model| {
                let name = QueueName::new(model.queue.as_deref()?).ok()?;
                Some(name.folder().to_owned())
            }),
            server: address.and_then(Server::parse),
        }
    }

    /// That of exchanges that there is no room to tell apart.
    pub(super) fn of_the_rest() -> Self {
        Self {
            route: Some(Matched {
                id: "_OTHER".to_owned(),
                pattern: "_OTHER".to_owned(),
            }),
            ..Self::default()
        }
    }
}

/// A route without a path matches them all.
fn pattern(route: &RouteModel) -> String {
    let path = route.config.matches.path.as_deref();
    path.unwrap_or("/{**catchall}").to_owned()
}

impl Server {
    fn parse(address: &str) -> Option<Self> {
        let uri: http::Uri = address.parse().ok()?;
        let is_https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let default_port = if is_https { 443 } else { 80 };
        let host = uri.host()?;
        let host = host.strip_prefix('[').unwrap_or(host);
        Some(Self {
            is_https,
            address: host.strip_suffix(']').unwrap_or(host).to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
        })
    }
}

impl Series {
    /// One more exchange.
    pub(super) fn add(&self, outcome: &Outcome) {
        self.whole.add(outcome.duration);
        let stages = outcome.stages();
        for (cells, stage) in [
            (&self.decided, stages.decided),
            (&self.queued, stages.queued),
            (&self.answered, stages.answered),
            (&self.taken, stages.taken),
        ] {
            if let Some(duration) = stage {
                cells.add(duration);
            }
        }
        increase(&self.response_bytes, outcome.bytes_sent);
        increase(&self.request_bytes, outcome.bytes_received.unwrap_or(0));
    }

    pub(super) fn read(&self) -> Counted {
        Counted {
            whole: self.whole.read(),
            decided: self.decided.read(),
            queued: self.queued.read(),
            answered: self.answered.read(),
            taken: self.taken.read(),
            response_bytes: self.response_bytes.load(Ordering::Relaxed),
            request_bytes: self.request_bytes.load(Ordering::Relaxed),
        }
    }
}

/// A series in the hands of the thread that counts, with what its key's addresses belong to: none of these is
/// another's while this is there.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) series: Arc<Series>,
    pub(super) _route: Option<Arc<RouteModel>>,
    pub(super) _destination: Option<Arc<DestinationState>>,
}
