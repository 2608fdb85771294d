//! What is done about a request whose destination cannot be used (reference A6.3).

use super::policy::{Affinity, AffinityFailurePolicy};

/// The request goes to any destination, as if it had no key, and gets a new one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Redistribute;

impl AffinityFailurePolicy for Redistribute {
    fn name(&self) -> &str {
        "Redistribute"
    }

    fn goes_on(&self, _failure: Affinity<'_>) -> bool {
        true
    }
}

/// The request is answered 503.
#[derive(Debug, Clone, Copy, Default)]
pub struct Return503Error;

impl AffinityFailurePolicy for Return503Error {
    fn name(&self) -> &str {
        "Return503Error"
    }

    fn goes_on(&self, _failure: Affinity<'_>) -> bool {
        false
    }
}
