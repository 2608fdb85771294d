//! Session affinity: requests of one session go to one destination (reference A6).
//!
//! ```text
//! request -> find: Found        -> that destination alone
//!                  KeyNotSet    -> all of them, and the response carries a key
//!                  anything else -> the failure policy: as without a key, or 503
//! ```

mod cookie;
mod cookie_policies;
mod failure;
mod hash;
mod policy;
mod protected_policies;
mod protection;

pub use cookie_policies::HashedCookie;
pub use failure::{Redistribute, Return503Error};
pub(crate) use hash::DestinationHashes;
pub use policy::{
    Affinity, AffinityFailurePolicy, KeyField, SessionAffinity, SessionAffinityPolicy, UnixSeconds,
};
pub use protected_policies::{Cookie, CustomHeader};
pub use protection::{KeyRing, ProtectionKey};

#[cfg(test)]
mod tests;
