//! The configurations that the README shows are ones: whoever copies them hears of no mistake.

use ostler_config::{ConfigurationTree, load};

/// The texts between fences that say `jsonc`.
fn examples(page: &str) -> Vec<String> {
    let fenced = page.split("```jsonc\n").skip(1);
    let texts = fenced.filter_map(|rest| rest.split_once("```"));
    texts.map(|(text, _)| text.to_owned()).collect()
}

#[test]
fn examples_of_the_readme_are_read_without_a_word() {
    let examples = examples(include_str!("../../../README.md"));
    assert!(examples.len() > 3);
    for example in examples {
        // Some show a few sections, without the braces around them all.
        let text = match example.trim_start().starts_with('{') {
            true => example,
            false => format!("{{ {example} }}"),
        };
        let mut tree = ConfigurationTree::new();
        let added = tree.add_json("README.md", &text);
        added.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let loaded = load(&tree);
        assert!(
            !loaded.diagnostics.has_errors(),
            "{:#?}\n{text}",
            loaded.diagnostics
        );
        let unknown = loaded.diagnostics.warnings().map(ToString::to_string);
        let unknown: Vec<_> = unknown.filter(|text| text.contains("unknown")).collect();
        assert!(unknown.is_empty(), "{unknown:?}\n{text}");
    }
}
