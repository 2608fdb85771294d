//! What a template is made of: segments, their parts, parameters.

use super::constraint::Constraint;
use crate::ordinal;

/// What one segment of a path must look like.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// This text, without case; it is folded.
    Literal(String),
    /// One parameter, alone.
    Parameter(Parameter),
    /// Literals and parameters mixed: two parts at least, no two literals or parameters adjacent.
    Mixed(Vec<Part>),
    /// The rest of the path, which may be nothing.
    CatchAll(Parameter),
}

/// A piece of a mixed segment.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// This text, without case; never empty.
    Literal(String),
    /// At least one character.
    Parameter(Parameter),
}

/// A named hole of a template.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(super) name: String,
    /// `{name?}`: it may be missing. Then `default` is `None`.
    pub(super) optional: bool,
    /// `{name=default}`: it may be missing, and this is its value then.
    pub(super) default: Option<String>,
    /// All must hold.
    pub(super) constraints: Vec<Constraint>,
    /// `{**name}`: slashes of its value stay slashes when a path is made.
    pub(super) keeps_slashes: bool,
}

impl Segment {
    /// Makes its literals ready to be compared without case.
    pub(super) fn fold(&mut self) {
        let fold = |text: &mut String| *text = ordinal::fold(text);
        match self {
            Self::Literal(text) => fold(text),
            Self::Mixed(parts) => parts.iter_mut().for_each(|part| {
                if let Part::Literal(text) = part {
                    fold(text);
                }
            }),
            Self::Parameter(_) | Self::CatchAll(_) => {}
        }
    }
}
