//! `OutputCache` as it is written.

/// `OutputCache`: the policies that routes name. Nothing is cached yet; each use is a warning.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputCacheConfig {
    /// The names of `Policies`.
    pub policies: Vec<String>,
}

impl OutputCacheConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(String::as_str)
    }
}
