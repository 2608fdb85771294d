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
mod segment;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use binding::PathBinder;
pub use error::TemplateError;
pub(crate) use guard::Guard;
pub(crate) use segment::Segment;

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

    /// The names of its values.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flat_map(|segment| {
            let parts: Vec<&str> = match segment {
                Segment::Literal(_) => Vec::new(),
                Segment::Parameter(parameter) | Segment::CatchAll(parameter) => {
                    vec![&parameter.name]
                }
                Segment::Mixed(parts) => {
                    let names = parts.iter().filter_map(|part| match part {
                        segment::Part::Literal(_) => None,
                        segment::Part::Parameter(parameter) => Some(parameter.name.as_str()),
                    });
                    names.collect()
                }
            };
            parts
        })
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
