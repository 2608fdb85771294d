//! Clusters: sets of destinations that answer the same requests, and how one is chosen.

mod available;
mod destinations;
mod model;
mod resolve;
mod state;

pub use available::{
    AvailableDestinationsPolicy, EnabledHealthChecks, HealthyAndUnknown, HealthyOrPanic,
};
pub use destinations::DestinationSnapshot;
pub use model::ClusterModel;
pub use state::{ClusterState, PassiveChange};
