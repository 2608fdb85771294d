//! What the program exits with, success and failure apart.

/// What a mistake in the configuration exits with (`EX_USAGE`).
pub(crate) const EXIT_CONFIGURATION: u8 = 64;
