//! Reading a configuration: the file, environment variables over it, the command line over both.

use std::path::Path;

use anyhow::Context as _;
use ostler_config::{ConfigurationTree, Diagnostics, Loaded, load_with};
use ostler_model::RouteRules;

/// Reads and validates everything that makes up the configuration.
///
/// Mistakes are in the result; an error here is a file that cannot be read at all.
pub(crate) fn read(file: &Path, settings: &[String]) -> anyhow::Result<Loaded> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let mut tree = ConfigurationTree::new();
    tree.add_json(&name, &text)?;
    tree.add_environment(std::env::vars_os().filter_map(|(name, value)| {
        // What is no Unicode cannot be meant for us.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    }));
    tree.add_command_line(settings)?;
    Ok(load_with(&tree, &RouteRules))
}

/// Prints every error and warning to standard error.
pub(crate) fn print(diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.errors().chain(diagnostics.warnings()) {
        eprintln!("{diagnostic}");
    }
}
