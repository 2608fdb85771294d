//! The configuration as .NET keeps it: a tree of named leaves, in which later sources win.

mod host_environment;
pub(crate) mod key;
mod node;
mod section;
#[cfg(test)]
mod tests;

pub use host_environment::host_variable;
pub(crate) use node::{Leaf, Node, Position};
pub use section::Section;

use crate::error::SourceError;
use crate::json;
use key::MAX_DEPTH;

/// The settings of several sources in one tree; keys compare without case, `:` separates levels.
///
/// Each source lays its values over those before it, one by one: objects merge key by key, and
/// arrays, whose elements are named `0`, `1` and so on, index by index (reference A1.14). A host adds
/// them in this order: environment variables with a host's prefix, `appsettings.json`,
/// `appsettings.<Environment>.json`, the other environment variables, the command line.
#[derive(Debug, Clone, Default)]
pub struct ConfigurationTree {
    root: Node,
}

impl ConfigurationTree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree made without a text.
    pub(crate) fn from_root(root: Node) -> Self {
        Self { root }
    }

    /// Adds JSON, in which comments, trailing commas and a byte order mark are allowed. `origin`
    /// names it in messages.
    ///
    /// # Errors
    ///
    /// When it is malformed, is not an object, has two values for one key, or is nested more than
    /// 64 levels deep. The tree is then as it was.
    pub fn add_json(&mut self, origin: &str, text: &str) -> Result<(), SourceError> {
        self.root.merge(json::read(origin, text)?);
        Ok(())
    }

    /// Adds environment variables, `__` in their names standing for `:`. All of them are added:
    /// those that mean something else are at paths nobody reads.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in variables {
            let position = Position::outside_files(&format!("environment variable {name}"));
            // One that is too deep cannot be meant for us.
            _ = self.set(&name.replace("__", ":"), value, position);
        }
    }

    /// Adds settings of the form `Section:Key=value`, `--` or `/` before them allowed.
    ///
    /// # Errors
    ///
    /// The first that has no key or no `=`, or more than 64 levels. Those before it are added.
    pub fn add_command_line<'s>(
        &mut self,
        assignments: impl IntoIterator<Item = &'s String>,
    ) -> Result<(), SourceError> {
        for assignment in assignments {
            let bare = ["--", "-", "/"]
                .into_iter()
                .find_map(|prefix| assignment.strip_prefix(prefix))
                .unwrap_or(assignment);
            let (key, value) = bare
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| SourceError::Assignment(assignment.clone()))?;
            let position = Position::outside_files(Position::COMMAND_LINE);
            self.set(key, value.to_owned(), position)?;
        }
        Ok(())
    }

    /// The value at a path, such as `ReverseProxy:Routes:route1:ClusterId`.
    pub fn value(&self, path: &str) -> Option<&str> {
        self.section(path).value()
    }

    /// The section at a path; one that is not there is empty, and the empty path is everything.
    pub fn section(&self, path: &str) -> Section<'_> {
        let root = Section::root(&self.root);
        match path {
            "" => root,
            path => root.section(path),
        }
    }

    fn set(&mut self, path: &str, value: String, position: Position) -> Result<(), SourceError> {
        if path.split(':').count() > MAX_DEPTH {
            let place = position.place();
            return Err(SourceError::TooDeep { place });
        }
        let node = path.split(':').fold(&mut self.root, Node::child_mut);
        node.leaf = Some(Leaf {
            text: Some(value),
            position,
        });
        Ok(())
    }
}
