//! JSON with comments and trailing commas, into a tree of its own, everything with its place.

mod strictness;

use std::cell::Cell;
use std::sync::Arc;

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::error::SourceError;
use crate::tree::key::MAX_DEPTH;
use crate::tree::{Leaf, Node, Position};

/// What .NET's configuration reader allows beyond JSON (reference A1.1), and no more.
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
        last: Cell::new((0, 0)),
    };
    if let Some((offset, message)) = strictness::first_mistake(text) {
        return Err(source.mistake(offset, message));
    }
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS).map_err(|error| {
        source.mistake(error.range().start, lower_case(&error.kind().to_string()))
    })?;
    let Some(Value::Object(object)) = parsed.value else {
        let origin = origin.to_owned();
        return Err(SourceError::NotAnObject { origin });
    };
    let mut root = Node::default();
    source.object(&object.properties, &mut root, &mut Vec::new())?;
    Ok(root)
}

struct Source<'a> {
    origin: Arc<str>,
    text: &'a str,
    /// Offsets of the lines' first bytes; never empty.
    lines: Vec<usize>,
    /// The offset asked for last and the characters before it on its line. The next one is mostly
    /// further on, and a file may be one long line.
    last: Cell<(usize, usize)>,
}

impl Source<'_> {
    fn mistake(&self, offset: usize, message: String) -> SourceError {
        let place = self.position(offset).place();
        SourceError::Syntax { place, message }
    }

    /// `path` holds the names down to `into`, at most [`MAX_DEPTH`] of them.
    fn object(
        &self,
        properties: &[ObjectProp<'_>],
        into: &mut Node,
        path: &mut Vec<String>,
    ) -> Result<(), SourceError> {
        for property in properties {
            let key = property.name.as_str();
            let position = self.position(property.start());
            let depth = path.len();
            if depth + key.split(':').count() > MAX_DEPTH {
                let place = position.place();
                return Err(SourceError::TooDeep { place });
            }
            let mut node = &mut *into;
            for (at, name) in key.split(':').enumerate() {
                node = node.child_mut(name);
                path.push(name.to_owned());
                if at == 0 && name.len() < key.len() {
                    node.split_from.get_or_insert_with(|| key.to_owned());
                }
            }
            self.value(&property.value, node, path, position)?;
            path.truncate(depth);
        }
        Ok(())
    }

    fn value(
        &self,
        value: &Value<'_>,
        node: &mut Node,
        path: &mut Vec<String>,
        position: Position,
    ) -> Result<(), SourceError> {
        let text = match value {
            Value::Object(object) => {
                container(node, object.properties.is_empty(), position);
                return self.object(&object.properties, node, path);
            }
            Value::Array(array) => {
                container(node, array.elements.is_empty(), position);
                for (at, element) in array.elements.iter().enumerate() {
                    let position = self.position(element.start());
                    if path.len() == MAX_DEPTH {
                        let place = position.place();
                        return Err(SourceError::TooDeep { place });
                    }
                    let name = at.to_string();
                    let child = node.child_mut(&name);
                    path.push(name);
                    self.value(element, child, path, position)?;
                    path.pop();
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
        if let Some(first) = &node.leaf {
            return Err(SourceError::Duplicate {
                place: position.place(),
                first: first.position.place(),
                path: path.join(":"),
            });
        }
        node.leaf = Some(Leaf { text, position });
        Ok(())
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        // The parser's offsets may be behind the text's end.
        let offset = offset.min(self.text.len());
        let (from, counted) = match self.last.get() {
            (last, counted) if (start..=offset).contains(&last) => (last, counted),
            _ => (start, 0),
        };
        let between = self.text.get(from..offset);
        let before = counted + between.map_or(0, |between| between.chars().count());
        self.last.set((offset, before));
        let column = before + 1;
        Position {
            origin: Arc::clone(&self.origin),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

/// Notes an object or an array. An empty one is a null leaf, as in .NET.
fn container(node: &mut Node, is_empty: bool, position: Position) {
    if is_empty && node.leaf.is_none() {
        node.leaf = Some(Leaf {
            text: None,
            position: position.clone(),
        });
    }
    match node.container {
        None => node.container = Some(position),
        Some(_) => node.again = Some(position),
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let later = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(later).collect()
}

/// The parser's messages begin with a capital; ours do not.
fn lower_case(message: &str) -> String {
    let mut rest = message.chars();
    let first = rest.next().into_iter().flat_map(char::to_lowercase);
    first.chain(rest).collect()
}
