//! `RequestTimeouts` as it is written.

/// `RequestTimeouts`: the policies that routes name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestTimeoutsConfig {}

impl RequestTimeoutsConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
