//! The configuration as .NET keeps it: a tree of named leaves, in which later sources win.

use std::collections::BTreeMap;

use crate::diagnostics::Place;
use crate::json;

/// A tree of settings from several sources; keys compare without case, `:` separates them.
#[derive(Debug, Clone, Default)]
pub struct ConfigurationTree {
    root: Node,
}

/// A source that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The text is no JSON.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong there.
        message: String,
    },
    /// The text's outermost value is no object.
    #[error("{origin}: the outermost value is not an object")]
    NotAnObject {
        /// The source's name.
        origin: String,
    },
    /// The same key stands twice, in one case or another.
    #[error("{place}: {path} is there already")]
    Duplicate {
        /// Where the second stands.
        place: Place,
        /// Its path.
        path: String,
    },
    /// A command line setting is no `key=value`.
    #[error("{0:?} is not a setting: write it as Section:Key=value")]
    Assignment(String),
}

/// How .NET orders the children of a section: numbers first, by their value, then the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64),
    Text(String),
}

impl Key {
    fn new(name: &str) -> Self {
        match name.parse() {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Text(name.to_lowercase()),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// As it was spelled first.
    name: String,
    pub(crate) leaf: Option<Leaf>,
    pub(crate) place: Option<Place>,
    children: BTreeMap<Key, Self>,
}

#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// `None` is JSON's null.
    pub(crate) text: Option<String>,
    pub(crate) place: Option<Place>,
}

impl ConfigurationTree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds JSON, with comments and trailing commas allowed. `origin` names it in messages.
    ///
    /// # Errors
    ///
    /// When it is malformed, or has the same key twice.
    pub fn add_json(&mut self, origin: &str, text: &str) -> Result<(), SourceError> {
        let source = json::read(origin, text)?;
        self.root.merge(source);
        Ok(())
    }

    /// Adds environment variables, `__` in their names standing for `:`.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in variables {
            self.set(&name.replace("__", ":"), value);
        }
    }

    /// Adds settings of the form `Section:Key=value`, dashes or a slash before them allowed.
    ///
    /// # Errors
    ///
    /// The first that has no `=`.
    pub fn add_command_line(&mut self, assignments: &[String]) -> Result<(), SourceError> {
        for assignment in assignments {
            let trimmed = assignment.trim_start_matches(['-', '/']);
            let (key, value) = trimmed
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| SourceError::Assignment(assignment.clone()))?;
            self.set(key, value.to_owned());
        }
        Ok(())
    }

    /// The leaf at a path.
    pub fn value(&self, path: &str) -> Option<&str> {
        self.section(path).value()
    }

    /// The section at a path; one that is not there is empty.
    pub fn section(&self, path: &str) -> Section<'_> {
        let mut section = Section {
            node: Some(&self.root),
            path: String::new(),
        };
        for part in path.split(':') {
            section = section.child(part);
        }
        section
    }

    fn set(&mut self, path: &str, value: String) {
        let mut node = &mut self.root;
        for part in path.split(':') {
            node = node.child_mut(part);
        }
        node.leaf = Some(Leaf {
            text: Some(value),
            place: None,
        });
    }
}

impl Node {
    pub(crate) fn child_mut(&mut self, name: &str) -> &mut Self {
        self.children.entry(Key::new(name)).or_insert_with(|| Self {
            name: name.to_owned(),
            ..Self::default()
        })
    }

    /// Later leaves win one by one; arrays are children named by their indexes.
    fn merge(&mut self, later: Self) {
        if later.leaf.is_some() {
            self.leaf = later.leaf;
        }
        if later.place.is_some() {
            self.place = later.place;
        }
        for (key, child) in later.children {
            let name = child.name.clone();
            self.children
                .entry(key)
                .or_insert_with(|| Self {
                    name,
                    ..Self::default()
                })
                .merge(child);
        }
    }
}

/// A part of the tree, which may be empty.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    pub(crate) node: Option<&'a Node>,
    path: String,
}

impl<'a> Section<'a> {
    /// Its path, in the spelling of the source where there is one.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its own value, if it is a leaf.
    pub fn value(&self) -> Option<&'a str> {
        self.node?.leaf.as_ref()?.text.as_deref()
    }

    /// Whether nothing is there: no value and nothing below.
    pub fn is_empty(&self) -> bool {
        self.value().is_none() && self.node.is_none_or(|node| node.children.is_empty())
    }

    /// The section of a name below.
    pub fn child(&self, name: &str) -> Self {
        let node = self
            .node
            .and_then(|node| node.children.get(&Key::new(name)));
        let name = node.map_or(name, |node| node.name.as_str());
        Self {
            node,
            path: join(&self.path, name),
        }
    }

    /// All sections below, in .NET's order, with their names.
    pub fn children(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let path = self.path.clone();
        self.node
            .into_iter()
            .flat_map(|node| node.children.values())
            .map(move |node| {
                let section = Section {
                    node: Some(node),
                    path: join(&path, &node.name),
                };
                (node.name.as_str(), section)
            })
    }

    /// Where it stands in a file.
    pub fn place(&self) -> Option<Place> {
        let node = self.node?;
        let leaf = node.leaf.as_ref().and_then(|leaf| leaf.place.clone());
        leaf.or_else(|| node.place.clone())
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}:{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> ConfigurationTree {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", text).unwrap();
        tree
    }

    #[test]
    fn keys_compare_without_case_and_later_leaves_win() {
        let mut tree = tree(r#"{ "A": { "b": 1, "List": ["x", "y", "z"], "T": true } }"#);
        tree.add_json("b.json", r#"{ "a": { "B": 2, "LIST": ["u"] } }"#)
            .unwrap();
        tree.add_environment([("a__c".to_owned(), "3".to_owned())]);
        tree.add_command_line(&["--A:D=4=5".to_owned()]).unwrap();
        assert_eq!(tree.value("a:b"), Some("2"));
        assert_eq!(tree.value("A:C"), Some("3"));
        assert_eq!(tree.value("A:D"), Some("4=5"));
        assert_eq!(tree.value("A:T"), Some("True"));
        let list: Vec<_> = tree
            .section("A:List")
            .children()
            .map(|(_, item)| item.value())
            .collect();
        assert_eq!(list, [Some("u"), Some("y"), Some("z")]);
    }

    #[test]
    fn children_come_numbers_first() {
        let tree = tree(r#"{ "A": { "b": 1, "10": 1, "9": 1, "A": 1 } }"#);
        let names: Vec<_> = tree.section("A").children().map(|(name, _)| name).collect();
        assert_eq!(names, ["9", "10", "A", "b"]);
    }

    #[test]
    fn a_colon_in_a_key_is_two_levels() {
        assert_eq!(tree(r#"{ "A:B": 1 }"#).value("A:B"), Some("1"));
    }

    #[test]
    fn says_where_a_text_is_malformed_or_repeats_itself() {
        let error = |text: &str| {
            ConfigurationTree::new()
                .add_json("a.json", text)
                .unwrap_err()
        };
        assert!(
            matches!(error("{\n \"a\": }"), SourceError::Syntax { place, .. } if place.line == 2)
        );
        assert!(matches!(error("[]"), SourceError::NotAnObject { .. }));
        let duplicate = error("{ \"a\": 1,\n  \"A\": 2 }");
        assert_eq!(duplicate.to_string(), "a.json:2:3: A is there already");
        assert!(
            ConfigurationTree::new()
                .add_command_line(&["x".to_owned()])
                .is_err()
        );
    }
}
