//! Keys at the outermost level: what nobody reads is said, since a misspelt section would otherwise be
//! none at all.

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::keys::{self, PROXY_SECTION};
use crate::nearest::nearest;
use crate::reader::what_was_meant;
use crate::tree::key::same;
use crate::tree::{ConfigurationTree, Section};

/// What others know at this level, and where it is said here, if anywhere.
const ELSEWHERE: [(&str, &str, &str); 5] = [
    (
        "Logging",
        "it does not say what is logged here",
        "use --log or OSTLER_LOG, for instance --log debug",
    ),
    (
        "Serilog",
        "it does not say what is logged here",
        "use --log or OSTLER_LOG, for instance --log debug",
    ),
    (
        "Telemetry",
        "metrics and traces are not implemented yet",
        "remove it",
    ),
    (
        "Environment",
        "a file does not say which environment it is read in",
        "set ASPNETCORE_ENVIRONMENT, or use --environment",
    ),
    ("Limits", "limits stand in a section", "put it into Kestrel"),
];

/// Warns of what is not read. `proxy` is the section that routes are read from.
pub(super) fn check(tree: &ConfigurationTree, proxy: &str, diagnostics: &mut Diagnostics) {
    let of_proxy = proxy.split(':').next().unwrap_or_default();
    for (name, section) in tree.section("").children() {
        let known = keys::ROOT.key(name);
        if known.is_some_and(|key| key.value.is_single()) {
            if section.has_children() && section.value().is_none() {
                let message = "an object or array has no effect where a single value is expected";
                warn(&section, message.to_owned(), None, diagnostics);
            }
            continue;
        }
        // Where another section stands for it, `ReverseProxy` is nobody's.
        let is_read = known.is_some() && !same(name, PROXY_SECTION) || same(name, of_proxy);
        if !is_read {
            check_unread(name, &section, diagnostics);
        }
    }
}

fn check_unread(name: &str, section: &Section<'_>, diagnostics: &mut Diagnostics) {
    if let Some(path) = proxy_within(section) {
        let message = format!(
            "the section {path:?} looks like a proxy's, since it has routes or clusters, and is not read"
        );
        let remedy = match same(&path, PROXY_SECTION) {
            true => "leave --section out of the command line".to_owned(),
            false => format!("add --section {path} to the command line"),
        };
        return warn(section, message, Some(remedy), diagnostics);
    }
    if !section.is_written() {
        // Variables of the environment are everybody's; those of a section whose name is long and near
        // to one of ours are hardly anybody else's.
        let near = nearest(name, &keys::ROOT.names());
        let is_ours = |near: &&str| section.has_children() && near.len() > "Ostler".len();
        if let Some(near) = near.filter(is_ours) {
            let message = format!("the section {name:?} is unknown and has no effect");
            let remedy = format!("did you mean {near}?");
            warn(section, message, Some(remedy), diagnostics);
        }
        return;
    }
    let elsewhere = ELSEWHERE.iter().find(|(other, ..)| same(other, name));
    let (message, remedy) = match elsewhere {
        Some((_, why, remedy)) => (
            format!("the key {name:?} is not read and has no effect: {why}"),
            Some((*remedy).to_owned()),
        ),
        None => (
            format!("the key {name:?} is not read and has no effect"),
            what_was_meant(&keys::ROOT, name),
        ),
    };
    warn(section, message, remedy, diagnostics);
}

/// The path of a section that could be `ReverseProxy` by what is in it: this one or one directly below.
fn proxy_within(section: &Section<'_>) -> Option<String> {
    let is_proxy = |section: &Section<'_>| {
        let has = |key| {
            section
                .child(key)
                .children()
                .any(|(_, one)| one.has_children())
        };
        has("Clusters") || has("Routes")
    };
    if is_proxy(section) {
        return Some(section.path().to_owned());
    }
    let mut below = section.children().map(|(_, below)| below);
    let found = below.find(is_proxy);
    found.map(|found| found.path().to_owned())
}

fn warn(
    section: &Section<'_>,
    message: String,
    remedy: Option<String>,
    diagnostics: &mut Diagnostics,
) {
    diagnostics.push(Diagnostic {
        severity: Severity::Warning,
        path: section.path().to_owned(),
        place: section.first_place(),
        message,
        remedy,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    fn said(tree: &ConfigurationTree) -> Vec<String> {
        let loaded = load(tree);
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        let warnings = loaded.diagnostics.warnings();
        warnings.map(ToString::to_string).collect()
    }

    fn said_of(text: &str) -> Vec<String> {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", text).unwrap();
        said(&tree)
    }

    const PROXY: &str = r#"{ "Routes": {}, "Clusters": { "c": { "Destinations": {
        "d": { "Address": "http://d/" } } } } }"#;

    #[test]
    fn a_section_that_is_not_read_is_told_and_one_that_is_meant_named() {
        for (text, words) in [
            (
                r#"{ "ReverseProxi": { "x": 1 } }"#,
                "did you mean ReverseProxy?",
            ),
            (
                r#"{ "Kestral": { "Limits": {} } }"#,
                "did you mean Kestrel?",
            ),
            (r#"{ "Url": "http://*:80" }"#, "did you mean Urls?"),
            (
                r#"{ "Logging": { "LogLevel": { "Default": "Debug" } } }"#,
                "--log",
            ),
            (r#"{ "Telemetry": { "x": true } }"#, "not implemented"),
            (r#"{ "Environment": "Dev" }"#, "--environment"),
            (r#"{ "ConnectionStrings": { "x": "y" } }"#, "not read"),
            (
                r#"{ "Limits": { "KeepAliveTimeout": "00:00:01" } }"#,
                "put it into Kestrel",
            ),
            (r#"{ "Urls": [ "http://*:80" ] }"#, "single value"),
            (r#"{ "AllowedHosts": [ "a" ] }"#, "single value"),
        ] {
            let said = said_of(text);
            assert_eq!(said.len(), 1, "{text}: {said:?}");
            assert!(said[0].contains(words), "{text}: {said:?}");
            assert!(said[0].contains("a.json:1:"), "{text}: {said:?}");
        }
        assert!(said_of(r#"{ "$schema": "x.json", "kestrel": {} }"#).is_empty());
    }

    #[test]
    fn a_proxys_section_of_another_name_is_named() {
        for (text, path) in [
            (format!(r#"{{ "Yarp": {PROXY} }}"#), "Yarp"),
            (
                format!(r#"{{ "App": {{ "Gateway": {PROXY} }} }}"#),
                "App:Gateway",
            ),
        ] {
            let said = said_of(&text);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains(&format!("--section {path} ")), "{said:?}");
        }
    }

    #[test]
    fn the_environment_is_everybodys() {
        let mut tree = ConfigurationTree::new();
        let variables = ["PATH", "HOME", "LOGGING", "KESTREL_HOME", "Other__Section"];
        tree.add_environment(variables.map(|name| (name.to_owned(), "x".to_owned())));
        assert_eq!(said(&tree), Vec::<String>::new());
        tree.add_environment([("ReverseProxi__Routes__r__Order".to_owned(), "1".to_owned())]);
        let said = said(&tree);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("environment variable ReverseProxi__Routes__r__Order"),
            "{said:?}"
        );
    }

    #[test]
    fn a_setting_of_the_command_line_that_nobody_reads_is_told() {
        let mut tree = ConfigurationTree::new();
        tree.add_command_line(&["Kestral:Limits:MaxRequestLineSize=9".to_owned()])
            .unwrap();
        let said = said(&tree);
        assert!(said[0].contains("did you mean Kestrel?"), "{said:?}");
    }
}
