//! A crate: the floors that it is to have, and what its sources say.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::arrows::Arrows;
use crate::faults;
use crate::modules::Modules;
use crate::table::Crate;

/// A crate with its floors.
pub struct House {
    /// What the table says.
    pub floors: &'static Crate,
    /// The modules.
    pub modules: Modules,
    /// Their imports.
    pub arrows: Arrows,
}

impl House {
    /// Reads a crate's sources: its library, or its program where it has none.
    ///
    /// # Errors
    ///
    /// When a file is missing or does not parse.
    pub fn read(floors: &'static Crate) -> Result<Self> {
        let sources = root().join(floors.folder).join("src");
        let library = sources.join("lib.rs");
        let file = match library.exists() {
            true => library,
            false => sources.join("main.rs"),
        };
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
