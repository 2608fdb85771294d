//! `HttpsRedirection` and `Hsts`: clients are to ask by https (ASP.NET's `UseHttpsRedirection` and `UseHsts`).

use std::time::Duration;

use super::endpoints::EndpointConfig;
use crate::diagnostics::{Diagnostics, Severity};
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::{Reader, note};
use crate::tree::ConfigurationTree;

/// `HttpsRedirection`: requests that came by http are answered with where to ask instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsRedirectionConfig {
    /// `HttpsPort`.
    pub port: u16,
    /// `RedirectStatusCode`: 301, 302, 307 or 308.
    pub status: u16,
}

/// `Hsts`: browsers are told to ask by https from then on (RFC 6797).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HstsConfig {
    /// `MaxAge`, to whole seconds.
    pub max_age: Duration,
    /// `IncludeSubDomains`.
    pub include_sub_domains: bool,
    /// `Preload`.
    pub preload: bool,
    /// `ExcludedHosts`, without ports.
    pub excluded_hosts: Vec<String>,
}

const PORT: &str = "HTTPS_PORT";
const SECTION: &str = "HttpsRedirection";

/// Reads both. Each is in force where anything stands in its section, unless that says otherwise.
pub(super) fn read(
    tree: &ConfigurationTree,
    endpoints: &[EndpointConfig],
    diagnostics: &mut Diagnostics,
) -> (Option<HttpsRedirectionConfig>, Option<HstsConfig>) {
    let redirection = redirection(tree, endpoints, diagnostics);
    (redirection, hsts(tree, diagnostics))
}

fn redirection(
    tree: &ConfigurationTree,
    endpoints: &[EndpointConfig],
    diagnostics: &mut Diagnostics,
) -> Option<HttpsRedirectionConfig> {
    let section = tree.section(SECTION);
    let is_there = section.has_children();
    let mut reader = Reader::new(section, &keys::HTTPS_REDIRECTION, diagnostics);
    let enabled = reader.parsed("Enabled", leaf::boolean);
    let status = reader.parsed("RedirectStatusCode", |text| match leaf::int32(text)? {
        status @ (301 | 302 | 307 | 308) => Ok(status as u16),
        _ => Err(format!("{text:?} is none of 301, 302, 307 and 308")),
    });
    let written = reader.parsed("HttpsPort", port);
    reader.finish();
    let at = tree.section(PORT);
    let variable = at.value().filter(|text| !text.trim().is_empty());
    let variable = variable.and_then(|text| match port(text) {
        Ok(port) => Some(port),
        Err(message) => {
            let remedy = Some(format!("correct it, or remove {PORT}"));
            note(diagnostics, Severity::Error, &at, message, remedy);
            None
        }
    });
    if !enabled.unwrap_or(is_there) {
        if variable.is_some() && !is_there {
            let message = "requests are not redirected to https, so this has no effect";
            let remedy = "write \"HttpsRedirection\": { \"Enabled\": true }".to_owned();
            note(diagnostics, Severity::Warning, &at, message, Some(remedy));
        }
        return None;
    }
    let port = written.or(variable).or_else(|| only_port(endpoints));
    let Some(port) = port else {
        let message = "nothing says which port requests are to be redirected to";
        let remedy = "set HttpsRedirection:HttpsPort: there is not one https endpoint with a port"
            .to_owned();
        let at = tree.section(SECTION);
        note(
            diagnostics,
            Severity::Error,
            &at.child("HttpsPort"),
            message,
            Some(remedy),
        );
        return None;
    };
    let status = status.unwrap_or(307);
    Some(HttpsRedirectionConfig { port, status })
}

fn port(text: &str) -> Result<u16, String> {
    match text.trim().parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("{text:?} is no port")),
    }
}

