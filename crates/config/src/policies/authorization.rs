//! `Authorization` and `Authentication`: reading and validating.

use crate::diagnostics::Diagnostics;
use crate::schema::AuthorizationConfig;
use crate::tree::ConfigurationTree;

/// Reads `Authorization` and `Authentication`.
pub(super) fn read(
    _tree: &ConfigurationTree,
    _diagnostics: &mut Diagnostics,
) -> AuthorizationConfig {
    AuthorizationConfig::default()
}
