//! The policies that routes name (reference A11), from sections beside `ReverseProxy`.

mod authorization;
mod cors;
mod output_cache;
mod rate_limiter;
mod request_timeouts;
mod reserved_names;

use crate::diagnostics::Diagnostics;
use crate::schema::PoliciesConfig;
use crate::tree::ConfigurationTree;

/// Reads them all.
pub(crate) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> PoliciesConfig {
    PoliciesConfig {
        cors: cors::read(tree, diagnostics),
        rate_limiter: rate_limiter::read(tree, diagnostics),
        output_cache: output_cache::read(tree, diagnostics),
        request_timeouts: request_timeouts::read(tree, diagnostics),
        authorization: authorization::read(tree, diagnostics),
    }
}
