//! Which module of a crate imports which, read from its sources, and whether imports go down.
//!
//! A crate's modules stand on floors ([`table::CRATES`]). A module imports from floors below its own,
//! and from others of its floor as long as no two of them import each other, be it by way of a third.
//! `just floors` draws them. What a module's tests import does not count.
#![forbid(unsafe_code)]

pub mod architecture;
pub mod arrows;
pub mod drawing;
pub mod faults;
pub mod modules;
mod scope;
pub mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Result;

use arrows::Arrows;
use modules::Modules;
use table::Crate;

/// A crate: the floors that it is to have, and what its sources say.
pub struct House {
    /// What the table says.
    pub floors: &'static Crate,
    /// The modules.
    pub modules: Modules,
    /// Their imports.
    pub arrows: Arrows,
}

impl House {
    /// Reads a crate's sources.
    ///
    /// # Errors
    ///
    /// When a file is missing or does not parse.
    pub fn read(floors: &'static Crate) -> Result<Self> {
        let file = root().join("crates").join(floors.name).join("src/lib.rs");
        let modules = Modules::read(&file)?;
        let arrows = Arrows::of(&modules);
        Ok(Self {
            floors,
            modules,
            arrows,
        })
    }

    /// Everything that is wrong, each in a sentence.
    pub fn faults(&self) -> Vec<String> {
        faults::faults(self.floors, &self.modules, &self.arrows)
    }
}

/// The folder that holds `crates/` and `docs/`.
pub fn root() -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR"));
    tool.join("../..")
}
