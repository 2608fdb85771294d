//! What an exchange holds of rate limiters until it is over.

use ostler_model::policies::Permit;

/// The permits of an exchange: the global limiter's, the route's.
#[derive(Debug, Default)]
pub(crate) struct Permits([Option<Permit>; 2]);

impl Permits {
    /// Whether others may be waiting for them.
    pub(crate) fn are_given_back(&self) -> bool {
        let mut permits = self.0.iter().flatten();
        permits.any(Permit::is_given_back)
    }

    /// Where they are kept, in the order in which they are asked for.
    pub(crate) fn slots(&mut self) -> impl Iterator<Item = &mut Option<Permit>> {
        self.0.iter_mut()
    }
}
