//! `ForwardedHeaders`: whom the front believes what stands in `X-Forwarded-*` of a request, and which of it
//! (ASP.NET's `ForwardedHeadersOptions`).

use super::allowed_hosts::{self, AllowedHosts};
use super::endpoints::TrustedNetworks;
use super::host::is_true;
use crate::diagnostics::{Diagnostics, Severity};
use crate::keys;
use crate::leaf::{self, Members};
use crate::reader::{Reader, note};
use crate::tree::ConfigurationTree;

/// What is believed of what stands before the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedHeadersConfig {
    /// The client's address, and the fields that say it; `None` is not believed. So it is with the others.
    pub client: Option<ForwardedField>,
    /// The host that the client asked for.
    pub host: Option<ForwardedField>,
    /// The scheme that it asked by.
    pub scheme: Option<ForwardedField>,
    /// What was taken from the path's beginning.
    pub prefix: Option<ForwardedField>,
    /// Who is believed.
    pub known: TrustedNetworks,
    /// How many entries of a field are believed, from the last one on; `None` is any number.
    pub limit: Option<usize>,
    /// The hosts that may be said.
    pub allowed_hosts: AllowedHosts,
    /// Whether all fields must have equally many entries.
    pub requires_symmetry: bool,
}

/// A field that says something, and the one that keeps what held before; names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedField {
    /// The field that is read.
    pub name: String,
    /// The one that is written, of what was there before.
    pub original: Option<String>,
}

const ENABLED: &str = "FORWARDEDHEADERS_ENABLED";

const FOR: i32 = 1;
const HOST: i32 = 2;
const PROTO: i32 = 4;
const PREFIX: i32 = 8;

#[rustfmt::skip]
const FIELDS: &Members<()> = &[
    ("None", 0, ()), ("XForwardedFor", FOR, ()), ("XForwardedHost", HOST, ()),
    ("XForwardedProto", PROTO, ()), ("XForwardedPrefix", PREFIX, ()),
    ("All", FOR | HOST | PROTO | PREFIX, ()),
];

/// Reads the section, and the variable that stands for two of its keys. `None` where nothing is believed.
pub(super) fn read(
    tree: &ConfigurationTree,
    diagnostics: &mut Diagnostics,
) -> Option<ForwardedHeadersConfig> {
    let enabled = tree.section(ENABLED);
    let is_enabled = enabled.value().is_some_and(is_true);
    let section = tree.section("ForwardedHeaders");
    let is_there = section.has_children();
    let mut reader = Reader::new(section, &keys::FORWARDED_HEADERS, diagnostics);
    let fields = reader.parsed("ForwardedHeaders", |text| leaf::flags(text, FIELDS));
    let says_which = fields.is_some();
    let fields = fields.unwrap_or(if is_enabled { FOR | PROTO } else { 0 });
    let known = known(&mut reader, is_enabled);
    let limit = reader.parsed("ForwardLimit", |text| match leaf::int32(text)? {
        limit @ 1.. => Ok(limit.unsigned_abs() as usize),
        _ => Err(format!("{text:?} is not positive")),
    });
    let is_unlimited = reader.section.child("ForwardLimit").is_null();
    let hosts = reader.list("AllowedHosts");
    let (places, hosts): (Vec<_>, Vec<_>) = hosts.into_iter().unzip();
    let at = places.first().unwrap_or(&reader.section).clone();
    let allowed_hosts = allowed_hosts::of_list(&hosts.join(";"), &at, reader.diagnostics);
    let requires_symmetry = reader.parsed("RequireHeaderSymmetry", leaf::boolean);
    let client = field(
        &mut reader,
        "ForwardedForHeaderName",
        "OriginalForHeaderName",
    );
    let host = field(
        &mut reader,
        "ForwardedHostHeaderName",
        "OriginalHostHeaderName",
    );
    let scheme = field(
        &mut reader,
        "ForwardedProtoHeaderName",
        "OriginalProtoHeaderName",
    );
    let prefix = ForwardedField {
        name: name(&mut reader, "ForwardedPrefixHeaderName"),
        original: None,
    };
    if is_there && fields == 0 && !says_which {
        let at = reader.section.child("ForwardedHeaders");
        let message = "nothing is said here, so no field of a request is believed";
        let remedy = "say which, as \"XForwardedFor, XForwardedProto\"";
        reader.warn(&at, message, Some(remedy.to_owned()));
    }
    reader.finish();
    if is_enabled && known == TrustedNetworks::everybody() {
        let message = "whoever connects is believed what it says of X-Forwarded-For and X-Forwarded-Proto, as \
                       in ASP.NET";
        let remedy = "say who is to be believed in ForwardedHeaders:KnownProxies or KnownNetworks";
        note(
            diagnostics,
            Severity::Warning,
            &enabled,
            message,
            Some(remedy.to_owned()),
        );
    }
    let believed = |flag: i32, field: ForwardedField| (fields & flag != 0).then_some(field);
    let config = ForwardedHeadersConfig {
        client: believed(FOR, client),
        host: believed(HOST, host),
        scheme: believed(PROTO, scheme),
        prefix: believed(PREFIX, prefix),
        known,
        limit: if is_unlimited {
            None
        } else {
            Some(limit.unwrap_or(1))
        },
        allowed_hosts,
        requires_symmetry: requires_symmetry.unwrap_or_default(),
    };
    (fields & (FOR | HOST | PROTO | PREFIX) != 0).then_some(config)
}

