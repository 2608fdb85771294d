//! Delegating exchanges to request queues: which instance, by which channel, and what if it fails.

mod channel;
mod delegator;
mod handoff;
mod queue;
mod relay;
mod rules;
mod transformed;
mod way;

pub(crate) use channel::{Channel, NotTaken, Place};
pub(crate) use delegator::{Delegated, PlaceKey, Unanswered, delegate, place_key};
pub(crate) use handoff::{Handoff, Record};
pub(crate) use queue::{Queue, QueueRegistry, Trust, Way};
pub(crate) use relay::{RelayPlace, RelayTarget};
pub(crate) use rules::{Rule, Rules};
pub(crate) use way::way_to_targets;

pub(crate) use transformed::{Transformed, transformed};
