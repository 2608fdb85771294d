//! Request queues as a thread sees them: their instances, the channels to these, and the requests that are
//! with a target or wait for one.

mod channel;
mod flush;
mod handoff;
mod instance;
mod lease;
mod lease_history;
mod queue;
mod registry;
mod relay;
mod room;
mod rules;
mod stream;

pub(crate) use channel::{Channel, NotTaken, Place, PlaceKey};
pub(crate) use flush::{Flush, after_waiting, before_waiting};
pub(crate) use handoff::{Event, Handoff};
pub(crate) use lease::{Lease, Seen as LeaseSeen};
pub(crate) use lease_history::LeaseHistory;
pub(crate) use queue::{Need, Passed, Queue, Taker, Ticket};
pub(crate) use registry::{QueueRegistry, QueueSeen, Trust};
pub(crate) use relay::{RelayGuard, RelayPlaces, RelayTarget};
pub(crate) use rules::{Rule, Rules};
pub(crate) use stream::{Heard, StreamHandle, StreamTunnel, StreamedBody, Uploading};
