//! `HashCookie` and `ArrCookie`: a cookie with a hash of the destination's id. They hide nothing.

use std::sync::Arc;

use ostler_config::schema::SessionAffinityConfig;

use super::cookie::{cookie, set_cookie};
use super::{Affinity, KeyField, SessionAffinityPolicy, UnixSeconds};
use crate::destination::DestinationState;
use crate::route::RequestFacts;

/// A cookie with the XXH64 of the destination's id: YARP's default.
#[derive(Debug, Clone, Copy, Default)]
pub struct HashCookie;

/// A cookie as IIS' Application Request Routing sets it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArrCookie;

impl SessionAffinityPolicy for HashCookie {
    fn name(&self) -> &str {
        "HashCookie"
    }

    fn find<'a>(
        &self,
        request: &dyn RequestFacts,
        config: &SessionAffinityConfig,
        available: &'a [Arc<DestinationState>],
    ) -> Affinity<'a> {
        by_hash(request, config, available, |destination| {
            &destination.hashes().hash_cookie
        })
    }

    fn key_field(
        &self,
        request: &dyn RequestFacts,
        config: &SessionAffinityConfig,
        destination: &DestinationState,
        now: UnixSeconds,
    ) -> Option<KeyField> {
        let key = &destination.hashes().hash_cookie;
        Some(key_cookie(request, config, key, now))
    }
}

impl SessionAffinityPolicy for ArrCookie {
    fn name(&self) -> &str {
        "ArrCookie"
    }

    fn find<'a>(
        &self,
        request: &dyn RequestFacts,
        config: &SessionAffinityConfig,
        available: &'a [Arc<DestinationState>],
    ) -> Affinity<'a> {
        by_hash(request, config, available, |destination| {
            &destination.hashes().arr_cookie
        })
    }

    fn key_field(
        &self,
        request: &dyn RequestFacts,
        config: &SessionAffinityConfig,
        destination: &DestinationState,
        now: UnixSeconds,
    ) -> Option<KeyField> {
        let key = &destination.hashes().arr_cookie;
        Some(key_cookie(request, config, key, now))
    }
}

/// Hashes compare exactly; the ids behind them do not (reference 6.1).
fn by_hash<'a>(
    request: &dyn RequestFacts,
    config: &SessionAffinityConfig,
    available: &'a [Arc<DestinationState>],
    hash: impl Fn(&DestinationState) -> &String,
) -> Affinity<'a> {
    let Some(key) = cookie(request, &config.affinity_key_name) else {
        return Affinity::KeyNotSet;
    };
    let found = available
        .iter()
        .find(|destination| *hash(destination) == key);
    found.map_or(Affinity::DestinationNotFound, Affinity::Found)
}

pub(super) fn key_cookie(
    request: &dyn RequestFacts,
    config: &SessionAffinityConfig,
    key: &str,
    now: UnixSeconds,
) -> KeyField {
    KeyField {
        name: "set-cookie".to_owned(),
        value: set_cookie(config, key, request.is_https(), now),
    }
}