/// The port of the https endpoints, where they have the same one.
fn only_port(endpoints: &[EndpointConfig]) -> Option<u16> {
    let mut ports = endpoints
        .iter()
        .filter(|endpoint| endpoint.tls.is_some())
        .map(|endpoint| {
            let authority = endpoint.url.split("://").nth(1)?.split('/').next()?;
            let behind = authority
                .rfind(']')
                .map_or(authority, |end| &authority[end..]);
            match behind.rsplit_once(':') {
                Some((_, port)) => port.parse().ok().filter(|port| *port != 0),
                None => Some(443),
            }
        });
    let first = ports.next()??;
    ports.all(|port| port == Some(first)).then_some(first)
}

fn hsts(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> Option<HstsConfig> {
    /// ASP.NET's: what is tried out there is not to be remembered.
    const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
    const DAYS_30: Duration = Duration::from_secs(30 * 86_400);
    let section = tree.section("Hsts");
    let is_there = section.has_children();
    let mut reader = Reader::new(section, &keys::HSTS, diagnostics);
    let enabled = reader.parsed("Enabled", leaf::boolean);
    let max_age = reader.parsed("MaxAge", |text| {
        let parsed = TimeSpan::parse(text)?;
        match parsed.positive() {
            Some(duration) => Ok(duration),
            None if text.trim() == "0" || text.trim() == "00:00:00" => Ok(Duration::ZERO),
            None => Err(format!("{text:?} is negative")),
        }
    });
    let include_sub_domains = reader.parsed("IncludeSubDomains", leaf::boolean);
    let preload = reader.parsed("Preload", leaf::boolean);
    let excluded = reader.list("ExcludedHosts");
    reader.finish();
    let excluded_hosts = match excluded.is_empty() {
        true => LOCAL.map(str::to_owned).to_vec(),
        false => excluded.into_iter().map(|(_, host)| host).collect(),
    };
    enabled.unwrap_or(is_there).then(|| HstsConfig {
        max_age: max_age.unwrap_or(DAYS_30),
        include_sub_domains: include_sub_domains.unwrap_or_default(),
        preload: preload.unwrap_or_default(),
        excluded_hosts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    fn port_of(json: &str) -> Result<Option<u16>, String> {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", json).unwrap();
        let loaded = load(&tree);
        let errors = loaded.diagnostics.errors();
        let mut errors = errors.filter(|error| error.path.starts_with(SECTION));
        match errors.next() {
            Some(error) => Err(error.to_string()),
            None => Ok(loaded
                .settings
                .ostler
                .https_redirection
                .map(|config| config.port)),
        }
    }

    #[test]
    fn the_port_is_what_is_said_or_that_of_the_https_endpoints() {
        let endpoints = |urls: &str| {
            format!(
                r#"{{ "HttpsRedirection": {{ "Enabled": true }}, "Urls": "{urls}",
                "Kestrel": {{ "Certificates": {{ "Default": {{ "Path": "a.pfx" }} }} }} }}"#
            )
        };
        for (json, port) in [
            (
                r#"{ "HttpsRedirection": { "HttpsPort": 8443 } }"#.to_owned(),
                Some(8443),
            ),
            (
                r#"{ "HttpsRedirection": { "HttpsPort": 8443, "Enabled": false } }"#.to_owned(),
                None,
            ),
            (
                r#"{ "HttpsRedirection": { "Enabled": true }, "HTTPS_PORT": "444" }"#.to_owned(),
                Some(444),
            ),
            (r#"{ "HTTPS_PORT": "444" }"#.to_owned(), None),
            (endpoints("http://*:80;https://*"), Some(443)),
            (
                endpoints("https://[::]:444;https://localhost:444"),
                Some(444),
            ),
        ] {
            assert_eq!(port_of(&json), Ok(port), "{json}");
        }
        for json in [
            endpoints("http://*:80"),
            endpoints("https://*:443;https://*:444"),
            endpoints("https://*:0"),
        ] {
            assert!(port_of(&json).unwrap_err().contains("HttpsPort"), "{json}");
        }
    }
}
