//! `StaticFiles` and `NavigationFallback` of YARP's container application, and where files are
//! (reference A9.3).

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::reader::Reader;
use crate::tree::ConfigurationTree;
use crate::tree::key::same;

/// What is answered from files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticFilesConfig {
    /// `StaticFiles:Enabled`, or `YARP_ENABLE_STATIC_FILES`: whether files are looked for before
    /// routes.
    pub enabled: bool,
    /// `StaticFiles:ServeUnknownFileTypes`: whether files are served of whose extension no type is
    /// known. ASP.NET lets code alone set it.
    pub serve_unknown_file_types: bool,
    /// `NavigationFallback:Path`: the file for paths that no route matches and that are not named
    /// like a file.
    pub navigation_fallback: Option<String>,
    /// `ContentRoot`; absent is the folder of the configuration's file.
    pub content_root: Option<String>,
    /// `WebRoot`, the folder with the files, below the content root unless it is absolute; absent is
    /// `wwwroot`.
    pub web_root: Option<String>,
}

/// Reads all of it.
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> StaticFilesConfig {
    let mut reader = Reader::new(
        tree.section("StaticFiles"),
        &keys::STATIC_FILES,
        diagnostics,
    );
    let enabled = reader.parsed("Enabled", leaf::boolean);
    let serve_unknown_file_types = reader.parsed("ServeUnknownFileTypes", leaf::boolean);
    reader.finish();
    let fallback = tree.section("NavigationFallback");
    let has_fallback = fallback.has_children();
    let mut reader = Reader::new(fallback, &keys::NAVIGATION_FALLBACK, diagnostics);
    let navigation_fallback = reader.text("Path");
    reader.finish();
    // The variables of before there were these sections. They are the application's own, not
    // ASP.NET's: whatever is not the word is no.
    let is_true = |name| {
        let value = tree.section(name).value();
        value.is_some_and(|value| same(value.trim(), "true"))
    };
    let legacy = is_true("YARP_ENABLE_STATIC_FILES");
    let implied = legacy && !has_fallback && !is_true("YARP_DISABLE_SPA_FALLBACK");
    let folder = |name| {
        let value = tree.section(name).value().map(str::to_owned);
        value.filter(|value: &String| !value.is_empty())
    };
    StaticFilesConfig {
        enabled: enabled.unwrap_or(legacy),
        serve_unknown_file_types: serve_unknown_file_types.unwrap_or_default(),
        navigation_fallback: navigation_fallback.or(implied.then(|| "/index.html".to_owned())),
        content_root: folder("ContentRoot"),
        web_root: folder("WebRoot"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str, variables: &[(&str, &str)]) -> (bool, Option<String>) {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", json).unwrap();
        let variables = variables.iter();
        tree.add_environment(variables.map(|(name, value)| ((*name).into(), (*value).into())));
        let mut diagnostics = Diagnostics::default();
        let read = read(&tree, &mut diagnostics);
        assert!(diagnostics.is_empty(), "{json}");
        (read.enabled, read.navigation_fallback)
    }

    /// Reference A9.3.
    #[test]
    fn sections_and_the_variables_of_before() {
        let on = ("YARP_ENABLE_STATIC_FILES", "True");
        let no_fallback = ("YARP_DISABLE_SPA_FALLBACK", "TRUE");
        let index = Some("/index.html".to_owned());
        let app = r#"{ "NavigationFallback": { "Path": "/app.html" } }"#;
        for (json, variables, expected) in [
            ("{}", &[][..], (false, None)),
            (
                r#"{ "StaticFiles": { "Enabled": true } }"#,
                &[],
                (true, None),
            ),
            (app, &[], (false, Some("/app.html".to_owned()))),
            ("{}", &[on], (true, index.clone())),
            ("{}", &[on, no_fallback], (true, None)),
            ("{}", &[no_fallback], (false, None)),
            ("{}", &[("YARP_ENABLE_STATIC_FILES", "1")], (false, None)),
            (app, &[on], (true, Some("/app.html".to_owned()))),
            (
                r#"{ "NavigationFallback": { "Path": "" } }"#,
                &[on],
                (true, None),
            ),
            (
                r#"{ "StaticFiles": { "Enabled": false } }"#,
                &[on],
                (false, index),
            ),
        ] {
            assert_eq!(settings(json, variables), expected, "{json} {variables:?}");
        }
    }

    #[test]
    fn roots_are_asp_nets_and_a_misspelt_key_is_told() {
        let mut tree = ConfigurationTree::new();
        let json = r#"{ "WebRoot": "site", "StaticFiles": { "Enable": true } }"#;
        tree.add_json("a.json", json).unwrap();
        tree.add_host_environment(&[("ASPNETCORE_CONTENTROOT".into(), "/srv".into())]);
        let mut diagnostics = Diagnostics::default();
        let read = read(&tree, &mut diagnostics);
        assert_eq!(read.web_root.as_deref(), Some("site"));
        assert_eq!(read.content_root.as_deref(), Some("/srv"));
        let told: Vec<_> = diagnostics.warnings().map(|told| &*told.path).collect();
        assert_eq!(told, ["StaticFiles:Enable"]);
    }
}
