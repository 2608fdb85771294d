//! Whether a path fits a template: its structure first, then what its parts must be.

use super::{Parameter, Part, PathTemplate, Segment};
use crate::ordinal;
use crate::route::path::{RequestPath, Segments};

impl PathTemplate {
    /// Whether the path has the template's structure (reference 3.1, step 1): literals compare,
    /// parameters and mixed segments are any segment that is not empty.
    pub(crate) fn fits(&self, path: &RequestPath<'_>) -> bool {
        let mut segments = path.segments_for_look_up();
        for segment in &self.segments {
            match segment {
                Segment::CatchAll(_) => return true,
                Segment::Literal(text) => match segments.next() {
                    Some(found) if found.eq_ignore_ascii_case(text) => {}
                    _ => return false,
                },
                Segment::Parameter(parameter) => match segments.next() {
                    Some("") => return false,
                    None if !parameter.optional => return false,
                    _ => {}
                },
                Segment::Mixed(_) => match segments.next() {
                    None | Some("") => return false,
                    Some(_) => {}
                },
            }
        }
        segments.next().is_none()
    }

    /// Whether the path, which has the structure, has the parts too: mixed segments and constraints.
    pub(crate) fn accepts(&self, path: &RequestPath<'_>) -> bool {
        self.visit(path, &mut |_, _| {}).is_some()
    }

    /// The values of the parameters in the template's order, for a path as it was sent; `None` when
    /// the path does not match. A parameter without a value has `None`.
    pub fn capture(&self, path: &str) -> Option<Vec<(String, Option<String>)>> {
        let path = RequestPath::new(path);
        if !self.fits(&path) {
            return None;
        }
        let mut values = Vec::new();
        self.visit(&path, &mut |parameter, value| {
            let value = value
                .map(str::to_owned)
                .or_else(|| parameter.default.clone());
            values.push((parameter.name.clone(), value));
        })?;
        Some(values)
    }

    fn visit(
        &self,
        path: &RequestPath<'_>,
        take: &mut dyn FnMut(&Parameter, Option<&str>),
    ) -> Option<()> {
        let mut segments: Segments<'_> = path.segments();
        for segment in &self.segments {
            match segment {
                Segment::Literal(_) => {
                    segments.next();
                }
                Segment::Parameter(parameter) => visit_one(parameter, segments.next(), take)?,
                Segment::CatchAll(parameter) => {
                    let rest = segments.rest();
                    visit_one(parameter, (!rest.is_empty()).then_some(rest), take)?;
                }
                Segment::Mixed(parts) => mixed(parts, segments.next()?, take)?,
            }
        }
        Some(())
    }
}

/// A missing value satisfies every constraint.
fn visit_one(
    parameter: &Parameter,
    value: Option<&str>,
    take: &mut dyn FnMut(&Parameter, Option<&str>),
) -> Option<()> {
    if value.is_some_and(|value| {
        !parameter
            .constraints
            .iter()
            .all(|constraint| constraint.holds(value))
    }) {
        return None;
    }
    take(parameter, value);
    Some(())
}

/// Matches a mixed segment from right to left, each literal as far right as it can stand.
fn mixed(
    parts: &[Part],
    segment: &str,
    take: &mut dyn FnMut(&Parameter, Option<&str>),
) -> Option<()> {
    let optional = match parts.last() {
        Some(Part::Parameter(parameter)) => parameter.optional,
        _ => false,
    };
    if let Some(values) = mixed_values(parts, segment) {
        return emit(values, take);
    }
    if !optional {
        return None;
    }
    // Without its optional end, and the dot before it.
    let without = &parts[..parts.len() - 1];
    let (Some(Part::Literal(literal)), Some(Part::Parameter(missing))) =
        (without.last(), parts.last())
    else {
        return None;
    };
    let shortened = literal.strip_suffix('.')?;
    let mut kept = without[..without.len() - 1].to_vec();
    if !shortened.is_empty() {
        kept.push(Part::Literal(shortened.to_owned()));
    }
    let values = mixed_values(&kept, segment)?;
    emit(values, take)?;
    take(missing, None);
    Some(())
}

fn emit(
    values: Vec<(&Parameter, &str)>,
    take: &mut dyn FnMut(&Parameter, Option<&str>),
) -> Option<()> {
    for (parameter, value) in values {
        visit_one(parameter, Some(value), take)?;
    }
    Some(())
}

fn mixed_values<'t, 's>(
    parts: &'t [Part],
    segment: &'s str,
) -> Option<Vec<(&'t Parameter, &'s str)>> {
    let mut values = Vec::new();
    // Everything from here on is matched.
    let mut end = segment.len();
    let mut pending: Option<&Parameter> = None;
    for part in parts.iter().rev() {
        match part {
            Part::Parameter(parameter) => pending = Some(parameter),
            Part::Literal(literal) => match pending.take() {
                // Nothing may stand between a literal and what is behind it.
                None => {
                    let (start, found) = ordinal::rfind(&segment[..end], literal)?;
                    if found != end {
                        return None;
                    }
                    end = start;
                }
                Some(parameter) => {
                    // The parameter takes one character at least.
                    let last = segment[..end].char_indices().next_back()?.0;
                    let (start, found) = ordinal::rfind(&segment[..last], literal)?;
                    values.push((parameter, &segment[found..end]));
                    end = start;
                }
            },
        }
    }
    match pending {
        Some(parameter) if end > 0 => values.push((parameter, &segment[..end])),
        Some(_) => return None,
        None if end > 0 => return None,
        None => {}
    }
    values.reverse();
    Some(values)
}
