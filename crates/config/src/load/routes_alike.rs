//! Routes that match the same requests equally well: those are answered 500 (reference A3.9).

use std::collections::HashMap;

use crate::reader::Reader;
use crate::schema::RouteConfig;
use crate::tree::key::fold;

/// Warns of each route that ties with one before it.
pub(super) fn warn(reader: &mut Reader<'_, '_>, routes: &[std::sync::Arc<RouteConfig>]) {
    let mut seen: HashMap<_, &str> = HashMap::new();
    let sections = reader.section.section("Routes");
    for ((_, section), route) in sections.children().zip(routes) {
        let same = same_requests(route);
        let tied = same.iter().find_map(|requests| seen.get(requests).copied());
        for requests in same {
            seen.entry(requests).or_insert(&route.route_id);
        }
        if let Some(other) = tied {
            let message = format!(
                "requests that the route {other:?} matches are matched equally well here, and \
                 answered 500"
            );
            let remedy = "give one of the two another Order".to_owned();
            reader.warn(&section.child("Match"), message, Some(remedy));
        }
    }
}

/// What two routes have in common that tie: one of these for each host and method they name.
fn same_requests(route: &RouteConfig) -> Vec<(String, String, String)> {
    let matches = &route.matches;
    let path = matches.path.as_deref().map(shape);
    let rules = (&matches.headers, &matches.query_parameters);
    let common = format!("{:?} {path:?} {rules:?}", route.order.unwrap_or_default());
    let all = |names: &[String]| match names.is_empty() {
        // Routes that name none tie with one another, and not with those that do.
        true => vec![String::new()],
        false => names.iter().map(|name| fold(name)).collect(),
    };
    let (hosts, methods) = (all(&matches.hosts), all(&matches.methods));
    let pairs = hosts
        .iter()
        .flat_map(|host| methods.iter().map(move |method| (host, method)));
    pairs
        .map(|(host, method)| (common.clone(), host.clone(), method.clone()))
        .collect()
}

/// A template without the names of its parameters, its case, and the slash at its beginning.
fn shape(template: &str) -> String {
    let template = template.strip_prefix('/').unwrap_or(template);
    let mut shape = String::with_capacity(template.len());
    let mut in_name = false;
    for character in fold(template).chars() {
        match character {
            '{' => in_name = true,
            '*' if in_name => {}
            ':' | '=' | '?' | '}' => in_name = false,
            _ if in_name => continue,
            _ => {}
        }
        shape.push(character);
    }
    shape
}

#[cfg(test)]
mod tests {
    use crate::{ConfigurationTree, load};

    /// The routes that are warned of, of two that are `left` and `right`.
    fn tied(left: &str, right: &str) -> bool {
        let mut tree = ConfigurationTree::new();
        let text = format!(
            r#"{{ "ReverseProxy": {{ "Routes": {{
                "a": {{ "ClusterId": "c", {left} }}, "b": {{ "ClusterId": "c", {right} }} }},
                "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "http://d/" }} }} }} }} }} }}"#
        );
        tree.add_json("a.json", &text).unwrap();
        let loaded = load(&tree);
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        let said: Vec<_> = loaded
            .diagnostics
            .warnings()
            .map(|said| said.path.clone())
            .collect();
        assert!(
            said.is_empty() || said == ["ReverseProxy:Routes:b:Match"],
            "{said:?}"
        );
        !said.is_empty()
    }

    #[test]
    fn routes_that_match_alike_are_warned_of_and_others_are_not() {
        for (left, right, alike) in [
            (
                r#""Match": { "Path": "/a" }"#,
                r#""Match": { "Path": "A" }"#,
                true,
            ),
            (
                r#""Match": { "Path": "/a/{x}" }"#,
                r#""Match": { "Path": "/a/{y}" }"#,
                true,
            ),
            (
                r#""Match": { "Path": "/a/{x:int}" }"#,
                r#""Match": { "Path": "/a/{x}" }"#,
                false,
            ),
            (
                r#""Match": { "Path": "/{**x}" }"#,
                r#""Match": { "Path": "/{x}" }"#,
                false,
            ),
            (
                r#""Match": { "Path": "/a" }"#,
                r#""Match": { "Path": "/a" }, "Order": 1"#,
                false,
            ),
            (
                r#""Match": { "Path": "/a", "Hosts": [ "x", "y" ] }"#,
                r#""Match": { "Path": "/a", "Hosts": [ "Y" ] }"#,
                true,
            ),
            (
                r#""Match": { "Path": "/a", "Methods": [ "GET", "PUT" ] }"#,
                r#""Match": { "Path": "/a", "Methods": [ "put" ] }"#,
                true,
            ),
            (
                r#""Match": { "Path": "/a", "Methods": [ "GET" ] }"#,
                r#""Match": { "Path": "/a" }"#,
                false,
            ),
            (
                r#""Match": { "Path": "/a", "Headers": [ { "Name": "x", "Mode": "Exists" } ] }"#,
                r#""Match": { "Path": "/a" }"#,
                false,
            ),
        ] {
            assert_eq!(tied(left, right), alike, "{left} {right}");
        }
    }
}
