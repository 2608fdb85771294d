//! `OutputCache`: the names that routes may use. What the policies say has no effect yet.

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::reader::Reader;
use crate::schema::OutputCacheConfig;
use crate::tree::ConfigurationTree;

/// Reads `OutputCache`. There are no reserved names (reference A11).
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> OutputCacheConfig {
    let mut reader = Reader::new(
        tree.section("OutputCache"),
        &keys::OUTPUT_CACHE,
        diagnostics,
    );
    let policies = reader.entries("Policies").into_iter();
    let policies = policies.map(|(name, _)| name.to_owned()).collect();
    reader.finish();
    OutputCacheConfig { policies }
}
