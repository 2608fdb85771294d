//! What a segment that is no literal asks of a text beside it.

use super::constraint::Constraint;
use super::mixed;
use super::segment::{Part, Segment};

/// What a parameter or a mixed segment demands of a segment's text.
///
/// Where some route names a text in the same place of a path, ASP.NET asks this of the text while it
/// builds its automaton, so before methods and hosts; where none does, it asks it of what is left
/// after them. `{a:int?}` is asked late in any case (reference A3.1).
#[derive(Debug, Clone)]
pub(crate) enum Guard {
    /// All must hold; not empty.
    Constraints(Vec<Constraint>),
    /// The parts must fit, and so must the values of their parameters.
    Mixed(Vec<Part>),
}

impl Guard {
    /// The guard of a segment; `None` where any text will do for now.
    pub(crate) fn of(segment: &Segment) -> Option<Self> {
        match segment {
            Segment::Parameter(parameter)
                if !parameter.optional && !parameter.constraints.is_empty() =>
            {
                Some(Self::Constraints(parameter.constraints.clone()))
            }
            Segment::Mixed(parts) => Some(Self::Mixed(parts.clone())),
            Segment::Literal(_) | Segment::Parameter(_) | Segment::CatchAll(_) => None,
        }
    }

    /// Whether a segment's text satisfies it.
    pub(crate) fn admits(&self, text: &str) -> bool {
        match self {
            Self::Constraints(constraints) => {
                constraints.iter().all(|constraint| constraint.holds(text))
            }
            Self::Mixed(parts) => mixed::match_mixed(parts, text).is_some_and(|values| {
                values
                    .into_iter()
                    .all(|(parameter, value)| parameter.accepts(value))
            }),
        }
    }
}

/// Two guards are equal if they demand the same; how parameters are called makes no difference.
impl PartialEq for Guard {
    fn eq(&self, other: &Self) -> bool {
        let is_same_part = |left: &Part, right: &Part| match (left, right) {
            (Part::Literal(left), Part::Literal(right)) => left == right,
            (Part::Parameter(left), Part::Parameter(right)) => {
                left.optional == right.optional && left.constraints == right.constraints
            }
            _ => false,
        };
        match (self, other) {
            (Self::Constraints(left), Self::Constraints(right)) => left == right,
            (Self::Mixed(left), Self::Mixed(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(right)
                        .all(|(left, right)| is_same_part(left, right))
            }
            _ => false,
        }
    }
}
