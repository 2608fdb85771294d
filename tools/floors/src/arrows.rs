//! The arrows of a crate's drawing: which module uses what another one defines.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Macro};

use crate::modules::{ModulePath, Modules, is_for_tests};
use crate::scope::{Found, Import, Scopes, imports};

/// From each module of a crate to those it uses, itself left out.
#[derive(Debug, Default)]
pub struct Arrows(pub(crate) BTreeMap<ModulePath, BTreeSet<ModulePath>>);

impl Arrows {
    /// Those of a crate.
    pub fn of(modules: &Modules) -> Self {
        let scopes = Scopes::of(modules);
        let arrows = modules.iter().map(|(name, module)| {
            let mut reader = Reader {
                scopes: &scopes,
                module: name,
                used: BTreeSet::new(),
            };
            for item in &module.items {
                reader.visit_item(item);
            }
            reader.used.remove(name);
            (name.to_owned(), reader.used)
        });
        Self(arrows.collect())
    }

    /// Each arrow, from the module that uses to the one that is used.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(from, to)| {
            let from = from.as_str();
            to.iter().map(move |to| (from, to.as_str()))
        })
    }
}

/// Reads one module's items for paths that lead to other modules.
struct Reader<'r> {
    scopes: &'r Scopes<'r>,
    module: &'r str,
    used: BTreeSet<ModulePath>,
}

impl Reader<'_> {
    /// A module that is imported counts by what is then taken from it, and what a folder's module only
    /// passes on from its own files is no use of it.
    fn import(&mut self, import: &Import) {
        let found = self.scopes.resolve(self.module, &import.path);
        let used = match found {
            Some(Found::ItemOf(module)) => module,
            Some(Found::Module(module)) if import.name.is_none() => module,
            _ => return,
        };
        let is_inside = self.module.is_empty()
            || (used.starts_with(self.module) && used[self.module.len()..].starts_with("::"));
        if !(import.is_passed_on && is_inside) {
            self.used.insert(used);
        }
    }

    fn path(&mut self, path: &[String]) {
        if let Some(Found::ItemOf(module)) = self.scopes.resolve(self.module, path) {
            self.used.insert(module);
        }
    }

    /// What a macro is given is not parsed; paths are looked for in it as they stand.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.path(&std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.path(&path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for import in &imports(item) {
            self.import(import);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.path(&names.collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.tokens(invocation.tokens.clone());
        visit::visit_macro(self, invocation);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
