//! `Cookie` and `CustomHeader`: the destination's id, encrypted and authenticated.

use std::sync::Arc;

use ostler_config::schema::SessionAffinityConfig;

use super::cookie::{cookie, key_cookie};
use super::policy::{Affinity, KeyField, SessionAffinityPolicy, UnixSeconds};
use super::protection::KeyRing;
use crate::destination::DestinationState;
use crate::route::RequestView;

/// A cookie with the encrypted id.
#[derive(Debug, Clone)]
pub struct Cookie(KeyRing);

/// A header field with the encrypted id, in request and response.
#[derive(Debug, Clone)]
pub struct CustomHeader(KeyRing);

/// What a key is for is part of it, so that one policy's is of no use to the other.
const COOKIE: &[u8] = b"SessionAffinity.Cookie";
const CUSTOM_HEADER: &[u8] = b"SessionAffinity.CustomHeader";

impl Cookie {
    /// The policy with these keys.
    pub fn new(keys: KeyRing) -> Self {
        Self(keys)
    }
}

impl CustomHeader {
    /// The policy with these keys.
    pub fn new(keys: KeyRing) -> Self {
        Self(keys)
    }
}

impl SessionAffinityPolicy for Cookie {
    fn name(&self) -> &str {
        "Cookie"
    }

    fn find<'a>(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        available: &'a [Arc<DestinationState>],
    ) -> Affinity<'a> {
        match cookie(request, &config.affinity_key_name) {
            None => Affinity::KeyNotSet,
            Some(key) => by_id(self.0.unprotect(COOKIE, &key), available),
        }
    }

    fn key_field(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        destination: &DestinationState,
        now: UnixSeconds,
    ) -> Option<KeyField> {
        let key = self.0.protect(COOKIE, destination.id())?;
        Some(key_cookie(request, config, &key, now))
    }
}

impl SessionAffinityPolicy for CustomHeader {
    fn name(&self) -> &str {
        "CustomHeader"
    }

    fn find<'a>(
        &self,
        request: &dyn RequestView,
        config: &SessionAffinityConfig,
        available: &'a [Arc<DestinationState>],
    ) -> Affinity<'a> {
        let mut lines = 0;
        let mut key = Vec::new();
        request.for_each_field_value(&config.affinity_key_name, &mut |value| {
            lines += 1;
            key = value.to_vec();
        });
        match lines {
            0 => Affinity::KeyNotSet,
            1 if key.is_empty() => Affinity::KeyNotSet,
            1 => {
                let key = String::from_utf8_lossy(&key);
                by_id(self.0.unprotect(CUSTOM_HEADER, &key), available)
            }
            // Which of them would it be?
            _ => Affinity::KeyExtractionFailed,
        }
    }

    fn key_field(
        &self,
        _request: &dyn RequestView,
        config: &SessionAffinityConfig,
        destination: &DestinationState,
        _now: UnixSeconds,
    ) -> Option<KeyField> {
        Some(KeyField {
            name: config.affinity_key_name.clone(),
            value: self.0.protect(CUSTOM_HEADER, destination.id())?,
        })
    }
}

/// Decrypted ids compare exactly (reference A6.1).
fn by_id<'a>(id: Option<String>, available: &'a [Arc<DestinationState>]) -> Affinity<'a> {
    let Some(id) = id else {
        return Affinity::KeyExtractionFailed;
    };
    let found = available.iter().find(|destination| destination.id() == id);
    found.map_or(Affinity::DestinationNotFound, Affinity::Found)
}
