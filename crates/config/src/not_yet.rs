//! What YARP and ASP.NET do and this program does not yet: each use with an effect is a warning.
//!
//! Whoever implements one deletes its line from [`NOT_YET`].
//!
//! What asks for what happens anyway has no line.

use crate::diagnostics::{Diagnostics, Severity};
use crate::keys::PROXY_SECTION;
use crate::leaf;
use crate::reader::note;
use crate::schema::HttpVersion;
use crate::tree::key::same;
use crate::tree::{ConfigurationTree, Section};

/// One thing that is not implemented yet.
struct Line {
    /// The object that has the key; `*` is any name.
    owner: &'static str,
    /// The key, or a path, below `owner`.
    key: &'static str,
    /// Whether this use of it should have an effect.
    is_used: fn(&Use<'_>) -> bool,
    /// What happens instead.
    message: &'static str,
}

/// One place where a line's key may stand.
struct Use<'a> {
    owner: Section<'a>,
    value: Section<'a>,
}

const ROUTE: &str = "ReverseProxy:Routes:*";
const CLUSTER: &str = "ReverseProxy:Clusters:*";
const LIMITS: &str = "Kestrel:Limits";

const IGNORED: &str = "this is not implemented yet and has no effect";

/// Everything that is not implemented yet.
#[rustfmt::skip]
const NOT_YET: &[Line] = &[
    // Routes.
    Line { owner: ROUTE, key: "OutputCachePolicy", is_used: there,
        message: "output caching is not implemented yet: responses are not cached" },

    // Clusters.
    Line { owner: CLUSTER, key: "HttpClient:SslProtocols", is_used: lists_old_tls,
        message: "of these only TLS 1.2 and TLS 1.3 are spoken" },
    Line { owner: CLUSTER, key: "HttpRequest:VersionPolicy", is_used: needs_http_3,
        message: "HTTP/3 to destinations is not implemented yet: requests to these fail" },

    // The application around the proxy.
    Line { owner: LIMITS, key: "Http3", is_used: there, message: IGNORED },
];

/// Warns of every use of what is not implemented yet. `proxy` is the section that stands for
/// `ReverseProxy`.
pub(crate) fn warn(tree: &ConfigurationTree, proxy: &str, diagnostics: &mut Diagnostics) {
    for line in NOT_YET {
        let owner = line.owner.replacen(PROXY_SECTION, proxy, 1);
        for owner in matching(tree.section(""), &owner) {
            let value = owner.section(line.key);
            let at = Use { owner, value };
            if (line.is_used)(&at) {
                note(
                    diagnostics,
                    Severity::Warning,
                    &at.value,
                    line.message,
                    None,
                );
            }
        }
    }
}

/// All sections whose path is like `pattern`.
fn matching<'a>(root: Section<'a>, pattern: &str) -> Vec<Section<'a>> {
    let mut sections = vec![root];
    for name in pattern.split(':').filter(|name| !name.is_empty()) {
        sections = match name {
            "*" => sections
                .iter()
                .flat_map(Section::children)
                .map(|(_, section)| section)
                .collect(),
            name => sections
                .iter()
                .map(|section| section.section(name))
                .collect(),
        };
    }
    sections
}

fn there(at: &Use<'_>) -> bool {
    at.value.has_children() || at.value.value().is_some_and(|text| !text.is_empty())
}

/// An array that names what rustls does not speak; a single value has no effect in YARP either.
fn lists_old_tls(at: &Use<'_>) -> bool {
    let spoken = ["Tls12", "Tls13", "None"];
    let mut named = at.value.children().filter_map(|(_, item)| item.value());
    named.any(|name| !spoken.iter().any(|spoken| same(spoken, name)))
}

fn says(at: &Use<'_>, words: &[&str]) -> bool {
    at.value
        .value()
        .is_some_and(|value| words.iter().any(|word| same(word, value)))
}

