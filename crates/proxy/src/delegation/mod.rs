//! Delegating exchanges to request queues: which instance, by which channel, and what if it fails.

mod canonical;
mod channel;
mod delegator;
mod handoff;
mod kernel_tls;
mod queue;
mod relay;
mod responses;
mod rules;
mod transformed;

pub(crate) use channel::{Channel, NotTaken, Place};
pub(crate) use delegator::{Delegated, PlaceKey, Unanswered, delegate, longest_head, place_key};
pub(crate) use handoff::{Handoff, Record};
pub(crate) use kernel_tls::{Lost, make_delegable};
pub(crate) use queue::{Queue, QueueRegistry, Trust};
pub(crate) use relay::{RelayPlaces, RelayTarget};
pub(crate) use rules::{Rule, Rules};

pub(crate) use transformed::{Transformed, transformed};
