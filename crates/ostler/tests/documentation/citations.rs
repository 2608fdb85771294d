//! Comments cite rules of `docs/reference/` by part and number (`reference A3.1`), and the reference names the
//! tests that hold each rule.

use std::collections::BTreeSet;

use regex::Regex;

use crate::repository::{files, pattern, root, shown, text};

/// The numbers of all sections: `A3.1`, `B7`, `H1.2`.
fn sections() -> BTreeSet<String> {
    let heading = pattern(r"(?m)^#+ ([ABH]\d+(?:\.\d+)*)[. ]");
    let mut numbers = BTreeSet::new();
    for page in ["yarp.md", "http-sys.md"] {
        let page = text(&root().join("docs/reference").join(page));
        for found in heading.captures_iter(&page) {
            assert!(
                numbers.insert(found[1].to_owned()),
                "section {} stands twice",
                &found[1]
            );
        }
    }
    numbers
}

/// What follows the word in a comment: one number, or several.
fn citation() -> Regex {
    let number = r"[ABH]\d+(?:\.\d+)*";
    let between = r"(?:,? and |, | to |-)";
    pattern(&format!(r"[Rr]eference,? ({number}(?:{between}{number})*)"))
}

#[test]
fn every_rule_that_is_cited_stands_in_the_reference() {
    let sections = sections();
    let citation = citation();
    let number = pattern(r"[ABH]\d+(?:\.\d+)*");
    let line_break = pattern(r"\n\s*//[/!]? ?");
    let mut cited = 0;
    let mut unknown = Vec::new();
    for folder in ["crates", "bench"] {
        for file in files(&root().join(folder), "rs") {
            let source = text(&file);
            let source = line_break.replace_all(&source, " ");
            for citation in citation.captures_iter(&source) {
                for number in number.find_iter(&citation[1]) {
                    cited += 1;
                    if !sections.contains(number.as_str()) {
                        unknown.push(format!("{}: {}", shown(&file), number.as_str()));
                    }
                }
            }
        }
    }
    assert!(unknown.is_empty(), "no such sections: {unknown:#?}");
    assert!(cited > 200, "only {cited} citations were found");
}

#[test]
fn a_citation_names_its_part() {
    let bare = pattern(r"[Rr]eference,? (?:section |part )?[0-9B]+(?:\.[0-9]+)* ?[,.):;]");
    let good = citation();
    for folder in ["crates", "bench"] {
        for file in files(&root().join(folder), "rs") {
            if file.ends_with("citations.rs") {
                continue;
            }
            for (line, source) in text(&file).lines().enumerate() {
                let comment = source.trim_start().starts_with("//");
                assert!(
                    !comment || !bare.is_match(source) || good.is_match(source),
                    "{}:{}: which part? {source}",
                    shown(&file),
                    line + 1
                );
            }
        }
    }
}

#[test]
fn what_holds_a_rule_is_there_and_tests_something() {
    let held = pattern(r"(?m)^Held by: ((?:.|\n)*?)\.$");
    let path = pattern(r"`([^`]+)`");
    let mut named = 0;
    for page in ["yarp.md", "http-sys.md"] {
        let page = text(&root().join("docs/reference").join(page));
        for held in held.captures_iter(&page) {
            for path in path.captures_iter(&held[1]) {
                named += 1;
                let path = root().join(&path[1]);
                let sources = if path.is_dir() {
                    files(&path, "rs")
                } else {
                    vec![path.clone()]
                };
                assert!(
                    sources.iter().any(|source| text(source).contains("test]")),
                    "{} has no test",
                    shown(&path)
                );
            }
        }
    }
    assert!(named > 80, "only {named} files are named");
}
