//! `Cors` as it is written.

/// `Cors`: the policies that routes name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CorsConfig {}

impl CorsConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