/// Who is believed. Each list that is written takes the place of its own default.
fn known(reader: &mut Reader<'_, '_>, is_enabled: bool) -> TrustedNetworks {
    let proxies = reader.list("KnownProxies");
    let mut networks = reader.list("KnownIPNetworks");
    networks.extend(reader.list("KnownNetworks"));
    if is_enabled && proxies.is_empty() && networks.is_empty() {
        return TrustedNetworks::everybody();
    }
    let mut known = TrustedNetworks::default();
    let mut default = |texts: &[&str]| {
        for text in texts {
            // They are networks.
            let _ = known.add(text);
        }
    };
    if proxies.is_empty() && !is_enabled {
        default(&["::1"]);
    }
    if networks.is_empty() && !is_enabled {
        default(&["127.0.0.0/8", "unix"]);
    }
    for (at, text) in proxies.iter().chain(&networks) {
        if let Err(message) = known.add(text.trim()) {
            reader.error(at, message, Some("correct it, or remove it".to_owned()));
        }
    }
    known
}

fn field(reader: &mut Reader<'_, '_>, key: &'static str, original: &'static str) -> ForwardedField {
    ForwardedField {
        name: name(reader, key),
        original: Some(name(reader, original)),
    }
}

/// A field's name, in lower case.
fn name(reader: &mut Reader<'_, '_>, key: &'static str) -> String {
    let named = reader.parsed(key, |text| match leaf::is_token(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("{text:?} is no name of a field")),
    });
    let default = keys::FORWARDED_HEADERS
        .key(key)
        .map_or("", |key| key.default);
    named.unwrap_or_else(|| default.trim_matches('"').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(
        json: &str,
        variables: &[(&str, &str)],
    ) -> (Option<ForwardedHeadersConfig>, Vec<String>) {
        let variables = variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut tree = ConfigurationTree::new();
        tree.add_host_environment(&variables);
        tree.add_json("a.json", json).unwrap();
        let mut diagnostics = Diagnostics::default();
        let config = read(&tree, &mut diagnostics);
        let said = diagnostics.errors().chain(diagnostics.warnings());
        (config, said.map(ToString::to_string).collect())
    }

    #[test]
    fn nobody_is_believed_anything_by_default() {
        assert_eq!(config("{}", &[]), (None, Vec::new()));
        let (none, said) = config(r#"{ "ForwardedHeaders": { "ForwardLimit": 2 } }"#, &[]);
        assert!(none.is_none());
        assert!(
            said[0].contains("XForwardedFor, XForwardedProto"),
            "{said:?}"
        );
        let (none, said) = config(
            r#"{ "ForwardedHeaders": { "ForwardedHeaders": "None" } }"#,
            &[],
        );
        assert_eq!((none, said), (None, Vec::new()));
    }

    #[test]
    fn each_list_takes_the_place_of_its_own_default() {
        let peer = |text: &str| text.parse().ok();
        for (lists, believed, not) in [
            ("", "127.9.9.9 ::1 unix", "10.0.0.1"),
            (
                r#""KnownProxies": ["10.0.0.1"],"#,
                "10.0.0.1 127.0.0.1 unix",
                "10.0.0.2 ::1",
            ),
            (
                r#""KnownNetworks": ["10.0.0.0/8"],"#,
                "10.9.9.9 ::ffff:10.0.0.1 ::1",
                "127.0.0.1 unix",
            ),
            (
                r#""KnownIPNetworks": ["fd00::/8"], "KnownProxies": ["unix"],"#,
                "fd00::1 unix",
                "::1 127.0.0.1",
            ),
        ] {
            let json =
                format!(r#"{{ "ForwardedHeaders": {{ {lists} "ForwardedHeaders": "All" }} }}"#);
            let (found, said) = config(&json, &[]);
            assert!(said.is_empty(), "{said:?}");
            let known = found.unwrap().known;
            for text in believed.split(' ') {
                assert!(known.contain(peer(text)), "{lists}: {text}");
            }
            for text in not.split(' ') {
                assert!(!known.contain(peer(text)), "{lists}: {text}");
            }
        }
    }

    #[test]
    fn the_variable_believes_everybody_unless_somebody_is_named() {
        for name in [
            "ASPNETCORE_FORWARDEDHEADERS_ENABLED",
            "DOTNET_ForwardedHeaders_Enabled",
        ] {
            let (found, said) = config("{}", &[(name, "true")]);
            let found = found.unwrap();
            assert!(found.client.is_some() && found.scheme.is_some() && found.host.is_none());
            assert_eq!(found.limit, Some(1));
            assert!(found.known.contain("203.0.113.7".parse().ok()));
            assert!(
                said[0].contains(name) && said[0].contains("KnownProxies"),
                "{said:?}"
            );
        }
        let named = r#"{ "ForwardedHeaders": { "KnownProxies": ["10.0.0.1"] } }"#;
        let (found, said) = config(named, &[("ASPNETCORE_FORWARDEDHEADERS_ENABLED", "true")]);
        let known = found.unwrap().known;
        assert!(said.is_empty(), "{said:?}");
        assert!(known.contain("10.0.0.1".parse().ok()));
        assert!(!known.contain("127.0.0.1".parse().ok()));
    }

    #[test]
    fn mistakes_are_named() {
        for (json, words) in [
            (r#""ForwardedHeaders": "X-Forwarded-For""#, "XForwardedFor"),
            (r#""ForwardLimit": 0"#, "not positive"),
            (r#""KnownProxies": ["lb.example"]"#, "10.0.0.0/8"),
            (r#""ForwardedForHeaderName": "a b""#, "no name of a field"),
            (r#""AllowedHosts": ["a.example", "b:1"]"#, "has a port"),
        ] {
            let (_, said) = config(&format!(r#"{{ "ForwardedHeaders": {{ {json} }} }}"#), &[]);
            assert!(
                said.iter().any(|said| said.contains(words)),
                "{json}: {said:?}"
            );
        }
        let json = r#"{ "ForwardedHeaders": { "ForwardedHeaders": 5, "ForwardLimit": null } }"#;
        let (found, said) = config(json, &[]);
        let found = found.unwrap();
        assert_eq!((found.limit, said), (None, Vec::new()));
        assert_eq!(
            found.client.unwrap().original.as_deref(),
            Some("x-original-for")
        );
    }
}
