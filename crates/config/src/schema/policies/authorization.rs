//! `Authorization` and `Authentication` as it is written.

/// `Authorization` and `Authentication`: the policies that routes name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizationConfig {}

impl AuthorizationConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
