//! `RateLimiter` as it is written.

/// `RateLimiter`: the policies that routes name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateLimiterConfig {}

impl RateLimiterConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
