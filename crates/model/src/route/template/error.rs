//! What can be wrong with a path template.

/// A text is no path template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Two slashes in a row.
    #[error("a segment is empty; two slashes cannot follow each other")]
    EmptySegment,
    /// A `{` or `}` without its partner, or one within a parameter that is not doubled.
    #[error("a brace has no partner; a brace that stands for itself is doubled")]
    UnbalancedBrace,
    /// `?` outside of a parameter.
    #[error("the text {0:?} holds a question mark; a template has no query")]
    QuestionMark(String),
    /// A parameter's name is empty or holds one of `/ { } ? *`.
    #[error("{0:?} is no parameter name; it cannot be empty or hold one of / {{ }} ? *")]
    ParameterName(String),
    /// A parameter is there twice (compared without case).
    #[error("the parameter {0:?} is there twice")]
    RepeatedParameter(String),
    /// A catch-all is not the last segment, or not alone in it.
    #[error("a catch-all must be the last segment, and alone in it")]
    CatchAllNotLast,
    /// Two parameters of a segment with nothing between them.
    #[error("the parameters {0:?} and {1:?} need a text between them")]
    AdjacentParameters(String, String),
    /// An optional part of a mixed segment that is not its last, or does not follow a dot.
    #[error("the optional {0:?} must be the last of its segment and follow a dot")]
    OptionalPart(String),
    /// `{*name?}`.
    #[error("the catch-all {0:?} cannot be optional; it is already")]
    OptionalCatchAll(String),
    /// `{name=default?}`.
    #[error("{0:?} cannot be optional and have a default")]
    OptionalWithDefault(String),
    /// `~` without `/` behind it.
    #[error("a tilde at the beginning must be followed by a slash")]
    Tilde,
    /// More segments than the router can rank.
    #[error("it has {0} segments; 28 are the most")]
    TooManySegments(usize),
    /// A constraint that nobody knows, as it is written.
    #[error("there is no constraint {0:?} with such arguments")]
    UnknownConstraint(String),
    /// A constraint that has unusable arguments.
    #[error("the arguments of constraint {constraint:?} cannot be used: {reason}")]
    ConstraintArguments {
        /// As it is written.
        constraint: String,
        /// What is wrong.
        reason: String,
    },
}
