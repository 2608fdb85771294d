//! `Cors`: reading and validating. In ASP.NET this is code (`AddCors`); the keys are named after the
//! properties of its `CorsPolicy`.

use super::reserved_names;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, TimeSpan};
use crate::reader::Reader;
use crate::schema::{CorsConfig, CorsPolicyConfig};
use crate::tree::{ConfigurationTree, Section};

/// Reads `Cors`.
pub(super) fn read(tree: &ConfigurationTree, diagnostics: &mut Diagnostics) -> CorsConfig {
    let mut reader = Reader::new(tree.section("Cors"), &keys::CORS, diagnostics);
    let default = reader.child("DefaultPolicy");
    let default_policy = (!default.is_empty()).then(|| policy(default, reader.diagnostics));
    let mut policies = Vec::new();
    for (name, section) in reader.entries("Policies") {
        reserved_names::check(&mut reader, &section, name, &["Default", "Disable"]); // R22
        policies.push((name.to_owned(), policy(section, reader.diagnostics)));
    }
    reader.finish();
    CorsConfig {
        default_policy,
        policies,
    }
}

fn policy(section: Section<'_>, diagnostics: &mut Diagnostics) -> CorsPolicyConfig {
    let mut reader = Reader::new(section, &keys::CORS_POLICY, diagnostics);
    let origins = list(&mut reader, "Origins", origin);
    let policy = CorsPolicyConfig {
        methods: list(&mut reader, "Methods", token),
        headers: list(&mut reader, "Headers", token),
        exposed_headers: list(&mut reader, "ExposedHeaders", token),
        supports_credentials: reader
            .parsed("SupportsCredentials", leaf::boolean)
            .unwrap_or_default(),
        preflight_max_age: reader.parsed("PreflightMaxAge", |text| {
            let span = TimeSpan::parse(text)?.duration();
            span.ok_or_else(|| format!("{text:?} is negative"))
        }),
        origins,
    };
    let at = reader.section.clone();
    if policy.origins.is_empty() {
        let remedy = "list them in Origins, or write [ \"*\" ]".to_owned();
        let message = "the policy allows no origin";
        reader.warn(&at.child("Origins"), message, Some(remedy));
    }
    if policy.supports_credentials && policy.origins == ["*"] {
        // ASP.NET's `CorsService` throws, since browsers refuse it (Fetch, section 3.3.5).
        let message = "credentials cannot be allowed to any origin";
        let remedy = "list the origins, or do without SupportsCredentials".to_owned();
        reader.error(&at.child("SupportsCredentials"), message, Some(remedy));
    }
    reader.finish();
    policy
}

/// A list of `*` alone, or of entries that `check` has nothing against.
fn list(
    reader: &mut Reader<'_, '_>,
    key: &'static str,
    check: fn(&str) -> Result<String, String>,
) -> Vec<String> {
    let items = reader.list(key);
    let alone = items.len() == 1;
    let mut list = Vec::with_capacity(items.len());
    for (at, text) in items {
        match text.as_str() {
            "*" if alone => list.push(text),
            "*" => {
                // ASP.NET takes it for any only where nothing stands beside it.
                let message = "\"*\" is any only where it stands alone";
                reader.error(&at, message, Some("remove it, or the others".to_owned()));
            }
            text => match check(text) {
                Ok(text) => list.push(text),
                Err(message) => reader.error(&at, message, None),
            },
        }
    }
    list
}

/// An origin as browsers send it (RFC 6454 section 6.2), or `null`; ASP.NET's `WithOrigins` makes
/// scheme and host lower case and leaves a default port out.
fn origin(text: &str) -> Result<String, String> {
    if text == "null" {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let wrong = |why: &str| Err(format!("{text:?} is no origin: {why}"));
    let Some((scheme, authority)) = lower.split_once("://") else {
        return wrong("write it as https://example.com");
    };
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return wrong("it begins with no scheme");
    }
    if authority.contains(['/', '?', '#']) {
        return wrong("nothing follows the host and port, not even a `/`");
    }
    let host = authority.strip_prefix("*.").unwrap_or(authority);
    if host.contains('*') {
        return wrong("`*` can only stand for subdomains, as in https://*.example.com");
    }
    let is_visible = host.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || host.starts_with(':') || host.contains('@') || !is_visible {
        return wrong("after :// comes a host, in ASCII");
    }
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    Ok(format!("{scheme}://{authority}"))
}

fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// A method or the name of a field (RFC 9110 section 5.6.2).
fn token(text: &str) -> Result<String, String> {
    match leaf::is_token(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is neither a method nor a field's name")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read_json(json: &str) -> (CorsConfig, Vec<String>) {
        let mut tree = ConfigurationTree::new();
        tree.add_json("a.json", &format!(r#"{{ "Cors": {json} }}"#))
            .unwrap();
        let mut diagnostics = Diagnostics::default();
        let config = read(&tree, &mut diagnostics);
        let said = diagnostics.errors().chain(diagnostics.warnings());
        (config, said.map(ToString::to_string).collect())
    }

    #[test]
    fn everything_is_read() {
        let (config, said) = read_json(
            r#"{ "defaultpolicy": { "Origins": [ "*" ] }, "Policies": { "p": {
                "Origins": [ "HTTPS://Example.com:443", "http://*.example.com:8080", "null" ],
                "Methods": [ "GET", "PURGE" ], "Headers": [ "*" ], "ExposedHeaders": [ "X-A" ],
                "SupportsCredentials": true, "PreflightMaxAge": "00:10:00" } } }"#,
        );
        assert_eq!(said, Vec::<String>::new());
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let default = CorsPolicyConfig {
            origins: texts(&["*"]),
            ..Default::default()
        };
        let named = CorsPolicyConfig {
            origins: texts(&["https://example.com", "http://*.example.com:8080", "null"]),
            methods: texts(&["GET", "PURGE"]),
            headers: texts(&["*"]),
            exposed_headers: texts(&["X-A"]),
            supports_credentials: true,
            preflight_max_age: Some(Duration::from_secs(600)),
        };
        assert_eq!(config.default_policy, Some(default));
        assert_eq!(config.policies, [("p".to_owned(), named)]);
        assert_eq!(config.names().collect::<Vec<_>>(), ["p"]);
    }

    #[test]
    fn mistakes_are_told_with_their_path() {
        for (json, wanted) in [
            // R22
            (
                r#"{ "Policies": { "disAble": { "Origins": [ "*" ] } } }"#,
                "error: Cors:Policies:disAble: the name \"disAble\" is reserved",
            ),
            (
                r#"{ "Policies": { "default": { "Origins": [ "*" ] } } }"#,
                "error: Cors:Policies:default: the name \"default\" is reserved",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "*" ], "SupportsCredentials": true } }"#,
                "error: Cors:DefaultPolicy:SupportsCredentials: credentials cannot",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "*", "http://a" ] } }"#,
                "error: Cors:DefaultPolicy:Origins:0: \"*\" is any only",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "https://a.com/" ] } }"#,
                "error: Cors:DefaultPolicy:Origins:0: \"https://a.com/\" is no origin: nothing follows",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "a.com" ] } }"#,
                "error: Cors:DefaultPolicy:Origins:0: \"a.com\" is no origin: write it as",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "https://a.*.com" ] } }"#,
                "error: Cors:DefaultPolicy:Origins:0: \"https://a.*.com\" is no origin: `*` can only",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "*" ], "Methods": [ "GET POST" ] } }"#,
                "error: Cors:DefaultPolicy:Methods:0: \"GET POST\" is neither",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "*" ], "PreflightMaxAge": "-1" } }"#,
                "error: Cors:DefaultPolicy:PreflightMaxAge: \"-1\" is negative",
            ),
            (
                r#"{ "DefaultPolicy": { "Methods": [ "GET" ] } }"#,
                "warning: Cors:DefaultPolicy:Origins: the policy allows no origin",
            ),
            (
                r#"{ "DefaultPolicy": { "Origins": [ "*" ], "Method": [ "GET" ] } }"#,
                "warning: Cors:DefaultPolicy:Method: the key \"Method\" is unknown and has no effect",
            ),
            (
                r#"{ "Policy": {} , "Polices": { "p": 1 } }"#,
                "warning: Cors:Polices: the key \"Polices\" is unknown and has no effect",
            ),
        ] {
            let (_, said) = read_json(json);
            let told = said.iter().any(|line| line.starts_with(wanted));
            assert!(told, "{json}: {said:?}");
        }
    }
}
