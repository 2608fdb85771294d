//! What YARP and ASP.NET do and this program does not yet: each use with an effect is a warning.
//!
//! Whoever implements one deletes its line from [`NOT_YET`].
//!
//! Some settings ask for what happens anyway and have no line: the policies `Anonymous` (no
//! authorization), `Default` and `Disable` of rate limiters and `Disable` of timeouts, of which no
//! others can exist (reference 11). Unknown policies are errors.

use crate::diagnostics::{Diagnostics, Severity};
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
const ENDPOINT: &str = "Kestrel:Endpoints:*";

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
    Line { owner: CLUSTER, key: "HttpClient:MaxConnectionsPerServer", is_used: there, message: IGNORED },
    Line { owner: CLUSTER, key: "HttpClient:EnableMultipleHttp2Connections", is_used: off, message: IGNORED },
    Line { owner: CLUSTER, key: "HttpClient:RequestHeaderEncoding", is_used: there, message: IGNORED },
    Line { owner: CLUSTER, key: "HttpClient:ResponseHeaderEncoding", is_used: there, message: IGNORED },
    Line { owner: CLUSTER, key: "HttpClient:WebProxy:Address", is_used: there, message: IGNORED },
    Line { owner: CLUSTER, key: "HttpRequest:Version", is_used: is_http_1_0,
        message: "HTTP/1.0 to destinations is not implemented yet: HTTP/1.1 is used" },
    Line { owner: CLUSTER, key: "HttpRequest:VersionPolicy", is_used: needs_http_3,
        message: "HTTP/3 to destinations is not implemented yet: requests to these fail" },

    // The application around the proxy.
    Line { owner: "StaticFiles", key: "Enabled", is_used: on, message: IGNORED },
    Line { owner: "", key: "NavigationFallback", is_used: there, message: IGNORED },
    Line { owner: ENDPOINT, key: "Protocols", is_used: is_http_2,
        message: "HTTP/2 from clients is not implemented yet: connections to this endpoint are closed" },
    Line { owner: LIMITS, key: "MaxRequestBufferSize", is_used: there, message: IGNORED },
    Line { owner: LIMITS, key: "MaxResponseBufferSize", is_used: there, message: IGNORED },
    Line { owner: LIMITS, key: "MinRequestBodyDataRate", is_used: there, message: IGNORED },
    Line { owner: LIMITS, key: "MinResponseDataRate", is_used: there, message: IGNORED },
    Line { owner: LIMITS, key: "MaxConcurrentConnections", is_used: there, message: IGNORED },
    Line { owner: LIMITS, key: "MaxConcurrentUpgradedConnections", is_used: there, message: IGNORED },
    Line { owner: LIMITS, key: "Http2", is_used: there, message: IGNORED },
    Line { owner: LIMITS, key: "Http3", is_used: there, message: IGNORED },
];

