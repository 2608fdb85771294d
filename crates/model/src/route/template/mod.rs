//! Path templates: ASP.NET's template language (reference A3.2), parsed once; routing by them is the
//! table's business.

mod binding;
mod constraint;
mod date_time;
mod error;
mod guard;
mod matching;
mod mixed;
mod parameter;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use crate::ordinal;

pub(crate) use binding::PathBinder;
use constraint::Constraint;
pub use error::TemplateError;
pub(crate) use guard::Guard;

/// A path template, parsed.
///
/// ```
/// # use ostler_model::PathTemplate;
/// let template = PathTemplate::parse("/api/{id:int}/{**rest}")?;
/// let values = template.capture("/API/7/a/b%20c").unwrap();
/// assert_eq!(values, [("id", Some("7".to_owned())), ("rest", Some("a/b c".to_owned()))]);
/// assert_eq!(template.capture("/api/x"), None);
/// # Ok::<(), ostler_model::TemplateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PathTemplate {
    /// At most 28. A [`Segment::CatchAll`] is the last.
    segments: Vec<Segment>,
}

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
    name: String,
    /// `{name?}`: it may be missing. Then `default` is `None`.
    optional: bool,
    /// `{name=default}`: it may be missing, and this is its value then.
    default: Option<String>,
    /// All must hold.
    constraints: Vec<Constraint>,
    /// `{**name}`: slashes of its value stay slashes when a path is made.
    keeps_slashes: bool,
}

impl Segment {
    /// Makes its literals ready to be compared without case.
    fn fold(&mut self) {
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

impl PathTemplate {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// When the text is no template (rule R8), has a constraint that nobody knows (3.8), or more
    /// than 28 segments (the precedence of ASP.NET is a decimal of 28 digits).
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let mut segments = parse::parse(template)?;
        segments.iter_mut().for_each(Segment::fold);
        Ok(Self { segments })
    }

    /// The segments from left to right.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many segments a path must have at least: those behind them, at the end, are optional,
    /// have a default or are a catch-all.
    pub(crate) fn required_segments(&self) -> usize {
        let may_be_missing = |segment: &&Segment| match segment {
            Segment::Literal(_) | Segment::Mixed(_) => false,
            Segment::Parameter(parameter) => parameter.may_be_missing(),
            Segment::CatchAll(_) => true,
        };
        self.segments.len()
            - self
                .segments
                .iter()
                .rev()
                .take_while(may_be_missing)
                .count()
    }

    /// One digit a segment, compared from left to right, smaller goes first (reference A3.5).
    pub(crate) fn precedence(&self) -> Vec<u8> {
        let digit = |segment: &Segment| match segment {
            Segment::Literal(_) => 1,
            Segment::Mixed(_) => 2,
            Segment::Parameter(parameter) if !parameter.constraints.is_empty() => 2,
            Segment::Parameter(_) => 3,
            Segment::CatchAll(parameter) if !parameter.constraints.is_empty() => 4,
            Segment::CatchAll(_) => 5,
        };
        self.segments.iter().map(digit).collect()
    }

    /// Whether a path of the right structure may still not match.
    pub(crate) fn has_filters(&self) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Literal(_) => false,
            Segment::Mixed(_) => true,
            Segment::Parameter(parameter) | Segment::CatchAll(parameter) => {
                !parameter.constraints.is_empty()
            }
        })
    }
}
