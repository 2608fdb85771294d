//! Header and query rules of a route (reference 3.4 and 3.6).

use std::borrow::Cow;

use ostler_config::schema::{
    HeaderMatchConfig, HeaderMatchMode, QueryParameterMatchConfig, QueryParameterMatchMode,
};

use super::RequestFacts;
use super::escape::decode_query;

#[cfg(test)]
mod tests;

/// Whether a request's fields satisfy a rule.
pub(crate) fn header_holds<R: RequestFacts + ?Sized>(
    rule: &HeaderMatchConfig,
    request: &R,
) -> bool {
    let mut lines = 0;
    let mut has_text = false;
    let mut found = false;
    let separator = if rule.name.eq_ignore_ascii_case("cookie") {
        b';'
    } else {
        b','
    };
    request.for_each_field_value(&rule.name, &mut |line| {
        lines += 1;
        has_text |= !line.is_empty();
        found = found
            || match rule.mode {
                HeaderMatchMode::Contains | HeaderMatchMode::NotContains => {
                    any(rule, |value| contains(line, value, rule.is_case_sensitive))
                }
                HeaderMatchMode::ExactHeader => items(line, separator)
                    .any(|item| any(rule, |value| equals(item, value, rule.is_case_sensitive))),
                HeaderMatchMode::HeaderPrefix => items(line, separator)
                    .any(|item| any(rule, |value| starts(item, value, rule.is_case_sensitive))),
                HeaderMatchMode::Exists | HeaderMatchMode::NotExists => false,
            };
    });
    // Two empty lines are not empty: an oddity of YARP's.
    let empty = lines == 0 || (lines == 1 && !has_text);
    match rule.mode {
        HeaderMatchMode::Exists => !empty,
        HeaderMatchMode::NotExists => empty,
        HeaderMatchMode::NotContains => empty || !found,
        _ => !empty && found,
    }
}

/// Whether a request's query satisfies a rule.
pub(crate) fn query_holds(rule: &QueryParameterMatchConfig, query: Option<&str>) -> bool {
    let mut count = 0;
    let mut has_text = false;
    let mut found = false;
    for (name, value) in parameters(query.unwrap_or_default()) {
        if !crate::ordinal::eq(&name, &rule.name) {
            continue;
        }
        count += 1;
        has_text |= !value.is_empty();
        let value = value.as_bytes();
        found = found
            || rule.values.iter().any(|wanted| {
                let wanted = wanted.as_bytes();
                match rule.mode {
                    QueryParameterMatchMode::Exact => equals(value, wanted, rule.is_case_sensitive),
                    QueryParameterMatchMode::Prefix => {
                        starts(value, wanted, rule.is_case_sensitive)
                    }
                    QueryParameterMatchMode::Contains | QueryParameterMatchMode::NotContains => {
                        contains(value, wanted, rule.is_case_sensitive)
                    }
                    QueryParameterMatchMode::Exists => false,
                }
            });
    }
    let empty = count == 0 || (count == 1 && !has_text);
    match rule.mode {
        QueryParameterMatchMode::Exists => !empty,
        QueryParameterMatchMode::NotContains => empty || !found,
        _ => !empty && found,
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (decode_query(name), decode_query(value))
        })
}

fn any(rule: &HeaderMatchConfig, holds: impl Fn(&[u8]) -> bool) -> bool {
    rule.values.iter().any(|value| holds(value.as_bytes()))
}

/// The items of a line: blanks before one are skipped, those behind it stay; one pair of quotes
/// around it goes; a separator within quotes separates nothing.
fn items(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let start = line
            .iter()
            .position(|byte| *byte != b' ')
            .unwrap_or(line.len());
        let line = &line[start..];
        let mut quoted = false;
        let end = line.iter().position(|byte| {
            quoted ^= *byte == b'"';
            *byte == separator && !quoted
        });
        let item = match end {
            Some(end) => {
                rest = Some(&line[end + 1..]);
                &line[..end]
            }
            None => {
                rest = None;
                line
            }
        };
        Some(match item {
            [b'"', inner @ .., b'"'] => inner,
            item => item,
        })
    })
}

fn equals(text: &[u8], wanted: &[u8], with_case: bool) -> bool {
    if with_case {
        text == wanted
    } else {
        text.eq_ignore_ascii_case(wanted)
    }
}

fn starts(text: &[u8], wanted: &[u8], with_case: bool) -> bool {
    text.get(..wanted.len())
        .is_some_and(|start| equals(start, wanted, with_case))
}

fn contains(text: &[u8], wanted: &[u8], with_case: bool) -> bool {
    wanted.is_empty()
        || text
            .windows(wanted.len())
            .any(|window| equals(window, wanted, with_case))
}
