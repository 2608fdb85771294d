//! Load balancing: which of several available destinations a request goes to (reference A5).

mod policies;
mod policy;

pub use policies::{FirstAlphabetical, LeastRequests, PowerOfTwoChoices, Random, RoundRobin};
pub use policy::LoadBalancingPolicy;

#[cfg(test)]
mod tests;
