//! `RateLimiter`: reading and validating.

use crate::diagnostics::Diagnostics;
use crate::schema::RateLimiterConfig;
use crate::tree::ConfigurationTree;

/// Reads `RateLimiter`.
pub(super) fn read(_tree: &ConfigurationTree, _diagnostics: &mut Diagnostics) -> RateLimiterConfig {
    RateLimiterConfig::default()
}
