//! Delegating exchanges to request queues: which instance, by which channel, and what if it fails.

mod canonical;
mod channel;
mod delegator;
mod handoff;
mod in_flight;
mod instance;
mod kernel_tls;
mod queue;
mod registry;
mod relay;
mod responses;
mod room;
mod rules;
mod transformed;
mod verdict;

pub(crate) use channel::{Channel, NotTaken, Place, PlaceKey};
pub(crate) use delegator::{Delegated, Unanswered, delegate};
pub(crate) use handoff::{Handoff, Record};
pub(crate) use kernel_tls::{Lost, make_delegable};
pub(crate) use queue::Queue;
pub(crate) use registry::{QueueRegistry, Trust};
pub(crate) use relay::{RelayPlaces, RelayTarget};
pub(crate) use rules::{Rule, Rules};
pub(crate) use transformed::{Transformed, transformed};
