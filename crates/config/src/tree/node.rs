//! One level of the tree: a value, levels below, and where both come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key::Key;
use crate::diagnostics::Place;

/// Where something comes from; cheap to copy, unlike [`Place`].
#[derive(Debug, Clone)]
pub(crate) struct Position {
    pub(crate) origin: Arc<str>,
    /// From 1; 0 outside files.
    pub(crate) line: u32,
    /// From 1; 0 outside files.
    pub(crate) column: u32,
}

impl Position {
    /// The origin of settings of the command line.
    pub(crate) const COMMAND_LINE: &'static str = "command line";

    /// Somewhere that has no lines.
    pub(crate) fn outside_files(origin: &str) -> Self {
        Self {
            origin: origin.into(),
            line: 0,
            column: 0,
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            origin: self.origin.as_ref().to_owned(),
            line: self.line,
            column: self.column,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// `None` is JSON's null, or an object or an array with nothing in it.
    pub(crate) text: Option<String>,
    pub(crate) position: Position,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// As it was spelled first.
    pub(crate) name: String,
    pub(crate) leaf: Option<Leaf>,
    /// Where the object or array stands that this is; the last source's.
    pub(crate) container: Option<Position>,
    /// Where one source has the same object once more, both being merged.
    pub(crate) again: Option<Position>,
    /// The whole JSON key that began with this name, when a `:` in it made it several levels.
    pub(crate) split_from: Option<String>,
    pub(crate) children: BTreeMap<Key, Self>,
}

impl Node {
    /// The level of a name below, made if need be.
    pub(crate) fn child_mut(&mut self, name: &str) -> &mut Self {
        self.children.entry(Key::new(name)).or_insert_with(|| Self {
            name: name.to_owned(),
            ..Self::default()
        })
    }

    /// Lays a later source over this one: its leaves win, one by one (reference A1.14). Recursion
    /// is bounded by [`MAX_DEPTH`](super::key::MAX_DEPTH).
    pub(crate) fn merge(&mut self, later: Self) {
        self.leaf = later.leaf.or(self.leaf.take());
        self.container = later.container.or(self.container.take());
        self.again = later.again.or(self.again.take());
        self.split_from = later.split_from.or(self.split_from.take());
        for (key, child) in later.children {
            match self.children.get_mut(&key) {
                Some(mine) => {
                    if !mine.is_in_a_file() {
                        // Variables are mostly in capitals, and the name is shown.
                        mine.name.clone_from(&child.name);
                    }
                    mine.merge(child);
                }
                None => _ = self.children.insert(key, child),
            }
        }
    }

    /// Whether a file has something at this level itself.
    pub(crate) fn is_in_a_file(&self) -> bool {
        let in_a_file = |leaf: &Leaf| leaf.position.line > 0;
        self.container.is_some() || self.leaf.as_ref().is_some_and(in_a_file)
    }

    /// Whether anything at this level or below is in a file or on the command line.
    pub(crate) fn is_written(&self) -> bool {
        let on_command_line = |leaf: &Leaf| leaf.position.origin.as_ref() == Position::COMMAND_LINE;
        self.is_in_a_file()
            || self.leaf.as_ref().is_some_and(on_command_line)
            || self.children.values().any(Self::is_written)
    }

    /// Where this stands, or the first below that stands anywhere.
    pub(crate) fn first_position(&self) -> Option<&Position> {
        self.position()
            .or_else(|| self.children.values().find_map(Self::first_position))
    }

    /// Where the value stands, else the object or array.
    pub(crate) fn position(&self) -> Option<&Position> {
        let value = self.leaf.as_ref().map(|leaf| &leaf.position);
        value.or(self.container.as_ref())
    }
}
