//! The page `docs/configuration.md`: every key, for whoever has never seen YARP; made of what
//! [`keys`](crate::keys) says.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use crate::keys::{FIRST_VERSION, Key, Object, Origin, ROOT, Value, visit};
use crate::route::TRANSFORMS;

const INTRODUCTION: &str = include_str!("reference/introduction.md");
const TRANSFORMS_INTRODUCTION: &str = include_str!("reference/transforms.md");

/// The page's text, as `ostler schema --format markdown` prints it.
pub fn configuration_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut objects: Vec<(String, &'static Object)> = Vec::new();
    visit(&ROOT, String::new(), &mut |path, object| {
        objects.push((path.replace('*', "<id>"), object));
    });
    let mut first: Vec<(*const Object, String)> = Vec::new();
    for (path, object) in objects {
        let known = first.iter().find(|(known, _)| std::ptr::eq(*known, object));
        if let Some((_, before)) = known {
            // One that stands in several places is described where it stands first.
            put(
                &mut page,
                &format!(
                    "\n## `{path}`\n\nThe keys are those of [`{before}`](#{}).\n",
                    anchor(before)
                ),
            );
            continue;
        }
        section(&mut page, &path, object);
        if path == "ReverseProxy:Routes:<id>" {
            transforms(&mut page);
        }
        first.push((object, path));
    }
    page
}

fn section(page: &mut String, path: &str, object: &Object) {
    let title = match path {
        "" => "The outermost level".to_owned(),
        path => format!("`{path}`"),
    };
    put(page, &format!("\n## {title}\n\n{}\n", object.doc));
    if let Origin::Code(name) = object.origin {
        put(page, &format!("\nIn ASP.NET this is code: `{name}`.\n"));
    }
    if object.keys.is_empty() {
        return;
    }
    put(page, "\n| key | value | default | |\n|---|---|---|---|\n");
    for key in object.keys {
        let default = match serde_json::from_str::<Json>(key.default) {
            Ok(_) => format!("`{}`", key.default),
            Err(_) => key.default.to_owned(),
        };
        let line = format!(
            "| `{}` | {} | {} | {} |\n",
            key.name,
            cell(&kind(path, key)),
            cell(&default),
            cell(&format!("{}{}", key.doc, remarks(object, key)))
        );
        put(page, &line);
    }
    if let Some(example) = example(object) {
        put(page, &format!("\n```json\n{example:#}\n```\n"));
    }
}

/// What may stand there, and where its keys are described.
fn kind(path: &str, key: &Key) -> String {
    let name = key.name;
    let at = match path {
        "" => name.to_owned(),
        path => format!("{path}:{name}"),
    };
    match key.value {
        Value::Object(_) => format!("[object](#{})", anchor(&at)),
        Value::Objects(_) => format!("[array of objects](#{})", anchor(&format!("{at}:<id>"))),
        Value::Map(_) => format!("[objects by id](#{})", anchor(&format!("{at}:<id>"))),
        value => value.describe(),
    }
}

/// Where YARP and ASP.NET have it, its version where that is a later one, and what it was called.
fn remarks(object: &Object, key: &Key) -> String {
    let mut remarks = String::new();
    match object.origin_of(key) {
        Origin::Code(name) if object.origin != Origin::Code(name) => {
            put(
                &mut remarks,
                &format!(" In ASP.NET this is code: `{name}`."),
            );
        }
        Origin::Ostler if object.origin != Origin::Ostler => {
            put(&mut remarks, " Neither YARP nor ASP.NET has it.");
        }
        _ => {}
    }
    if key.since != FIRST_VERSION {
        put(&mut remarks, &format!(" Since version {}.", key.since));
    }
    if !key.formerly.is_empty() {
        let names = key.formerly.join("`, `");
        put(&mut remarks, &format!(" It was called `{names}`."));
    }
    remarks
}

fn transforms(page: &mut String) {
    put(page, TRANSFORMS_INTRODUCTION);
    put(page, "\n| transform | |\n|---|---|\n");
    for transform in &TRANSFORMS {
        let line = format!("| `{}` | {} |\n", transform.example, cell(transform.doc));
        put(page, &line);
    }
}

/// An object of its keys' examples, without those in it that are objects themselves.
fn example(object: &Object) -> Option<Json> {
    let keys = object.keys.iter().filter(|key| !key.is_idle);
    let pairs: Map<_, _> = keys
        .filter_map(|key| Some((key.name.to_owned(), key.example_value()?)))
        .collect();
    (!pairs.is_empty()).then(|| Json::from(pairs))
}

/// GitHub's anchor of a heading that is a path in code.
fn anchor(path: &str) -> String {
    let kept = path
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_".contains(*c));
    kept.flat_map(char::to_lowercase).collect()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn put(page: &mut String, text: &str) {
    page.write_str(text).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigurationTree, load};

    #[test]
    fn the_page_in_the_repository_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text == configuration_page(),
            "run: cargo run -p ostler -- schema --format markdown > docs/configuration.md"
        );
    }

    #[test]
    fn every_transform_that_is_shown_is_taken() {
        let shown = TRANSFORMS.iter().map(|transform| transform.example);
        let shown: Vec<_> = shown.collect();
        let text = format!(
            r#"{{ "ReverseProxy": {{ "Routes": {{ "r": {{ "Match": {{ "Path": "/{{id}}" }},
                "Transforms": [ {} ] }} }} }} }}"#,
            shown.join(", ")
        );
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", &text).unwrap();
        let loaded = load(&tree);
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        assert_eq!(
            loaded.settings.proxy.routes[0].transforms.len(),
            TRANSFORMS.len()
        );
        for transform in &TRANSFORMS {
            let begins = format!("{{ \"{}\": ", transform.key);
            assert!(transform.example.starts_with(&begins), "{}", transform.key);
        }
    }

    #[test]
    fn the_smallest_configuration_of_the_introduction_has_no_mistake() {
        let block = INTRODUCTION.split("```json").nth(1).unwrap();
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", block.split("```").next().unwrap())
            .unwrap();
        assert!(load(&tree).diagnostics.is_empty());
    }

    #[test]
    fn every_link_leads_to_a_heading() {
        let page = configuration_page();
        let headings: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(anchor)
            .collect();
        let links = page.split("](#").skip(1);
        let links: Vec<_> = links.filter_map(|rest| rest.split(')').next()).collect();
        assert!(links.len() > 40, "{}", links.len());
        for link in links {
            let found = headings.iter().filter(|heading| *heading == link).count();
            assert_eq!(found, 1, "{link}");
        }
    }
}
