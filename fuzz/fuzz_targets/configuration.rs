//! A configuration file: whatever it says is read or has its diagnostics, and what has no errors can
//! be applied.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_config::{ConfigurationTree, load_with};
use ostler_model::{ConfigurationRules, ProxyModel};

fuzz_target!(|input: &str| {
    let mut tree = ConfigurationTree::new();
    if tree.add_json("appsettings.json", input).is_err() {
        return;
    }
    let model = ProxyModel::new();
    let loaded = load_with(&tree, &ConfigurationRules(model.registry()));
    let diagnostics = &loaded.diagnostics;
    for diagnostic in diagnostics.errors().chain(diagnostics.warnings()) {
        assert!(!diagnostic.to_string().is_empty());
    }
    if loaded.diagnostics.has_errors() {
        return;
    }
    if let Err(error) = model.apply(&loaded.settings.proxy) {
        panic!("it was checked, and cannot be applied: {error}");
    }
});
