//! The way back: a path made of a template and values (reference B3.1), after ASP.NET's
//! `TemplateBinder`.

use super::error::TemplateError;
use super::parse;
use super::segment::{Parameter, Part, Segment};
use crate::ordinal;
use crate::transforms::path::{Slashes, encode_into};

/// A path template that paths are made of. Its literals keep their case, and its constraints are
/// not asked.
#[derive(Debug, Clone)]
pub(crate) struct PathBinder {
    segments: Vec<Segment>,
}

impl PathBinder {
    /// Parses a template.
    pub(crate) fn parse(template: &str) -> Result<Self, TemplateError> {
        parse::parse(template).map(|segments| Self { segments })
    }

    /// The path in the form it is sent in; empty where the values do not make one. `slashes` is what
    /// becomes of a `%2F` in a value.
    pub(crate) fn bind<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v str>,
        slashes: Slashes,
    ) -> String {
        let mut path = String::new();
        match self.bind_to(&mut path, value, slashes) {
            Some(()) => path,
            None => String::new(),
        }
    }

    fn bind_to<'v>(
        &self,
        path: &mut String,
        value: impl Fn(&str) -> Option<&'v str>,
        slashes: Slashes,
    ) -> Option<()> {
        let value = |parameter: &Parameter| value(&parameter.name).filter(|text| !text.is_empty());
        // Values that say what their defaults say; they are written when something follows.
        let mut held_back = String::new();
        let mut left_out = false;
        for segment in &self.segments {
            let mut text = String::from("/");
            let mut is_default = false;
            match segment {
                Segment::Literal(literal) => encode_into(&mut text, literal, Slashes::Encode),
                Segment::Mixed(parts) => mixed(&mut text, parts, &value, slashes)?,
                Segment::Parameter(parameter) | Segment::CatchAll(parameter) => {
                    let Some(value) = value(parameter) else {
                        left_out = true;
                        continue;
                    };
                    let default = parameter.default.as_deref();
                    is_default =
                        default.is_some_and(|default| ordinal::eq(value, &ordinal::fold(default)));
                    put(&mut text, parameter, value, slashes);
                }
            }
            if left_out {
                // A path cannot have a hole.
                return None;
            }
            held_back.push_str(&text);
            if !is_default {
                path.push_str(&std::mem::take(&mut held_back));
            }
        }
        Some(())
    }
}

/// Writes a segment of several parts, all of which must be there but for `.{extension?}`.
fn mixed<'v>(
    text: &mut String,
    parts: &[Part],
    value: &impl Fn(&Parameter) -> Option<&'v str>,
    slashes: Slashes,
) -> Option<()> {
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Literal(literal) => {
                if let Some(Part::Parameter(next)) = parts.get(at + 1)
                    && next.optional
                    && value(next).is_none()
                {
                    return Some(());
                }
                encode_into(text, literal, Slashes::Encode);
            }
            Part::Parameter(parameter) => put(text, parameter, value(parameter)?, slashes),
        }
    }
    Some(())
}

fn put(text: &mut String, parameter: &Parameter, value: &str, slashes: Slashes) {
    for (at, piece) in value.split('/').enumerate() {
        if at > 0 {
            text.push_str(if parameter.keeps_slashes { "/" } else { "%2F" });
        }
        encode_into(text, piece, slashes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(template: &str, values: &[(&str, &str)]) -> String {
        let value = |name: &str| {
            let found = values
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| *value)
        };
        PathBinder::parse(template)
            .unwrap()
            .bind(value, Slashes::Keep)
    }

    #[test]
    fn makes_paths_as_asp_net_does() {
        // Reference B3.1.
        for (template, values, path) in [
            ("/My/{x}/End", &[("x", "v")][..], "/My/v/End"),
            ("/a/{**x}", &[("x", "b/c d")], "/a/b/c%20d"),
            ("/a/{*x}", &[("x", "b/c")], "/a/b%2Fc"),
            ("/a/{x}", &[("x", "b/c%2Fd")], "/a/b%2Fc%2Fd"),
            ("/{a}.{b}", &[("a", "n"), ("b", "txt")], "/n.txt"),
            ("/{a}.{b}", &[("a", "n")], ""),
            ("/x/{a}.{b?}", &[("b", "n")], ""),
            ("/{a}.{b?}", &[("a", "n")], "/n"),
            ("/a/{x?}", &[], "/a"),
            ("/a/{x}", &[("x", "")], "/a"),
            ("/a/{x}/b", &[], ""),
            ("/a/{x:int}", &[("x", "no number")], "/a/no%20number"),
            ("/a/{x=d}", &[], "/a"),
            ("/a/{x=d}", &[("x", "D")], "/a"),
            ("/a/{x=d}/{y}", &[("x", "d"), ("y", "e")], "/a/d/e"),
            ("/a/{x=d}/{y=e}", &[("x", "d"), ("y", "e")], "/a"),
            ("/a/", &[], "/a"),
            ("/", &[], ""),
            ("a/{X}", &[("x", "ü")], "/a/%C3%BC"),
            ("/a%20b", &[], "/a%2520b"),
        ] {
            assert_eq!(bind(template, values), path, "{template} {values:?}");
        }
    }
}
