//! Names as a module sees them: which module an item comes from that a path names.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, ItemUse, UseTree, Visibility};

use crate::modules::{ModulePath, Modules, is_for_tests, join, outer_of};

/// One name that a `use` brings into a module.
#[derive(Debug)]
pub(crate) struct Import {
    /// What it is called here; none for `*`.
    pub(crate) name: Option<String>,
    /// The path as written, without the `*`.
    pub(crate) path: Vec<String>,
    /// Passed on to other modules: `pub use`.
    pub(crate) is_passed_on: bool,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A module itself.
    Module(ModulePath),
    /// An item that this module defines.
    ItemOf(ModulePath),
}

/// The imports of each module of a crate.
pub(crate) struct Scopes<'m> {
    modules: &'m Modules,
    imports: BTreeMap<ModulePath, Vec<Import>>,
}

impl<'m> Scopes<'m> {
    pub(crate) fn of(modules: &'m Modules) -> Self {
        let imports = modules.iter().map(|(name, module)| {
            let uses = module.items.iter().filter_map(|item| match item {
                Item::Use(found) if !is_for_tests(&found.attrs) => Some(found),
                _ => None,
            });
            (name.to_owned(), uses.flat_map(imports).collect())
        });
        Self {
            modules,
            imports: imports.collect(),
        }
    }

    /// What a module's own `use` items bring in.
    pub(crate) fn imports(&self, module: &str) -> &[Import] {
        self.imports.get(module).map_or(&[], Vec::as_slice)
    }

    /// What a path leads to that is written in a module; none outside the crate.
    pub(crate) fn resolve(&self, module: &str, path: &[String]) -> Option<Found> {
        self.find(module, path, &mut BTreeSet::new())
    }

    fn find(
        &self,
        module: &str,
        path: &[String],
        seen: &mut BTreeSet<(ModulePath, String)>,
    ) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.inside(String::new(), rest, seen),
            "self" => self.inside(module.to_owned(), rest, seen),
            "super" => {
                let outer = outer_of(module)?.to_owned();
                match rest.first() {
                    Some(next) if next == "super" => self.find(&outer, rest, seen),
                    _ => self.inside(outer, rest, seen),
                }
            }
            _ => self.named(module, first, rest, seen),
        }
    }

    /// A path that continues inside a module.
    fn inside(
        &self,
        module: ModulePath,
        path: &[String],
        seen: &mut BTreeSet<(ModulePath, String)>,
    ) -> Option<Found> {
        let Some((first, rest)) = path.split_first() else {
            return Some(Found::Module(module));
        };
        if self.is_named(&module, first) {
            return self.named(&module, first, rest, seen);
        }
        Some(Found::ItemOf(module))
    }

    /// What a name stands for in a module, when it is a module's or imported.
    fn named(
        &self,
        module: &str,
        name: &str,
        rest: &[String],
        seen: &mut BTreeSet<(ModulePath, String)>,
    ) -> Option<Found> {
        let child = join(module, name);
        if self.modules.contains(&child) {
            return self.inside(child, rest, seen);
        }
        if !seen.insert((module.to_owned(), name.to_owned())) {
            return None;
        }
        let import = self.import(module, name)?;
        match self.find(module, &import.path, seen)? {
            Found::Module(module) => self.inside(module, rest, seen),
            item @ Found::ItemOf(_) => Some(item),
        }
    }

    fn import(&self, module: &str, name: &str) -> Option<&Import> {
        let mut imports = self.imports(module).iter();
        imports.find(|import| import.name.as_deref() == Some(name))
    }

    /// Whether a name is a module's in this one, or imported: any other is defined here.
    fn is_named(&self, module: &str, name: &str) -> bool {
        self.modules.contains(&join(module, name)) || self.import(module, name).is_some()
    }
}

/// What a `use` brings in.
pub(crate) fn imports(item: &ItemUse) -> Vec<Import> {
    let is_passed_on = !matches!(item.vis, Visibility::Inherited);
    let mut found = Vec::new();
    walk(&item.tree, &mut Vec::new(), &mut |name, path| {
        found.push(Import {
            name,
            path,
            is_passed_on,
        });
    });
    found
}

fn walk(
    tree: &UseTree,
    before: &mut Vec<String>,
    found: &mut dyn FnMut(Option<String>, Vec<String>),
) {
    let with = |last: String| {
        let mut path = before.clone();
        if last != "self" || path.is_empty() {
            path.push(last);
        }
        path
    };
    match tree {
        UseTree::Path(step) => {
            before.push(step.ident.to_string());
            walk(&step.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) => {
            let path = with(name.ident.to_string());
            found(path.last().cloned(), path);
        }
        UseTree::Rename(rename) => {
            let path = with(rename.ident.to_string());
            found(Some(rename.rename.to_string()), path);
        }
        UseTree::Glob(_) => found(None, before.clone()),
        UseTree::Group(group) => {
            for tree in &group.items {
                walk(tree, before, found);
            }
        }
    }
}
