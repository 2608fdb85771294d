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

    /// Lays a later source over this one: its leaves win, one by one (reference 1.14). Recursion
    /// is bounded by [`MAX_DEPTH`](super::MAX_DEPTH).
    pub(crate) fn merge(&mut self, later: Self) {
        self.leaf = later.leaf.or(self.leaf.take());
        self.container = later.container.or(self.container.take());
        self.again = later.again.or(self.again.take());
        self.split_from = later.split_from.or(self.split_from.take());
        for (key, child) in later.children {
            match self.children.get_mut(&key) {
                Some(mine) => mine.merge(child),
                None => _ = self.children.insert(key, child),
            }
        }
    }

    /// Where the value stands, else the object or array.
    pub(crate) fn position(&self) -> Option<&Position> {
        let value = self.leaf.as_ref().map(|leaf| &leaf.position);
        value.or(self.container.as_ref())
    }
}
