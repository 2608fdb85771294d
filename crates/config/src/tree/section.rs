//! A part of the tree, looked at by its path.

use super::key::Key;
use super::node::{Node, Position};
use crate::diagnostics::Place;

/// A part of a [`ConfigurationTree`](crate::ConfigurationTree); one that is not there is empty.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    node: Option<&'a Node>,
    path: String,
    /// Where the nearest level stands that has a place: this one, or one that it is in.
    position: Option<&'a Position>,
}

impl<'a> Section<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        Self {
            node: Some(node),
            path: String::new(),
            position: None,
        }
    }

    /// Its path, in the spelling of the source where there is one.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its own value: `None` when it is not there, null, or has no value but sections below.
    pub fn value(&self) -> Option<&'a str> {
        self.node?.leaf.as_ref()?.text.as_deref()
    }

    /// Whether it is written as null, or as an object or an array with nothing in it.
    pub(crate) fn is_null(&self) -> bool {
        let leaf = self.node.and_then(|node| node.leaf.as_ref());
        leaf.is_some_and(|leaf| leaf.text.is_none()) && !self.has_children()
    }

    /// Whether nothing is there: no value and nothing below. An empty object, an empty array and
    /// null are nothing.
    pub fn is_empty(&self) -> bool {
        self.value().is_none() && !self.has_children()
    }

    /// The section at a path below.
    pub fn section(&self, path: &str) -> Self {
        path.split(':')
            .fold(self.clone(), |section, name| section.child(name))
    }

    /// The section of a name below.
    pub(crate) fn child(&self, name: &str) -> Self {
        let node = self
            .node
            .and_then(|node| node.children.get(&Key::new(name)));
        self.below(node.map_or(name, |node| node.name.as_str()), node)
    }

    /// All sections below with their names: numbers first by their value, then the others without
    /// case, which is the order .NET lists them in.
    pub fn children(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let this = self.clone();
        let children = self
            .node
            .into_iter()
            .flat_map(|node| node.children.values());
        children.map(move |node| (node.name.as_str(), this.below(&node.name, Some(node))))
    }

    /// Where it stands; of one that is not there, where the nearest stands that it would be in.
    pub fn place(&self) -> Option<Place> {
        self.position.map(Position::place)
    }

    /// Where it stands, or the first thing in it that stands anywhere.
    pub(crate) fn first_place(&self) -> Option<Place> {
        let first = self.node.and_then(Node::first_position);
        first.or(self.position).map(Position::place)
    }

    /// Whether somebody has written it for this program: in a file or on the command line, and not
    /// only as a variable of the environment, which is everybody's.
    pub(crate) fn is_written(&self) -> bool {
        self.node.is_some_and(Node::is_written)
    }

    pub(crate) fn has_children(&self) -> bool {
        self.node.is_some_and(|node| !node.children.is_empty())
    }

    /// Where the source of this object has the same object once more.
    pub(crate) fn again(&self) -> Option<Place> {
        Some(self.node?.again.as_ref()?.place())
    }

    /// The whole key, if a `:` in it made this section's name of its beginning.
    pub(crate) fn split_from(&self) -> Option<&'a str> {
        self.node?.split_from.as_deref()
    }

    fn below(&self, name: &str, node: Option<&'a Node>) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}:{name}"),
        };
        let position = node.and_then(Node::position).or(self.position);
        Self {
            node,
            path,
            position,
        }
    }
}
