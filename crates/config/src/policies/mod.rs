//! The policies that routes name (reference A11), from sections beside `ReverseProxy`.

mod authorization;
mod cors;
mod output_cache;
mod rate_limiter;
mod request_timeouts;

use crate::diagnostics::Diagnostics;
use crate::reader::Reader;
use crate::schema::PoliciesConfig;
use crate::tree::key::same;
use crate::tree::{ConfigurationTree, Section};

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

/// A policy must not have one of the names that mean something else where a route says them.
fn check_name(reader: &mut Reader<'_, '_>, at: &Section<'_>, name: &str, reserved: &[&str]) {
    if reserved.iter().any(|reserved| same(reserved, name)) {
        let message = format!("the name {name:?} is reserved");
        reader.error(at, message, Some("choose another one".to_owned()));
    }
}
