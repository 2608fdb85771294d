//! Reading a template's text.

use super::constraint::Constraint;
use super::{Parameter, Part, PathTemplate, Segment};
use crate::ordinal;

/// A text is no path template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// `//` in the middle.
    #[error("a segment is empty")]
    EmptySegment,
    /// A `{` or `}` without its partner.
    #[error("a brace has no partner")]
    Brace,
    /// `?` outside of a parameter.
    #[error("a literal holds a question mark")]
    QuestionMark,
    /// A parameter's name is empty or holds one of `/ { } ? *`.
    #[error("{0:?} is no parameter name")]
    ParameterName(String),
    /// The same name twice, without case.
    #[error("the parameter {0:?} is there twice")]
    RepeatedParameter(String),
    /// A catch-all that is not the last segment, alone.
    #[error("a catch-all must be the last segment, alone")]
    CatchAllPlace,
    /// Two parameters with nothing between them.
    #[error("two parameters stand side by side")]
    AdjacentParameters,
    /// An optional part of a mixed segment that is not last, or not behind a dot.
    #[error("an optional part must be the last of its segment, behind a dot")]
    OptionalPlace,
    /// `{*x?}`, or `{x=y?}`.
    #[error("{0:?} can be optional or have this form, not both")]
    OptionalForm(String),
    /// `~` without `/` behind it.
    #[error("a tilde must be followed by a slash")]
    Tilde,
    /// More segments than ASP.NET's router takes.
    #[error("it has more than 28 segments")]
    TooManySegments,
    /// A constraint nobody knows, or one with bad arguments.
    #[error("the constraint {constraint:?} is invalid: {reason}")]
    Constraint {
        /// As it is written.
        constraint: String,
        /// What is wrong.
        reason: String,
    },
}

const MOST_SEGMENTS: usize = 28;

pub(super) fn parse(template: &str) -> Result<PathTemplate, TemplateError> {
    let text = match template.strip_prefix('~') {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) => return Err(TemplateError::Tilde),
        None => template,
    };
    let text = text.strip_prefix('/').unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let mut names = Vec::new();
    let mut segments = Vec::new();
    if !text.is_empty() {
        for part in split_segments(text) {
            if matches!(segments.last(), Some(Segment::CatchAll(_))) {
                return Err(TemplateError::CatchAllPlace);
            }
            segments.push(segment(part, &mut names)?);
        }
    }
    if segments.len() > MOST_SEGMENTS {
        return Err(TemplateError::TooManySegments);
    }
    Ok(PathTemplate { segments })
}

/// Splits at slashes that are not within braces.
fn split_segments(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    text.split(move |c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '/' && depth == 0
    })
}

fn segment(text: &str, names: &mut Vec<String>) -> Result<Segment, TemplateError> {
    if text.is_empty() {
        return Err(TemplateError::EmptySegment);
    }
    let mut parts = parts(text, names)?;
    let single = parts.len() == 1;
    for (at, (part, catch_all)) in parts.iter().enumerate() {
        if *catch_all && !single {
            return Err(TemplateError::CatchAllPlace);
        }
        let Part::Parameter(parameter) = part else {
            continue;
        };
        if at > 0 && matches!(parts[at - 1].0, Part::Parameter(_)) {
            return Err(TemplateError::AdjacentParameters);
        }
        let behind_dot =
            at > 0 && matches!(&parts[at - 1].0, Part::Literal(text) if text.ends_with('.'));
        if parameter.optional
            && parameter.default.is_none()
            && !single
            && (at + 1 < parts.len() || !behind_dot)
        {
            return Err(TemplateError::OptionalPlace);
        }
    }
    if !single {
        return Ok(Segment::Mixed(
            parts.into_iter().map(|(part, _)| part).collect(),
        ));
    }
    Ok(match parts.pop() {
        Some((Part::Parameter(parameter), true)) => Segment::CatchAll(parameter),
        Some((Part::Parameter(parameter), false)) => Segment::Parameter(parameter),
        Some((Part::Literal(text), _)) => Segment::Literal(text),
        None => return Err(TemplateError::EmptySegment),
    })
}

/// Literals and parameters, each parameter with whether it is a catch-all.
fn parts(text: &str, names: &mut Vec<String>) -> Result<Vec<(Part, bool)>, TemplateError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // Doubled braces stand for themselves.
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push(c);
            rest = &rest[2..];
            continue;
        }
        match c {
            '{' => {
                if !literal.is_empty() {
                    parts.push((
                        Part::Literal(ordinal::fold(&std::mem::take(&mut literal))),
                        false,
                    ));
                }
                let end = closing_brace(&rest[1..]).ok_or(TemplateError::Brace)? + 1;
                let (parameter, catch_all) = parameter(&rest[1..end], names)?;
                parts.push((Part::Parameter(parameter), catch_all));
                rest = &rest[end + 1..];
            }
            '}' => return Err(TemplateError::Brace),
            '?' => return Err(TemplateError::QuestionMark),
            c => {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    if !literal.is_empty() {
        parts.push((Part::Literal(ordinal::fold(&literal)), false));
    }
    Ok(parts)
}

/// Where the parameter ends, doubled braces within it passed over.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'}' if bytes.get(at + 1) == Some(&b'}') && text[at + 2..].contains('}') => at += 2,
            b'{' if bytes.get(at + 1) == Some(&b'{') => at += 2,
            b'{' => return None,
            b'}' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn parameter(text: &str, names: &mut Vec<String>) -> Result<(Parameter, bool), TemplateError> {
    let (text, catch_all) = match text.strip_prefix('*') {
        Some(rest) => (rest.strip_prefix('*').unwrap_or(rest), true),
        None => (text, false),
    };
    let name_end = text.find([':', '=', '?']).unwrap_or(text.len());
    let name = &text[..name_end];
    if name.is_empty() || name.contains(['/', '{', '}', '?', '*']) {
        return Err(TemplateError::ParameterName(name.to_owned()));
    }
    let folded = ordinal::fold(name);
    if names.contains(&folded) {
        return Err(TemplateError::RepeatedParameter(name.to_owned()));
    }
    names.push(folded);
    let mut rest = &text[name_end..];
    let optional_mark = rest.ends_with('?');
    if optional_mark {
        rest = &rest[..rest.len() - 1];
    }
    let mut constraints = Vec::new();
    while let Some(after) = rest.strip_prefix(':') {
        let end = constraint_end(after);
        constraints.push(Constraint::parse(&after[..end])?);
        rest = &after[end..];
    }
    let default = rest.strip_prefix('=').map(str::to_owned);
    if default.is_none() && !rest.is_empty() {
        return Err(TemplateError::ParameterName(text.to_owned()));
    }
    if optional_mark && (catch_all || default.is_some()) {
        return Err(TemplateError::OptionalForm(name.to_owned()));
    }
    let optional = optional_mark || default.is_some();
    Ok((
        Parameter {
            name: name.to_owned(),
            optional,
            default,
            constraints,
        },
        catch_all,
    ))
}

/// A constraint ends at the next `:` or `=` outside of parentheses.
fn constraint_end(text: &str) -> usize {
    let mut depth = 0usize;
    text.char_indices()
        .find(|(_, c)| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && matches!(c, ':' | '=')
        })
        .map_or(text.len(), |(at, _)| at)
}
