//! `Cors`: reading and validating.

use crate::diagnostics::Diagnostics;
use crate::schema::CorsConfig;
use crate::tree::ConfigurationTree;

/// Reads `Cors`.
pub(super) fn read(_tree: &ConfigurationTree, _diagnostics: &mut Diagnostics) -> CorsConfig {
    CorsConfig::default()
}
