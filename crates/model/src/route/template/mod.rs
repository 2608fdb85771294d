//! Path templates: ASP.NET's template language (reference 3.2), parsed once, matched segment by
//! segment.

mod constraint;
mod matching;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use constraint::Constraint;
pub use parse::TemplateError;

/// A path template, parsed.
///
/// ```
/// # use ostler_model::PathTemplate;
/// let template = PathTemplate::parse("/api/{id:int}/{**rest}")?;
/// let values = template.capture("/API/7/a/b").unwrap();
/// assert_eq!(values, [("id".to_owned(), Some("7".to_owned())), ("rest".to_owned(), Some("a/b".to_owned()))]);
/// assert_eq!(template.capture("/api/x"), None);
/// # Ok::<(), ostler_model::TemplateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PathTemplate {
    pub(crate) segments: Vec<Segment>,
}

/// What one segment of a path must look like.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// This text, without case; it is folded.
    Literal(String),
    /// One parameter, alone.
    Parameter(Parameter),
    /// Literals and parameters mixed.
    Mixed(Vec<Part>),
    /// The rest of the path.
    CatchAll(Parameter),
}

/// A piece of a mixed segment.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// This text, without case.
    Literal(String),
    /// At least one character.
    Parameter(Parameter),
}

/// A named hole of a template.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// It may be missing: `{x?}`, or `{x=default}`.
    pub(crate) optional: bool,
    /// Its value where it is missing.
    pub(crate) default: Option<String>,
    pub(crate) constraints: Vec<Constraint>,
}

impl PathTemplate {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// When it is none (rule R8), has an unknown constraint (3.8), or over 28 segments.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        parse::parse(template)
    }

    /// The segments in the order of precedence (3.5): compared as a list, smaller goes first.
    pub(crate) fn precedence(&self) -> Vec<u8> {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 1,
                Segment::Mixed(_) => 2,
                Segment::Parameter(parameter) if !parameter.constraints.is_empty() => 2,
                Segment::Parameter(_) => 3,
                Segment::CatchAll(parameter) if !parameter.constraints.is_empty() => 4,
                Segment::CatchAll(_) => 5,
            })
            .collect()
    }

    /// The first segment, if it is a literal.
    pub(crate) fn first_literal(&self) -> Option<&str> {
        match self.segments.first() {
            Some(Segment::Literal(text)) => Some(text),
            _ => None,
        }
    }
}
