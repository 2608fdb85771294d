//! `RequestTimeouts`: reading and validating.

use crate::diagnostics::Diagnostics;
use crate::schema::RequestTimeoutsConfig;
use crate::tree::ConfigurationTree;

/// Reads `RequestTimeouts`.
pub(super) fn read(
    _tree: &ConfigurationTree,
    _diagnostics: &mut Diagnostics,
) -> RequestTimeoutsConfig {
    RequestTimeoutsConfig::default()
}
