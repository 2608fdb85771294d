//! Delegating exchanges to request queues: which instance, by which channel, and what if it fails.

mod canonical;
mod delegator;
mod in_flight;
mod kernel_tls;
mod responses;
mod transformed;
mod verdict;

pub(crate) use delegator::{Delegated, delegate};
pub(crate) use kernel_tls::{Lost, make_delegable};
pub(crate) use transformed::transformed;
