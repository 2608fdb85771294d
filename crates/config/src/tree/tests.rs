//! Layering, order and places.

use super::*;

fn tree(text: &str) -> ConfigurationTree {
    let mut tree = ConfigurationTree::new();
    tree.add_json("a.json", text).unwrap();
    tree
}

fn error(text: &str) -> SourceError {
    ConfigurationTree::new()
        .add_json("a.json", text)
        .unwrap_err()
}

#[test]
fn keys_compare_without_case_and_later_leaves_win() {
    let mut tree = tree(r#"{ "A": { "b": 1, "List": ["x", "y", "z"], "T": true, "n": 5 } }"#);
    tree.add_json("b.json", r#"{ "a": { "B": 2, "LIST": ["u"], "N": null } }"#)
        .unwrap();
    tree.add_environment([("a__c".to_owned(), "3".to_owned())]);
    tree.add_command_line(&["--A:D=4=5".to_owned(), "A:T=off".to_owned()])
        .unwrap();
    assert_eq!(tree.value("a:b"), Some("2"));
    assert_eq!(tree.value("A:C"), Some("3"));
    assert_eq!(tree.value("A:D"), Some("4=5"));
    assert_eq!(tree.value("A:T"), Some("off"));
    assert_eq!(tree.value("A:n"), None);
    let list = tree.section("A:List").children();
    let list: Vec<_> = list.map(|(_, item)| item.value()).collect();
    // A shorter array does not remove the tail of a longer one.
    assert_eq!(list, [Some("u"), Some("y"), Some("z")]);
}

#[test]
fn numbers_and_booleans_become_dotnets_text() {
    let tree = tree(r#"{ "a": true, "b": false, "c": 1.50, "d": -2e3, "e": "\u00e4" }"#);
    let values: Vec<_> = tree
        .section("")
        .children()
        .map(|(_, section)| section.value().unwrap())
        .collect();
    assert_eq!(values, ["True", "False", "1.50", "-2e3", "ä"]);
}

#[test]
fn children_come_numbers_first() {
    let tree = tree(r#"{ "A": { "b": 1, "10": 1, "9": 1, "A": 1 } }"#);
    let section = tree.section("A");
    let names: Vec<_> = section.children().map(|(name, _)| name).collect();
    assert_eq!(names, ["9", "10", "A", "b"]);
}

#[test]
fn a_section_is_named_as_it_was_spelled_first() {
    let mut tree = tree(r#"{ "ReverseProxy": { "Routes": {} } }"#);
    tree.add_environment([("REVERSEPROXY__ROUTES__r1".to_owned(), String::new())]);
    assert_eq!(
        tree.section("reverseproxy:routes:R1").path(),
        "ReverseProxy:Routes:r1"
    );
}

#[test]
fn a_colon_in_a_key_is_two_levels() {
    let tree = tree(r#"{ "A:B": { "C:D": 1 } }"#);
    assert_eq!(tree.value("A:B:C:D"), Some("1"));
    assert_eq!(tree.section("A").split_from(), Some("A:B"));
    assert_eq!(tree.section("A:B").split_from(), None);
}

#[test]
fn an_empty_object_is_a_section_and_empty() {
    let tree = tree(r#"{ "A": { "o": {}, "a": [], "n": null } }"#);
    let section = tree.section("A");
    assert_eq!(section.children().count(), 3);
    assert!(section.children().all(|(_, section)| section.is_empty()));
    assert!(!section.is_empty());
}

#[test]
fn a_section_knows_where_it_stands_and_a_missing_one_where_it_would() {
    let mut tree = tree("\u{feff}{\n  \"A\": { \"ä\": 1, \"b\": [\n 7 ] }\n}");
    let place =
        |tree: &ConfigurationTree, path: &str| tree.section(path).place().unwrap().to_string();
    assert_eq!(place(&tree, "A"), "a.json:2:3");
    assert_eq!(place(&tree, "A:b"), "a.json:2:18");
    assert_eq!(place(&tree, "A:b:0"), "a.json:3:2");
    assert_eq!(place(&tree, "A:c:d"), "a.json:2:3");
    assert_eq!(tree.section("x").place(), None);
    tree.add_environment([("A__Ä".to_owned(), "2".to_owned())]);
    assert_eq!(place(&tree, "A:ä"), "environment variable A__Ä");
    tree.add_command_line(&["A:ä=3".to_owned()]).unwrap();
    assert_eq!(place(&tree, "A:ä"), "command line");
}

#[test]
fn two_values_of_one_key_are_an_error_in_one_file_and_two_objects_are_merged() {
    assert_eq!(
        error("{ \"x\": { \"a\": 1,\n  \"A\": null } }").to_string(),
        "a.json:2:3: x:A has a value already, at a.json:1:10"
    );
    assert!(matches!(
        error(r#"{ "a:b": 1, "a": { "b": 2 } }"#),
        SourceError::Duplicate { .. }
    ));
    let merged = tree("{ \"a\": { \"x\": 1 },\n \"A\": { \"y\": 2 } }");
    assert_eq!(
        (merged.value("a:x"), merged.value("a:y")),
        (Some("1"), Some("2"))
    );
    assert_eq!(
        merged.section("a").again().unwrap().to_string(),
        "a.json:2:2"
    );
}

#[test]
fn malformed_text_is_an_error_with_its_line_and_column() {
    for (text, place) in [
        ("{\n \"a\": }", (2, 7)),
        ("{ \"a\": 1 \"b\": 2 }", (1, 9)),
        ("{ 'a': 1 }", (1, 3)),
        ("{ \"a\": 0x10 }", (1, 8)),
        ("{ \"a\": NaN }", (1, 8)),
        ("{ \"a\": 1 } x", (1, 12)),
        ("{ \"a\": \"\\x41\" }", (1, 9)),
        ("{\n  /* never closed\n }", (2, 3)),
        ("{ \"ä\": \"ö\",\n \"b\": [1, , 2] }", (2, 11)),
    ] {
        match error(text) {
            SourceError::Syntax {
                place: found,
                message,
            } => {
                assert_eq!((found.line, found.column), place, "{text}: {message}");
                assert!(message.starts_with(char::is_lowercase), "{message}");
            }
            other => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn the_outermost_value_must_be_an_object() {
    for text in ["[]", "1", "", "// nothing\n", "null"] {
        assert!(
            matches!(error(text), SourceError::NotAnObject { .. }),
            "{text:?}"
        );
    }
}

#[test]
fn a_source_that_cannot_be_read_leaves_the_tree_as_it_was() {
    let mut tree = tree(r#"{ "a": 1 }"#);
    assert!(tree.add_json("b.json", r#"{ "a": 2, "A": 3 }"#).is_err());
    assert_eq!(tree.value("a"), Some("1"));
}

#[test]
fn levels_are_bounded_whatever_the_source() {
    let deep = vec!["a"; MAX_DEPTH].join(":");
    let deeper = format!("{deep}:a");
    assert_eq!(
        tree(&format!(r#"{{ "{deep}": 1 }}"#)).value(&deep),
        Some("1")
    );
    assert!(matches!(
        error(&format!(r#"{{ "{deeper}": 1 }}"#)),
        SourceError::TooDeep { .. }
    ));
    let nested = format!("{{ \"a\": {}{} }}", "[".repeat(66), "]".repeat(66));
    assert!(matches!(error(&nested), SourceError::TooDeep { .. }));
    let mut tree = ConfigurationTree::new();
    tree.add_environment([("a__".repeat(100_000), String::new())]);
    assert!(tree.section("").is_empty());
    assert!(tree.add_command_line(&[format!("{deeper}=1")]).is_err());
}

#[test]
fn the_command_line_takes_dashes_a_slash_or_neither() {
    let mut tree = ConfigurationTree::new();
    let settings = ["--A:a=1", "/A:b=2", "A:c=", "A:d=--x"];
    tree.add_command_line(&settings.map(str::to_owned)).unwrap();
    let values = ["A:a", "A:b", "A:c", "A:d"].map(|path| tree.value(path).unwrap());
    assert_eq!(values, ["1", "2", "", "--x"]);
    for wrong in ["A:a", "--", "=1", "--=1"] {
        assert_eq!(
            tree.add_command_line(&[wrong.to_owned()]),
            Err(SourceError::Assignment(wrong.to_owned()))
        );
    }
}
