//! JSON with comments and trailing commas, into the tree, every leaf with its place.

use std::sync::Arc;

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::diagnostics::Place;
use crate::tree::{Leaf, Node, SourceError};

/// What .NET's configuration reader allows beyond JSON, and no more.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a text into a tree of its own.
pub(crate) fn read(origin: &str, text: &str) -> Result<Node, SourceError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source {
        origin: origin.into(),
        text,
        lines: line_starts(text),
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS).map_err(|error| {
        let message = error.kind().to_string();
        SourceError::Syntax {
            place: source.place(error.range().start),
            message,
        }
    })?;
    let Some(Value::Object(object)) = parsed.value else {
        return Err(SourceError::NotAnObject {
            origin: origin.to_owned(),
        });
    };
    let mut root = Node::default();
    source.object(&object.properties, &mut root, "")?;
    Ok(root)
}

struct Source<'a> {
    origin: Arc<str>,
    text: &'a str,
    /// Offsets of the lines' first bytes.
    lines: Vec<usize>,
}

impl Source<'_> {
    fn object(
        &self,
        properties: &[ObjectProp<'_>],
        into: &mut Node,
        path: &str,
    ) -> Result<(), SourceError> {
        for property in properties {
            let name = property.name.as_str();
            let place = self.place(property.start());
            let mut node = &mut *into;
            for part in name.split(':') {
                node = node.child_mut(part);
            }
            let path = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}:{name}")
            };
            self.value(&property.value, node, &path, place)?;
        }
        Ok(())
    }

    fn value(
        &self,
        value: &Value<'_>,
        node: &mut Node,
        path: &str,
        place: Place,
    ) -> Result<(), SourceError> {
        let text = match value {
            Value::Object(object) => {
                node.place.get_or_insert(place);
                return self.object(&object.properties, node, path);
            }
            Value::Array(array) => {
                node.place.get_or_insert(place);
                for (at, element) in array.elements.iter().enumerate() {
                    let place = self.place(element.start());
                    let name = at.to_string();
                    self.value(
                        element,
                        node.child_mut(&name),
                        &format!("{path}:{name}"),
                        place,
                    )?;
                }
                return Ok(());
            }
            Value::StringLit(string) => Some(string.value.clone().into_owned()),
            Value::NumberLit(number) => Some(number.value.to_owned()),
            // .NET's spelling of a boolean.
            Value::BooleanLit(boolean) => {
                Some(if boolean.value { "True" } else { "False" }.to_owned())
            }
            Value::NullKeyword(_) => None,
        };
        if node.leaf.is_some() {
            return Err(SourceError::Duplicate {
                place,
                path: path.to_owned(),
            });
        }
        node.leaf = Some(Leaf {
            text,
            place: Some(place),
        });
        Ok(())
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self
            .text
            .get(start..offset)
            .map_or(0, |before| before.chars().count())
            + 1;
        Place {
            origin: Arc::clone(&self.origin),
            line: line as u32,
            column: column as u32,
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}
