//! What two configurations say differently, value by value: comments and order make no difference.

use std::collections::BTreeMap;

use ostler_config::{ConfigurationTree, Section, SourceError};

/// One line for each value that only one of them has, or that differs.
pub(super) fn differences(
    before: &str,
    after: &str,
    name: &str,
) -> Result<Vec<String>, SourceError> {
    let (before, after) = (values("etcd", before)?, values(name, after)?);
    let mut lines = Vec::new();
    for (key, Value { path, value }) in &before {
        match after.get(key).map(|now| &now.value) {
            None => lines.push(format!("- {path} = {value}")),
            Some(now) if now != value => lines.push(format!("~ {path} = {value} -> {now}")),
            Some(_) => {}
        }
    }
    let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
    lines.extend(added.map(|(_, Value { path, value })| format!("+ {path} = {value}")));
    Ok(lines)
}

/// A value and its path as it is written.
struct Value {
    path: String,
    value: String,
}

/// The values by their paths in lower case: keys that differ in case alone are the same.
type Values = BTreeMap<String, Value>;

fn values(origin: &str, text: &str) -> Result<Values, SourceError> {
    let mut tree = ConfigurationTree::new();
    tree.add_json(origin, text)?;
    let mut values = BTreeMap::new();
    collect(&tree.section(""), &mut values);
    Ok(values)
}

fn collect(section: &Section<'_>, values: &mut Values) {
    if let Some(value) = section.value() {
        let (path, value) = (section.path().to_owned(), format!("{value:?}"));
        values.insert(path.to_lowercase(), Value { path, value });
    }
    for (_, below) in section.children() {
        collect(&below, values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_and_comments_are_not() {
        let before = r#"{ "A": { "x": 1, "y": [ "a", "b" ] }, "B": "z" }"#;
        let after = "{ // why\n \"B\": \"z\", \"a\": { \"X\": 2, \"y\": [ \"a\" ], \"w\": true } }";
        let lines = differences(before, after, "new.json").unwrap();
        let changed: Vec<_> = lines.iter().map(|line| line.to_lowercase()).collect();
        assert_eq!(
            changed,
            [
                r#"~ a:x = "1" -> "2""#,
                r#"- a:y:1 = "b""#,
                r#"+ a:w = "true""#
            ]
        );
        assert!(differences(before, before, "x").unwrap().is_empty());
        assert!(differences(before, "{", "x").is_err());
    }
}
