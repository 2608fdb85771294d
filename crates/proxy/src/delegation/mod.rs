//! Delegating exchanges to request queues: which instance, by which channel, and what if it fails.

mod canonical;
mod delegator;
mod grant;
mod in_flight;
mod kernel_tls;
mod response_transforms;
mod search;
mod stream_asked;
mod transformed;
mod verdict;

pub(crate) use canonical::{decode_like, write_field, write_request_line};
pub(crate) use delegator::{Delegated, delegate};
pub(crate) use kernel_tls::{Lost, make_delegable};
pub(crate) use search::Search;
pub(crate) use stream_asked::StreamAsked;
pub(crate) use transformed::transformed;
pub(crate) use verdict::{End, Seen, Verdict, verdict};
