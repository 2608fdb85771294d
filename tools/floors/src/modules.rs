//! A crate's modules: their files, read and parsed, without what is compiled for tests alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::{Attribute, Item, ItemMod, Meta};

/// A module's name from the crate's root, `tls::accept`; empty for the root itself.
pub type ModulePath = String;

/// One module.
pub struct Module {
    /// What its documentation begins with, up to the first full stop.
    pub summary: String,
    /// Its items, those of tests and of modules inside it left out.
    pub(crate) items: Vec<Item>,
}

/// The modules of one crate, by name.
#[derive(Default)]
pub struct Modules(pub(crate) BTreeMap<ModulePath, Module>);

impl Modules {
    /// Reads the crate whose root is this file.
    ///
    /// # Errors
    ///
    /// When a file is missing or does not parse.
    pub fn read(root: &Path) -> Result<Self> {
        let folder = root.parent().context("the root has no folder")?;
        let mut modules = Self::default();
        modules.read_file(String::new(), root, folder)?;
        Ok(modules)
    }

    /// Reads a crate of one file, in which every module has its content in braces.
    ///
    /// # Errors
    ///
    /// When the text does not parse.
    pub fn of_text(text: &str) -> Result<Self> {
        let file = syn::parse_file(text)?;
        let mut modules = Self::default();
        modules.add(String::new(), &file.attrs, file.items, Path::new(""))?;
        Ok(modules)
    }

    /// Whether there is a module of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Each module with its name, in the alphabet's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Module)> {
        self.0.iter().map(|(name, module)| (name.as_str(), module))
    }

    fn read_file(&mut self, name: ModulePath, file: &Path, folder: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
        self.add(name, &parsed.attrs, parsed.items, folder)
    }

    /// Adds a module; the files of those that it declares lie in `folder`.
    fn add(
        &mut self,
        name: ModulePath,
        attributes: &[Attribute],
        items: Vec<Item>,
        folder: &Path,
    ) -> Result<()> {
        let mut own = Vec::new();
        for item in items {
            match item {
                Item::Mod(inner) if !is_for_tests(&inner.attrs) => {
                    self.add_inner(&name, inner, folder)?;
                }
                Item::Mod(_) => {}
                other => own.push(other),
            }
        }
        let summary = summary(attributes);
        self.0.insert(
            name,
            Module {
                summary,
                items: own,
            },
        );
        Ok(())
    }

    fn add_inner(&mut self, outer: &str, inner: ItemMod, folder: &Path) -> Result<()> {
        let own = inner.ident.to_string();
        let name = join(outer, &own);
        let inside = folder.join(&own);
        match inner.content {
            Some((_, items)) => self.add(name, &inner.attrs, items, &inside),
            None => self.read_file(name, &file_of(&inside)?, &inside),
        }
    }
}

/// A module's name inside another.
pub(crate) fn join(outer: &str, inner: &str) -> ModulePath {
    if outer.is_empty() {
        inner.to_owned()
    } else {
        format!("{outer}::{inner}")
    }
}

/// The module around another; none around the root.
pub(crate) fn outer_of(name: &str) -> Option<&str> {
    match name.rsplit_once("::") {
        Some((outer, _)) => Some(outer),
        None if name.is_empty() => None,
        None => Some(""),
    }
}

fn file_of(module: &Path) -> Result<PathBuf> {
    for file in [module.with_extension("rs"), module.join("mod.rs")] {
        if file.exists() {
            return Ok(file);
        }
    }
    bail!("no file for module {}", module.display())
}

/// Whether an item is compiled for tests alone: `#[cfg(test)]`, `#[cfg(all(test, ...))]`, `#[test]`.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            let condition = condition.replace(' ', "");
            condition == "test" || condition.starts_with("all(test,")
        }
        _ => false,
    })
}

/// The first sentence of a module's documentation.
fn summary(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(documentation).collect();
    let paragraph: Vec<&str> = lines
        .iter()
        .map(|line| line.trim())
        .take_while(|line| !line.is_empty())
        .collect();
    let text = paragraph.join(" ");
    match text.split_once(". ") {
        Some((first, _)) => first.to_owned(),
        None => text.trim_end_matches('.').to_owned(),
    }
}

fn documentation(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let syn::Expr::Lit(value) = &pair.value else {
        return None;
    };
    match &value.lit {
        syn::Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}
