//! The proxy pipeline in YARP's words: what happens to an exchange between its route and the wire.
//!
//! The steps run in order. Each may narrow the available destinations, answer the request itself,
//! or let it go on; behind the last one stands the forwarder. See [`crate::exchange`] for the whole
//! life of an exchange.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::context::ExchangeContext;
use crate::direct_forwarder::DirectForwarder;
use crate::outcome::Outcome;

/// The steps of a pipeline, built in the order they run.
#[derive(Clone, Default)]
pub struct Pipeline {
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone)]
pub(crate) enum Step {
    SessionAffinity,
    LoadBalancing,
    PassiveHealthChecks,
    HttpSysDelegation,
    Custom(Arc<dyn PipelineStep>),
}

/// A step of one's own.
pub trait PipelineStep: Send + Sync + 'static {
    /// Its name, for logs.
    fn name(&self) -> &str;

    /// Looks at an exchange before a destination is asked.
    fn run<'a>(&'a self, exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a>;

    /// Whether each request has to come by before it goes anywhere. A step that only wants to know of ends
    /// says false: targets of request queues may then read some of a connection's requests themselves, and
    /// [`ended`](Self::ended) is told of them a moment later.
    fn sees_each_request(&self) -> bool {
        true
    }

    /// Looks at how an exchange ended: after the response, in the reverse order of the steps. Told of
    /// is each exchange, once, whoever has answered it: a destination, a target, a policy, a step, or
    /// the front itself, what could not be read as a request included.
    fn ended(&self, _outcome: &Outcome) {}
}

/// What a step's work returns.
pub type StepFuture<'a> = Pin<Box<dyn Future<Output = Flow> + 'a>>;

/// Where an exchange goes after a step.
#[derive(Debug)]
pub enum Flow {
    /// To the next step.
    Continue,
    /// Back to the client, with this response.
    Respond(http::Response<Bytes>),
    /// To this prefix, whatever the route's cluster is: no later step runs, and the destinations that
    /// are left do not matter. How it ends [`PipelineStep::ended`] is told.
    Forward(Arc<DirectForwarder>),
}

impl Pipeline {
    /// A pipeline without steps: every request is forwarded, to one of the available destinations
    /// at random.
    pub fn new() -> Self {
        Self::default()
    }

    /// YARP's default: session affinity, load balancing, passive health checks. Delegation is not
    /// among them.
    pub fn yarp_default() -> Self {
        Self::new()
            .use_session_affinity()
            .use_load_balancing()
            .use_passive_health_checks()
    }

    /// A pipeline by the names of the configuration key `ReverseProxy:Pipeline`, compared without
    /// case.
    ///
    /// # Errors
    ///
    /// The first name that is no step.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownStep> {
        names.into_iter().try_fold(Self::new(), |pipeline, name| {
            match name.to_ascii_lowercase().as_str() {
                "sessionaffinity" => Ok(pipeline.use_session_affinity()),
                "loadbalancing" => Ok(pipeline.use_load_balancing()),
                "passivehealthchecks" => Ok(pipeline.use_passive_health_checks()),
                "httpsysdelegation" => Ok(pipeline.use_http_sys_delegation()),
                _ => Err(UnknownStep(name.to_owned())),
            }
        })
    }

    /// Sends a client back to the destination it had before, by the cluster's policy.
    pub fn use_session_affinity(self) -> Self {
        self.with(Step::SessionAffinity)
    }

    /// Picks one of the available destinations by the cluster's policy.
    pub fn use_load_balancing(self) -> Self {
        self.with(Step::LoadBalancing)
    }

    /// Has the ends of exchanges judged by their clusters' passive health policies, where passive
    /// checks are enabled.
    pub fn use_passive_health_checks(self) -> Self {
        self.with(Step::PassiveHealthChecks)
    }

    /// Delegates requests whose destination names a request queue.
    pub fn use_http_sys_delegation(self) -> Self {
        self.with(Step::HttpSysDelegation)
    }

    /// A step of one's own.
    pub fn use_step(self, step: impl PipelineStep) -> Self {
        self.with(Step::Custom(Arc::new(step)))
    }

    /// Whether requests can be delegated at all.
    pub fn delegates(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::HttpSysDelegation))
    }

    /// Whether a request may reach its target without having come by here.
    pub(crate) fn can_be_left_out(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::SessionAffinity | Step::LoadBalancing => true,
            Step::PassiveHealthChecks | Step::HttpSysDelegation => true,
            Step::Custom(step) => !step.sees_each_request(),
        })
    }

    fn with(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.steps.iter().map(|step| match step {
            Step::SessionAffinity => "SessionAffinity",
            Step::LoadBalancing => "LoadBalancing",
            Step::PassiveHealthChecks => "PassiveHealthChecks",
            Step::HttpSysDelegation => "HttpSysDelegation",
            Step::Custom(step) => step.name(),
        });
        f.debug_list().entries(names).finish()
    }
}

/// A pipeline names a step that does not exist.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no pipeline step (there are SessionAffinity, LoadBalancing, PassiveHealthChecks and \
     HttpSysDelegation)"
)]
pub struct UnknownStep(pub String);
