//! Constraints on a parameter's value (reference 3.2).

use regex::{Regex, RegexBuilder};

use super::TemplateError;

/// What a value must be besides present.
#[derive(Debug, Clone)]
pub(crate) enum Constraint {
    Int,
    Long,
    Bool,
    DateTime,
    /// `decimal`, `double` and `float`: a number.
    Number,
    Guid,
    Alpha,
    Length {
        least: usize,
        most: usize,
    },
    Range {
        least: i64,
        most: i64,
    },
    Regex(Regex),
    Required,
    File,
    NonFile,
}

impl Constraint {
    /// Parses `name` or `name(arguments)`.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let invalid = |reason: &str| TemplateError::Constraint {
            constraint: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (
                name,
                Some(
                    rest.strip_suffix(')')
                        .ok_or_else(|| invalid("a parenthesis is missing"))?,
                ),
            ),
            None => (text, None),
        };
        let number = |text: &str| {
            text.trim()
                .parse::<i64>()
                .map_err(|_| invalid("its argument is no number"))
        };
        let length = |text: &str| {
            text.trim()
                .parse::<usize>()
                .map_err(|_| invalid("its argument is no length"))
        };
        let pair = |text: &'_ str| {
            text.split_once(',')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        };
        let name = name.trim().to_ascii_lowercase();
        Ok(match (name.as_str(), arguments) {
            ("int", None) => Self::Int,
            ("long", None) => Self::Long,
            ("bool", None) => Self::Bool,
            ("datetime", None) => Self::DateTime,
            ("decimal" | "double" | "float", None) => Self::Number,
            ("guid", None) => Self::Guid,
            ("alpha", None) => Self::Alpha,
            ("required", None) => Self::Required,
            ("file", None) => Self::File,
            ("nonfile", None) => Self::NonFile,
            ("minlength", Some(least)) => Self::Length {
                least: length(least)?,
                most: usize::MAX,
            },
            ("maxlength", Some(most)) => Self::Length {
                least: 0,
                most: length(most)?,
            },
            ("length", Some(arguments)) => match pair(arguments) {
                Some((least, most)) => Self::Length {
                    least: length(&least)?,
                    most: length(&most)?,
                },
                None => Self::Length {
                    least: length(arguments)?,
                    most: length(arguments)?,
                },
            },
            ("min", Some(least)) => Self::Range {
                least: number(least)?,
                most: i64::MAX,
            },
            ("max", Some(most)) => Self::Range {
                least: i64::MIN,
                most: number(most)?,
            },
            ("range", Some(arguments)) => match pair(arguments) {
                Some((least, most)) => Self::Range {
                    least: number(&least)?,
                    most: number(&most)?,
                },
                None => return Err(invalid("it takes two numbers")),
            },
            ("regex", Some(expression)) => {
                // Braces are doubled in a template.
                let expression = expression.replace("{{", "{").replace("}}", "}");
                let regex = RegexBuilder::new(&expression)
                    .case_insensitive(true)
                    .build();
                Self::Regex(regex.map_err(|error| invalid(&error.to_string()))?)
            }
            _ => return Err(invalid("nobody knows it")),
        })
    }

    /// Whether a value satisfies it.
    pub(crate) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Int => value.trim().parse::<i32>().is_ok(),
            Self::Long => value.trim().parse::<i64>().is_ok(),
            Self::Bool => {
                let value = value.trim();
                value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
            }
            Self::DateTime => is_date_time(value),
            Self::Number => value.trim().parse::<f64>().is_ok_and(f64::is_finite),
            Self::Guid => is_guid(value),
            Self::Alpha => value.bytes().all(|byte| byte.is_ascii_alphabetic()),
            // .NET counts UTF-16 units.
            Self::Length { least, most } => {
                (*least..=*most).contains(&value.encode_utf16().count())
            }
            Self::Range { least, most } => value
                .trim()
                .parse()
                .is_ok_and(|number| (*least..=*most).contains(&number)),
            Self::Regex(regex) => regex.is_match(value),
            Self::Required => !value.is_empty(),
            Self::File => is_file(value),
            Self::NonFile => !is_file(value),
        }
    }
}

/// The last part has a dot with something other than a dot behind it.
fn is_file(value: &str) -> bool {
    let last = value.rsplit('/').next().unwrap_or(value);
    last.split_once('.')
        .is_some_and(|(_, behind)| behind.contains(|c| c != '.'))
}

/// 32 hexadecimal digits: bare, or 8-4-4-4-12, the latter also in braces or parentheses.
fn is_guid(value: &str) -> bool {
    let bare = |text: &str, groups: &[usize]| {
        let parts: Vec<_> = text.split('-').collect();
        parts.len() == groups.len()
            && parts.iter().zip(groups).all(|(part, length)| {
                part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
    };
    let value = value.trim();
    let inner = value
        .strip_prefix('{')
        .and_then(|value| value.strip_suffix('}'));
    let inner = inner.or_else(|| {
        value
            .strip_prefix('(')
            .and_then(|value| value.strip_suffix(')'))
    });
    bare(value, &[32]) || bare(inner.unwrap_or(value), &[8, 4, 4, 4, 12])
}

/// The usual invariant forms: `2026-11-24`, `11/24/2026`, each with a time behind a blank or `T`.
fn is_date_time(value: &str) -> bool {
    let value = value.trim();
    let (date, time) = value.split_once([' ', 'T']).unwrap_or((value, "00:00"));
    let numbers: Option<Vec<u32>> = date
        .split(['-', '/'])
        .map(|part| part.parse().ok())
        .collect();
    let valid_date = match numbers.as_deref() {
        Some([year, month, day]) if *year > 31 => (1..=9999).contains(year) && is_day(*month, *day),
        Some([month, day, year]) => (1..=9999).contains(year) && is_day(*month, *day),
        _ => false,
    };
    let time = time.trim_end_matches('Z');
    let numbers: Option<Vec<f64>> = time.split(':').map(|part| part.parse().ok()).collect();
    let valid_time = match numbers.as_deref() {
        Some([hours, minutes]) => *hours < 24.0 && *minutes < 60.0,
        Some([hours, minutes, seconds]) => *hours < 24.0 && *minutes < 60.0 && *seconds < 60.0,
        _ => false,
    };
    valid_date && valid_time
}

fn is_day(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}
