//! Matching one path against one template, and the values it gives.

use super::constraint::Constraint;
use super::segment::{Parameter, Segment};
use super::{PathTemplate, mixed};
use crate::ordinal;
use crate::route::path::RequestPath;

impl PathTemplate {
    /// The values that a path, as it was sent (percent-encoded, without query), gives the
    /// parameters, in the order of the template; `None` when the path does not match.
    ///
    /// Values are decoded and keep their case. A catch-all has the rest of the path, without the
    /// slash before it. A parameter that is missing has its default; without one (and so has a
    /// catch-all of nothing) its value is `None`.
    pub fn capture(&self, path: &str) -> Option<Vec<(&str, Option<String>)>> {
        let mut values = Vec::new();
        let matches = self.visit(&RequestPath::new(path), |parameter, value| {
            values.push((parameter.name.as_str(), value.map(str::to_owned)));
        });
        matches.then_some(values)
    }

    /// Whether a path matches, constraints and mixed segments included.
    pub(crate) fn matches(&self, path: &RequestPath<'_>) -> bool {
        self.visit(path, |_, _| {})
    }

    /// Goes through path and template side by side and tells the value of each parameter; false as
    /// soon as they do not match.
    fn visit<'t>(
        &'t self,
        path: &RequestPath<'_>,
        mut take: impl FnMut(&'t Parameter, Option<&str>),
    ) -> bool {
        let mut parameter_holds = |parameter: &'t Parameter, value: Option<&str>| {
            let value = value.or(parameter.default.as_deref());
            take(parameter, value);
            parameter.accepts(value)
        };
        let mut segments = path.segments();
        for segment in &self.segments {
            let matches = match segment {
                Segment::Literal(text) => segments
                    .next()
                    .is_some_and(|found| ordinal::eq(found, text)),
                Segment::Parameter(parameter) => match segments.next() {
                    Some("") => false,
                    None if !parameter.may_be_missing() => false,
                    value => parameter_holds(parameter, value),
                },
                Segment::Mixed(parts) => segments
                    .next()
                    .and_then(|segment| mixed::match_mixed(parts, segment))
                    .is_some_and(|values| {
                        values
                            .into_iter()
                            .all(|(parameter, value)| parameter_holds(parameter, value))
                    }),
                Segment::CatchAll(parameter) => {
                    let rest = segments.rest();
                    return parameter_holds(parameter, (!rest.is_empty()).then_some(rest));
                }
            };
            if !matches {
                return false;
            }
        }
        segments.next().is_none()
    }
}

impl Parameter {
    /// Whether a path may end before it.
    pub(super) fn may_be_missing(&self) -> bool {
        self.optional || self.default.is_some()
    }

    /// Whether the constraints hold for a value, or for having none.
    pub(super) fn accepts(&self, value: Option<&str>) -> bool {
        match value {
            Some(value) => self
                .constraints
                .iter()
                .all(|constraint| constraint.holds(value)),
            None => self.optional || self.constraints.iter().all(Constraint::holds_without_value),
        }
    }
}
