//! What hyper takes of heads that it reads from a front.

/// Heads are bound by the front: by size, and by number as it is configured. Here there is room for
/// whatever it lets pass.
pub(crate) const LONGEST_HEAD: usize = 3 * 1024 * 1024;
/// As many as fit into 64 KiB.
pub(crate) const MOST_FIELDS: usize = 16 * 1024;
