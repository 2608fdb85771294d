//! Destinations: where requests of a cluster may go, how busy and how healthy each is.

mod health;
mod model;
mod state;

pub use health::DestinationHealth;
pub use model::DestinationModel;
pub(crate) use state::ConcurrentRequests;
pub use state::{DestinationState, RequestGuard};
