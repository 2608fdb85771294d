//! Probing a delegated destination: its address is a URL prefix that nobody listens on, so an
//! instance of its queue is given a connection and asked over it, as a relayed one is. No exchange of
//! a client is involved and no memory is shared, whatever user the instance runs as.

use std::sync::Arc;

use http::Request;
use ostler_delegation::control::ConnectionFacts;
use ostler_delegation::rule::RuleError;
use ostler_delegation::runtime::{QueueFolder, RuntimeFolder};
use ostler_delegation::{ChannelError, DelegationRule, QueueError};

use crate::destinations::{ForwardBody, Interim, SendError};
use crate::error_chain::Chain;
use crate::queues::{RelayPlaces, RelayTarget};
use crate::tls::ClientFacts;

/// A queue gave no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueProbeError {
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("no instance is attached to the queue")]
    NoInstance,
    #[error("an instance takes no connection")]
    Channel(#[from] ChannelError),
    #[error("an instance gives no response")]
    Send(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SendError> for QueueProbeError {
    fn from(error: SendError) -> Self {
        Self::Send(error.source)
    }
}

/// Asks the instance whose turn it is; one that is dead or does not serve the rule is passed over.
pub(super) async fn ask(
    runtime: &RuntimeFolder,
    rule: &DelegationRule,
    turn: usize,
    request: Request<ForwardBody>,
) -> Result<u16, QueueProbeError> {
    let folder = runtime.queue(rule.queue());
    if !folder.exists()? {
        return Err(RuleError::QueueNotFound(rule.queue().to_string()).into());
    }
    let mut instances = folder.instances();
    let first = turn.checked_rem(instances.len()).unwrap_or_default();
    instances.rotate_left(first);
    let mut why = QueueProbeError::NoInstance;
    for id in instances {
        match connect(&folder, id, rule).await {
            Ok(target) => {
                let facts = ConnectionFacts {
                    client: None,
                    local: None,
                    accepted_ns: ostler_shm::monotonic_nanoseconds(),
                };
                let (parts, body) = request.into_parts();
                let facts = ClientFacts::clear(facts);
                let make = || Some(parts.clone());
                let connections = RelayPlaces::default().of(&target, &facts);
                let interim = Interim::default();
                let sent = target.send(&connections, &make, body, &facts, &interim);
                let response = sent.await.map_err(|failed| failed.error)?;
                return Ok(response.status().as_u16());
            }
            Err(QueueProbeError::Channel(error)) => {
                tracing::debug!(queue = %rule.queue(), error = %Chain(&error), "an instance is not probed");
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

async fn connect(
    folder: &QueueFolder,
    id: String,
    rule: &DelegationRule,
) -> Result<std::rc::Rc<RelayTarget>, QueueProbeError> {
    let control = folder.connect(&id).map_err(ChannelError::from)?;
    let target = RelayTarget::hello(id, control, Arc::default(), Arc::default())?;
    target.welcomed().await?;
    rule.check_prefixes(&target.url_prefixes())?;
    Ok(target)
}
