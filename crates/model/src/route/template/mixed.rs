//! Matching a segment of literals and parameters (reference A3.2), after ASP.NET's
//! `RoutePatternMatcher`.

use smallvec::SmallVec;

use super::segment::{Parameter, Part};
use crate::ordinal;

/// The parameters of a mixed segment with their values, from left to right.
pub(super) type Values<'t, 's> = SmallVec<[(&'t Parameter, Option<&'s str>); 4]>;

/// The values that `segment` gives the parameters, or `None` when it does not fit.
pub(super) fn match_mixed<'t, 's>(parts: &'t [Part], segment: &'s str) -> Option<Values<'t, 's>> {
    if let Some(values) = match_all(parts, segment) {
        return Some(values);
    }
    // `{name}.{extension?}` also fits without its end, but not with the dot alone.
    let [before @ .., Part::Literal(_), Part::Parameter(last)] = parts else {
        return None;
    };
    if !last.optional || segment.ends_with('.') {
        return None;
    }
    let mut values = match_all(before, segment)?;
    values.push((last, None));
    Some(values)
}

/// Matches every part, from right to left: each literal stands as far right as it can, and each
/// parameter takes what is left between them, at least one character. There is no going back.
fn match_all<'t, 's>(parts: &'t [Part], segment: &'s str) -> Option<Values<'t, 's>> {
    let mut values = Values::new();
    // Everything from here on is matched.
    let mut end = segment.len();
    // The parameter that is to take what lies between `end` and the literal before it.
    let mut pending = None;
    for part in parts.iter().rev() {
        match part {
            Part::Parameter(parameter) => pending = Some(parameter),
            Part::Literal(literal) => {
                let limit = match pending {
                    Some(_) => segment[..end].char_indices().next_back()?.0,
                    None => end,
                };
                let (start, literal_end) = ordinal::rfind(&segment[..limit], literal)?;
                match pending.take() {
                    Some(parameter) => values.push((parameter, Some(&segment[literal_end..end]))),
                    // Nothing may follow a literal at the end.
                    None if literal_end != end => return None,
                    None => {}
                }
                end = start;
            }
        }
    }
    match pending {
        Some(parameter) if end > 0 => values.push((parameter, Some(&segment[..end]))),
        None if end == 0 => {}
        _ => return None,
    }
    values.reverse();
    Some(values)
}
