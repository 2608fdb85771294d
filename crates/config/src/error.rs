//! Why a source of configuration cannot be read at all; what it says wrongly is a
//! [`Diagnostic`](crate::Diagnostic) instead.

use crate::diagnostics::Place;
use crate::tree::key::MAX_DEPTH;

/// A source that cannot be read. The fault is always in the source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The text is no JSON.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong there.
        message: String,
    },
    /// The text's outermost value is no object.
    #[error("{origin}: the outermost value is not an object")]
    NotAnObject {
        /// The source's name.
        origin: String,
    },
    /// The same key has two values in one source, in one case or another (reference A1.1).
    #[error("{place}: {path} has a value already, at {first}")]
    Duplicate {
        /// Where the second stands.
        place: Place,
        /// Where the first stands.
        first: Place,
        /// Path of the second.
        path: String,
    },
    /// A path has more levels than any setting.
    #[error("{place}: more than {MAX_DEPTH} levels")]
    TooDeep {
        /// Where.
        place: Place,
    },
    /// A command line setting is no `key=value`.
    #[error("{0:?} is not a setting: write it as Section:Key=value")]
    Assignment(String),
}