/// Any other policy is content with less (reference B9).
fn needs_http_3(at: &Use<'_>) -> bool {
    let policies = ["RequestVersionOrHigher", "RequestVersionExact", "1", "2"];
    let version = at.owner.section("HttpRequest:Version").value();
    let version = version.map(leaf::http_version);
    says(at, &policies) && version == Some(Ok(HttpVersion::Http3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", text).unwrap();
        let mut diagnostics = Diagnostics::default();
        warn(&tree, PROXY_SECTION, &mut diagnostics);
        assert!(!diagnostics.has_errors());
        diagnostics
            .warnings()
            .map(|warning| warning.path.clone())
            .collect()
    }

    /// The paths below a route, a cluster or the root that are warned of.
    fn below(owner: &str, json: &str) -> Vec<String> {
        let text = match owner {
            "" => json.to_owned(),
            owner => {
                let (open, close) = ("{ \"", "\": ");
                let names: Vec<_> = owner.split(':').collect();
                let opened: String = names
                    .iter()
                    .map(|name| format!("{open}{name}{close}"))
                    .collect();
                format!("{opened}{json}{}", "}".repeat(names.len()))
            }
        };
        warnings(&text)
    }

    const ROUTE: &str = "ReverseProxy:Routes:r";
    const CLUSTER: &str = "ReverseProxy:Clusters:c";

    #[test]
    fn every_use_with_an_effect_is_warned_of_at_its_path() {
        for (owner, json, key) in [
            (
                ROUTE,
                r#"{ "OutputCachePolicy": "a" }"#,
                "OutputCachePolicy",
            ),
            (
                CLUSTER,
                r#"{ "HttpClient": { "SslProtocols": [ "tls13", "Tls11" ] } }"#,
                "HttpClient:SslProtocols",
            ),
            (
                CLUSTER,
                r#"{ "HttpRequest": { "Version": "3", "VersionPolicy": "1" } }"#,
                "HttpRequest:VersionPolicy",
            ),
        ] {
            let path = if owner.is_empty() {
                key.to_owned()
            } else {
                format!("{owner}:{key}")
            };
            assert_eq!(below(owner, json), [path], "{json}");
        }
    }

    #[test]
    fn what_would_change_nothing_is_not_warned_of() {
        for (owner, json) in [
            (
                ROUTE,
                r#"{ "Transforms": [], "Timeout": null, "CorsPolicy": "Default", "AuthorizationPolicy": "anonymous" }"#,
            ),
            (
                ROUTE,
                r#"{ "RateLimiterPolicy": "Disable", "TimeoutPolicy": "Disable" }"#,
            ),
            (
                CLUSTER,
                r#"{ "SessionAffinity": { "Enabled": false }, "HealthCheck": { "Active": {}, "Passive": null } }"#,
            ),
            (
                CLUSTER,
                r#"{ "HttpClient": { "DangerousAcceptAnyServerCertificate": true, "SslProtocols": [ "Tls12", "TLS13" ] } }"#,
            ),
            (
                CLUSTER,
                r#"{ "HttpClient": { "EnableMultipleHttp2Connections": false, "MaxConnectionsPerServer": 8, "WebProxy": { "BypassOnLocal": true } } }"#,
            ),
            (CLUSTER, r#"{ "HttpRequest": { "Version": "2" } }"#),
            (
                CLUSTER,
                r#"{ "HttpRequest": { "Version": "3", "VersionPolicy": "requestVersionOrLower" } }"#,
            ),
            (
                CLUSTER,
                r#"{ "HttpRequest": { "Version": "2", "VersionPolicy": "RequestVersionExact" } }"#,
            ),
            (
                CLUSTER,
                r#"{ "Destinations": { "d": { "Address": "http://d/" } } }"#,
            ),
            (
                "",
                r#"{ "StaticFiles": { "Enabled": true }, "NavigationFallback": {}, "Kestrel": { "Limits": {} } }"#,
            ),
        ] {
            assert_eq!(below(owner, json), Vec::<String>::new(), "{json}");
        }
    }
}