/// Warns of every use of what is not implemented yet.
pub(crate) fn warn(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) {
    transforms_of_delegated(tree, diagnostics);
    for line in NOT_YET {
        for owner in matching(tree.section(""), line.owner) {
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

/// Warns of response transforms on routes to request queues.
fn transforms_of_delegated(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) {
    for route in matching(tree.section(""), ROUTE) {
        let transforms = route.section("Transforms");
        let mut items = transforms.children();
        let changes_responses = items.any(|(_, item)| {
            let mut keys = item.children();
            keys.any(|(key, _)| key.get(..8).is_some_and(|start| same(start, "Response")))
        });
        // Most routes have none, and there may be thousands.
        if !changes_responses {
            continue;
        }
        let Some(cluster) = route.section("ClusterId").value() else {
            continue;
        };
        let clusters = tree.section("ReverseProxy:Clusters");
        let destinations = clusters.child(cluster).section("Destinations");
        let delegates = destinations.children().any(|(_, destination)| {
            let queue = destination.section("Metadata:HttpSysDelegationQueue");
            queue.value().is_some_and(|queue| !queue.is_empty())
        });
        if delegates {
            let message = "responses to delegated requests are not transformed yet: response \
                           and trailer transforms apply where a request is forwarded or relayed";
            note(diagnostics, Severity::Warning, &transforms, message, None);
        }
    }
}

/// The keys of an object that are not implemented yet.
pub(crate) fn keys_of(owner: &str) -> impl Iterator<Item = &'static str> {
    let lines = NOT_YET.iter().filter(move |line| line.owner == owner);
    lines.map(|line| line.key)
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

fn on(at: &Use<'_>) -> bool {
    at.value.value().map(leaf::boolean) == Some(Ok(true))
}

fn off(at: &Use<'_>) -> bool {
    at.value.value().map(leaf::boolean) == Some(Ok(false))
}

fn says(at: &Use<'_>, words: &[&str]) -> bool {
    at.value
        .value()
        .is_some_and(|value| words.iter().any(|word| same(word, value)))
}

/// Any other policy is content with less (reference part B, section 9).
fn needs_http_3(at: &Use<'_>) -> bool {
    let policies = ["RequestVersionOrHigher", "RequestVersionExact", "1", "2"];
    let version = at.owner.section("HttpRequest:Version").value();
    let version = version.map(leaf::http_version);
    says(at, &policies) && version == Some(Ok(HttpVersion::Http3))
}

fn is_http_2(at: &Use<'_>) -> bool {
    says(at, &["Http2"])
}

fn is_http_1_0(at: &Use<'_>) -> bool {
    at.value.value().map(leaf::http_version) == Some(Ok(HttpVersion::Http10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", text).unwrap();
        let mut diagnostics = Diagnostics::default();
        warn(&tree, &mut diagnostics);
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
                r#"{ "HttpClient": { "MaxConnectionsPerServer": 8 } }"#,
                "HttpClient:MaxConnectionsPerServer",
            ),
            (
                CLUSTER,
                r#"{ "HttpClient": { "EnableMultipleHttp2Connections": false } }"#,
                "HttpClient:EnableMultipleHttp2Connections",
            ),
            (
                CLUSTER,
                r#"{ "HttpClient": { "RequestHeaderEncoding": "utf-8" } }"#,
                "HttpClient:RequestHeaderEncoding",
            ),
            (
                CLUSTER,
                r#"{ "HttpClient": { "ResponseHeaderEncoding": "utf-8" } }"#,
                "HttpClient:ResponseHeaderEncoding",
            ),
            (
                CLUSTER,
                r#"{ "HttpClient": { "WebProxy": { "Address": "http://p" } } }"#,
                "HttpClient:WebProxy:Address",
            ),
            (
                CLUSTER,
                r#"{ "HttpRequest": { "Version": "1.0" } }"#,
                "HttpRequest:Version",
            ),
            (
                CLUSTER,
                r#"{ "HttpRequest": { "Version": "3", "VersionPolicy": "1" } }"#,
                "HttpRequest:VersionPolicy",
            ),
            (
                "",
                r#"{ "Kestrel": { "Endpoints": { "a": { "Protocols": "http2" } } } }"#,
                "Kestrel:Endpoints:a:Protocols",
            ),
            (
                "",
                r#"{ "StaticFiles": { "Enabled": true } }"#,
                "StaticFiles:Enabled",
            ),
            (
                "",
                r#"{ "NavigationFallback": { "Path": "/index.html" } }"#,
                "NavigationFallback",
            ),
            (
                "",
                r#"{ "Kestrel": { "Limits": { "Http2": { "MaxStreamsPerConnection": 1 } } } }"#,
                "Kestrel:Limits:Http2",
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
                r#"{ "HttpClient": { "EnableMultipleHttp2Connections": true, "WebProxy": { "BypassOnLocal": true } } }"#,
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
                r#"{ "StaticFiles": { "Enabled": false }, "NavigationFallback": {}, "Kestrel": { "Limits": {} } }"#,
            ),
        ] {
            assert_eq!(below(owner, json), Vec::<String>::new(), "{json}");
        }
    }
}
