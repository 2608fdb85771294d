//! What clusters and their destinations are read by.

use super::services::Services;
use crate::route_validator::RouteValidator;

/// What destinations are read by.
pub(crate) struct Reading<'a> {
    pub(crate) validator: &'a dyn RouteValidator,
    /// Whether the pipeline has that step.
    pub(crate) delegates: bool,
    /// Where services are, if destinations may name them.
    pub(crate) services: Option<Services>,
}
