//! What can be wrong with a route.

/// A part of a route cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {route_id:?}: {part}: {message}")]
pub struct RouteBuildError {
    /// The route.
    pub route_id: String,
    /// Which part of it, by its place in the configuration: `Match:Path`, `Match:Hosts:0`.
    pub part: String,
    /// What is wrong with it.
    pub message: String,
}
