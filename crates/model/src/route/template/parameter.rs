//! Reading what stands between the braces of a parameter: name, constraints, default. After
//! ASP.NET's `RouteParameterParser`, whose way with parentheses and colons is kept.

use super::constraint::Constraint;
use super::error::TemplateError;
use super::segment::Parameter;

/// Parses the inside of a parameter; the second value is whether it is a catch-all.
pub(super) fn parse(inside: &str) -> Result<(Parameter, bool), TemplateError> {
    let keeps_slashes = inside.starts_with("**");
    let (text, is_catch_all) = match inside.strip_prefix('*') {
        // `**` keeps slashes when a path is made from the template (`binding.rs`); it matches the
        // same.
        Some(rest) => (rest.strip_prefix('*').unwrap_or(rest), true),
        None => (inside, false),
    };
    let (text, optional) = match text.strip_suffix('?') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    // A name may begin with a delimiter, as it may in ASP.NET; `{=a}` has the name `=a`.
    let first = text.chars().next().map_or(0, char::len_utf8);
    let end = text[first..]
        .find([':', '='])
        .map_or(text.len(), |end| first + end);
    let (name, rest) = text.split_at(end);
    let name = name.to_owned();

    if name.is_empty() || name.contains(['/', '{', '}', '?', '*']) {
        return Err(TemplateError::ParameterName(name));
    }
    let (constraints, default) = split(rest);
    if optional && is_catch_all {
        return Err(TemplateError::OptionalCatchAll(name));
    }
    if optional && default.is_some() {
        return Err(TemplateError::OptionalWithDefault(name));
    }
    let constraints = constraints
        .into_iter()
        .map(Constraint::parse)
        .collect::<Result<_, _>>()?;
    let default = default.map(str::to_owned);
    Ok((
        Parameter {
            name,
            optional,
            default,
            constraints,
            keeps_slashes,
        },
        is_catch_all,
    ))
}

/// Splits `:constraint:constraint(arguments)=default`, which is empty or begins with `:` or `=`.
fn split(text: &str) -> (Vec<&str>, Option<&str>) {
    let mut constraints = Vec::new();
    let mut rest = text;
    loop {
        if let Some(default) = rest.strip_prefix('=') {
            return (constraints, Some(default));
        }
        let Some(after_colon) = rest.strip_prefix(':') else {
            return (constraints, None);
        };
        let end = constraint_end(after_colon);
        let (constraint, after) = after_colon.split_at(end);
        if !constraint.is_empty() {
            constraints.push(constraint);
        }
        rest = after;
    }
}

/// Where the constraint that `text` begins with ends: at the `:` or `=` behind it, or at the end.
fn constraint_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let Some(start) = bytes
        .iter()
        .position(|byte| matches!(byte, b'(' | b':' | b'='))
    else {
        return bytes.len();
    };
    if bytes[start] != b'(' {
        return start;
    }
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            // A parenthesis closes only where something can follow; regular expressions have
            // parentheses of their own.
            b')' if matches!(bytes.get(at + 1), None | Some(b':' | b'=')) => return at + 1,
            // A delimiter counts only where no parenthesis closes behind it.
            b':' | b'=' => match bytes[at + 1..].iter().position(|byte| *byte == b')') {
                Some(closing) => at += 1 + closing,
                None => return at,
            },
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
