//! `HashCookie` and `ArrCookie`: a cookie with a hash of the destination's id. They hide nothing.

use std::sync::Arc;

use ostler_config::schema::SessionAffinityConfig;

use super::cookie::{cookie, key_cookie};
use super::hash::DestinationHashes;
use super::policy::{Affinity, KeyField, SessionAffinityPolicy, UnixSeconds};
use crate::destination::DestinationState;
use crate::route::RequestView;

/// A cookie with a hash of the destination's id.
#[derive(Debug, Clone, Copy)]
pub struct HashedCookie {
    name: &'static str,
    hash: fn(&DestinationHashes) -> &str,
}

impl HashedCookie {
    /// `HashCookie`, YARP's default: XXH64.
    pub fn hash_cookie() -> Self {
        Self {
            name: "HashCookie",
            hash: |hashes| &hashes.hash_cookie,
        }
    }

    /// `ArrCookie`: as IIS' Application Request Routing sets it.
    pub fn arr_cookie() -> Self {
        Self {
            name: "ArrCookie",
            hash: |hashes| &hashes.arr_cookie,
        }
    }
}

impl SessionAffinityPolicy for HashedCookie {
    fn name(&self) -> &str {
        self.name
    }

    /// Hashes compare exactly; the ids behind them do not (reference A6.1).
    fn find<'a>(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        available: &'a [Arc<DestinationState>],
    ) -> Affinity<'a> {
        let Some(key) = cookie(request, &config.affinity_key_name) else {
            return Affinity::KeyNotSet;
        };
        let found = available
            .iter()
            .find(|destination| (self.hash)(destination.hashes()) == key);
        found.map_or(Affinity::DestinationNotFound, Affinity::Found)
    }

    fn key_field(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        destination: &DestinationState,
        now: UnixSeconds,
    ) -> Option<KeyField> {
        let key = (self.hash)(destination.hashes());
        Some(key_cookie(request, config, key, now))
    }
}
