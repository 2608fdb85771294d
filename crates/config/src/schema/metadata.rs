//! Settings with no type of their own.

use std::collections::BTreeMap;

/// Free-form settings of a route, cluster or destination; keys compare without case.
pub type Metadata = BTreeMap<String, String>;
