//! Constraints on a parameter's value (reference A3.2).

use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use super::error::TemplateError;
use super::{date_time, value};

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constraint {
    Int,
    Long,
    Bool,
    DateTime,
    Decimal,
    /// `double` and `float`, which accept the same texts: too large a number is infinite.
    Float,
    Guid,
    Alpha,
    /// `minlength`, `maxlength`, `length`: in UTF-16 units, as .NET counts.
    Length {
        least: usize,
        most: usize,
    },
    /// `min`, `max`, `range`.
    Range {
        least: i64,
        most: i64,
    },
    /// Unanchored, without case. Linear in the value's length, so there is no time limit; what
    /// needs backtracking (look-around, back-references) is refused.
    Regex(Expression),
    Required,
    File,
    NonFile,
}

/// A regular expression; equal to one that is written the same.
#[derive(Debug, Clone)]
pub(crate) struct Expression(Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Constraint {
    /// Parses `name` or `name(arguments)`; the name compares without case.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let (name, arguments) = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
            Some((name, arguments)) => (name, Some(arguments)),
            None => (text, None),
        };
        let name = name.to_ascii_lowercase();
        // A regular expression may have commas; everything else is a list.
        let list: Vec<_> = match arguments {
            Some(arguments) if name != "regex" => arguments.split(',').map(str::trim).collect(),
            arguments => Vec::from_iter(arguments),
        };
        let reader = Arguments { constraint: text };
        let constraint = match (name.as_str(), &*list) {
            ("int", []) => Self::Int,
            ("long", []) => Self::Long,
            ("bool", []) => Self::Bool,
            ("datetime", []) => Self::DateTime,
            ("decimal", []) => Self::Decimal,
            ("double" | "float", []) => Self::Float,
            ("guid", []) => Self::Guid,
            ("alpha", []) => Self::Alpha,
            ("required", []) => Self::Required,
            ("file", []) => Self::File,
            ("nonfile", []) => Self::NonFile,
            ("minlength", [least]) => reader.length(least, None)?,
            ("maxlength", [most]) => reader.length("0", Some(most))?,
            ("length", [length]) => reader.length(length, Some(length))?,
            ("length", [least, most]) => reader.length(least, Some(most))?,
            ("min", [least]) => Self::Range {
                least: reader.number(least)?,
                most: i64::MAX,
            },
            ("max", [most]) => Self::Range {
                least: i64::MIN,
                most: reader.number(most)?,
            },
            ("range", [least, most]) => {
                let (least, most) = (reader.number(least)?, reader.number(most)?);
                if least > most {
                    return Err(reader.error("the first is greater than the second"));
                }
                Self::Range { least, most }
            }
            ("regex", [expression]) => {
                let regex = RegexBuilder::new(expression).case_insensitive(true).build();
                Self::Regex(Expression(regex.map_err(|error| reader.error(error))?))
            }
            _ => return Err(TemplateError::UnknownConstraint(text.to_owned())),
        };
        Ok(constraint)
    }

    /// Whether a value satisfies it.
    pub(super) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Int => value::integer::<i32>(value).is_some(),
            Self::Long => value::integer::<i64>(value).is_some(),
            Self::Bool => value::is_bool(value),
            Self::DateTime => date_time::is_date_time(value),
            Self::Decimal => value::is_decimal(value),
            Self::Float => value::is_float(value),
            Self::Guid => value::is_guid(value),
            Self::Alpha => value.bytes().all(|byte| byte.is_ascii_alphabetic()),
            Self::Length { least, most } => {
                (*least..=*most).contains(&value.encode_utf16().count())
            }
            Self::Range { least, most } => {
                value::integer(value).is_some_and(|number| (*least..=*most).contains(&number))
            }
            Self::Regex(Expression(regex)) => regex.is_match(value),
            Self::Required => !value.is_empty(),
            Self::File => value::is_file_name(value),
            Self::NonFile => !value::is_file_name(value),
        }
    }

    /// Whether the absence of a value satisfies it (a catch-all of nothing): no file is meant then.
    pub(super) fn holds_without_value(&self) -> bool {
        matches!(self, Self::NonFile)
    }
}

/// Reads the arguments of one constraint.
struct Arguments<'a> {
    constraint: &'a str,
}

impl Arguments<'_> {
    fn number<T: FromStr>(&self, text: &str) -> Result<T, TemplateError> {
        text.parse()
            .map_err(|_| self.error(format_args!("{text:?} is no such number")))
    }

    /// Bounds of a length: not negative, `most` not below `least`.
    fn length(&self, least: &str, most: Option<&str>) -> Result<Constraint, TemplateError> {
        let least = self.number::<u32>(least)? as usize;
        let most = match most {
            Some(most) => self.number::<u32>(most)? as usize,
            None => usize::MAX,
        };
        if least > most {
            return Err(self.error("the first is greater than the second"));
        }
        Ok(Constraint::Length { least, most })
    }

    fn error(&self, reason: impl ToString) -> TemplateError {
        TemplateError::ConstraintArguments {
            constraint: self.constraint.to_owned(),
            reason: reason.to_string(),
        }
    }
}
