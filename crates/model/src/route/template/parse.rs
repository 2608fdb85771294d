//! Reading a template's text: segments, their parts, braces. After ASP.NET's `RoutePatternParser`.

use super::error::TemplateError;
use super::parameter;
use super::segment::{Parameter, Part, Segment};
use crate::ordinal;

/// The most segments that can be ranked.
const MOST_SEGMENTS: usize = 28;

pub(super) fn parse(template: &str) -> Result<Vec<Segment>, TemplateError> {
    let mut rest = without_prefix(template)?;
    let mut names = Vec::new();
    let mut segments: Vec<Segment> = Vec::new();
    while !rest.is_empty() {
        if rest.starts_with('/') {
            return Err(TemplateError::EmptySegment);
        }
        if matches!(segments.last(), Some(Segment::CatchAll(_))) {
            return Err(TemplateError::CatchAllNotLast);
        }
        segments.push(segment(&mut rest, &mut names)?);
        // The slash at the end of a template says nothing.
        rest = rest.strip_prefix('/').unwrap_or(rest);
    }
    if segments.len() > MOST_SEGMENTS {
        return Err(TemplateError::TooManySegments(segments.len()));
    }
    Ok(segments)
}

/// A template may begin with `/` or `~/`, or with neither.
fn without_prefix(template: &str) -> Result<&str, TemplateError> {
    match template.strip_prefix('~') {
        Some(rest) => rest.strip_prefix('/').ok_or(TemplateError::Tilde),
        None => Ok(template.strip_prefix('/').unwrap_or(template)),
    }
}

/// Takes one segment, up to a slash that is not within a parameter.
fn segment(rest: &mut &str, names: &mut Vec<String>) -> Result<Segment, TemplateError> {
    let mut parts = Vec::new();
    let mut has_catch_all = false;
    while !rest.is_empty() && !rest.starts_with('/') {
        if rest.starts_with('{') && !rest.starts_with("{{") {
            let inside = take_parameter(rest)?;
            let (parameter, is_catch_all) = parameter::parse(&inside)?;
            let name = ordinal::fold(&parameter.name);
            if names.contains(&name) {
                return Err(TemplateError::RepeatedParameter(parameter.name));
            }
            names.push(name);
            has_catch_all |= is_catch_all;
            parts.push(Part::Parameter(parameter));
        } else {
            parts.push(Part::Literal(take_literal(rest)?));
        }
    }
    if parts.len() > 1 {
        if has_catch_all {
            return Err(TemplateError::CatchAllNotLast);
        }
        check_mixed(&parts)?;
        return Ok(Segment::Mixed(parts));
    }
    match parts.pop() {
        Some(Part::Parameter(parameter)) if has_catch_all => Ok(Segment::CatchAll(parameter)),
        Some(Part::Parameter(parameter)) => Ok(Segment::Parameter(parameter)),
        Some(Part::Literal(text)) => Ok(Segment::Literal(text)),
        None => Err(TemplateError::EmptySegment),
    }
}

/// Takes a text up to a slash or a parameter; doubled braces become single ones.
fn take_literal(rest: &mut &str) -> Result<String, TemplateError> {
    let mut literal = String::new();
    while let Some(character) = rest.chars().next() {
        let next = rest[character.len_utf8()..].chars().next();
        match (character, next) {
            ('/', _) => break,
            ('{', Some('{')) | ('}', Some('}')) => *rest = &rest[1..],
            ('{', Some(_)) => break,
            ('{' | '}', _) => return Err(TemplateError::UnbalancedBrace),
            _ => {}
        }
        literal.push(character);
        *rest = &rest[character.len_utf8()..];
    }
    if literal.contains('?') {
        return Err(TemplateError::QuestionMark(literal));
    }
    Ok(literal)
}

/// Takes a parameter with its braces and gives what is inside; doubled braces become single ones.
fn take_parameter(rest: &mut &str) -> Result<String, TemplateError> {
    let bytes = rest.as_bytes();
    let mut at = 1;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return Err(TemplateError::UnbalancedBrace),
            (Some(b'{'), Some(b'{')) | (Some(b'}'), Some(b'}')) => at += 2,
            (Some(b'{'), _) => return Err(TemplateError::UnbalancedBrace),
            (Some(b'}'), _) => break,
            (Some(_), _) => at += 1,
        }
    }
    let inside = rest[1..at].replace("}}", "}").replace("{{", "{");
    *rest = &rest[at + 1..];
    Ok(inside)
}

/// Checks how parts stand side by side.
fn check_mixed(parts: &[Part]) -> Result<(), TemplateError> {
    let mut before: Option<&Part> = None;
    for (at, part) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        match (before, part) {
            (Some(Part::Parameter(left)), Part::Parameter(right)) => {
                let names = (left.name.clone(), right.name.clone());
                return Err(TemplateError::AdjacentParameters(names.0, names.1));
            }
            (
                before,
                Part::Parameter(Parameter {
                    name,
                    optional: true,
                    ..
                }),
            ) => {
                let follows_dot = matches!(before, Some(Part::Literal(text)) if text == ".");
                if !is_last || !follows_dot {
                    return Err(TemplateError::OptionalPart(name.clone()));
                }
            }
            _ => {}
        }
        before = Some(part);
    }
    Ok(())
}
