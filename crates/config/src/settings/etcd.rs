//! `Ostler:Etcd`: where a configuration stands that many fronts share.

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::reader::Reader;
use crate::tree::Section;

use super::endpoints::Password;

/// Where keys stand if nobody says otherwise.
const DEFAULT_PREFIX: &str = "/ostler/";

/// How to reach etcd, and what to read there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdConfig {
    /// `Endpoints`: URLs of its members; at least one.
    pub endpoints: Vec<String>,
    /// `Prefix`, which ends with `/`.
    pub prefix: String,
    /// `UserName` and `Password`.
    pub user: Option<(String, Password)>,
    /// `Tls:CertificateAuthorities`, a PEM file; absent is whom the system trusts.
    pub certificate_authorities: Option<String>,
    /// `Tls:Certificate` and `Tls:Key`, PEM files.
    pub identity: Option<(String, String)>,
    /// `Snapshot`: the file that keeps what was in force last.
    pub snapshot: Option<String>,
}

/// Reads `Ostler:Etcd`; `None` where it names no endpoint.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<EtcdConfig> {
    let is_there = !section.is_empty();
    let mut reader = Reader::new(section, &keys::ETCD, diagnostics);
    let at = reader.section.clone();
    let mut endpoints = Vec::new();
    let mut is_listed = false;
    for (at, text) in reader.list("Endpoints") {
        is_listed = true;
        let rest = text.split_once("://").map(|(scheme, rest)| {
            let is_known = ["http", "https"].contains(&scheme);
            is_known && !rest.is_empty() && !rest.contains(['/', '?', '#'])
        });
        match rest {
            Some(true) => endpoints.push(text),
            _ => {
                let message = format!("{text:?} is no endpoint of etcd");
                let remedy = "write it as https://host:2379".to_owned();
                reader.error(&at, message, Some(remedy));
            }
        }
    }
    let mut prefix = reader.text("Prefix").unwrap_or(DEFAULT_PREFIX.to_owned());
    if !prefix.ends_with('/') {
        prefix.push('/');
    }
    let user = reader.text("UserName");
    let password = reader.text("Password");
    let user = both(&mut reader, &at, ["UserName", "Password"], user, password);
    let user = user.map(|(name, password)| (name, Password::new(password)));
    let snapshot = reader.text("Snapshot");
    let tls = reader.child("Tls");
    reader.finish();
    let mut reader = Reader::new(tls, &keys::ETCD_TLS, diagnostics);
    let of_tls = reader.section.clone();
    let certificate_authorities = reader.text("CertificateAuthorities");
    let certificate = reader.text("Certificate");
    let key = reader.text("Key");
    let identity = both(
        &mut reader,
        &of_tls,
        ["Certificate", "Key"],
        certificate,
        key,
    );
    reader.finish();
    if endpoints.is_empty() {
        if is_there && !is_listed {
            let mut reader = Reader::new(at.clone(), &keys::ETCD, diagnostics);
            let remedy = "set Endpoints to [ \"https://host:2379\" ]".to_owned();
            reader.error(&at, "no endpoint of etcd is named", Some(remedy));
        }
        return None;
    }
    Some(EtcdConfig {
        endpoints,
        prefix,
        user,
        certificate_authorities,
        identity,
        snapshot,
    })
}

/// Two texts of which neither is any good alone.
fn both(
    reader: &mut Reader<'_, '_>,
    at: &Section<'_>,
    names: [&str; 2],
    first: Option<String>,
    second: Option<String>,
) -> Option<(String, String)> {
    let (there, missing) = match (&first, &second) {
        (Some(_), None) => (names[0], names[1]),
        (None, Some(_)) => (names[1], names[0]),
        _ => return first.zip(second),
    };
    let message = format!("{there} is of no use without {missing}");
    reader.error(
        at,
        message,
        Some(format!("set {missing}, or remove {there}")),
    );
    None
}

#[cfg(test)]
mod tests {
    use crate::{ConfigurationTree, Loaded, load};

    fn loaded(json: &str) -> Loaded {
        let mut tree = ConfigurationTree::new();
        let text = format!(r#"{{ "Ostler": {{ "Etcd": {json} }} }}"#);
        tree.add_json("a.json", &text).unwrap();
        load(&tree)
    }

    #[test]
    fn members_a_prefix_a_user_and_files_are_read() {
        let loaded = loaded(
            r#"{ "Endpoints": [ "https://a:2379", "https://b:2379" ], "Prefix": "/shop", "UserName": "u",
                "Password": "p", "Snapshot": "s.json",
                "Tls": { "CertificateAuthorities": "ca.pem", "Certificate": "c.pem", "Key": "k.pem" } }"#,
        );
        assert!(!loaded.diagnostics.has_errors(), "{:?}", loaded.diagnostics);
        let etcd = loaded.settings.ostler.etcd.unwrap();
        assert_eq!(etcd.endpoints, ["https://a:2379", "https://b:2379"]);
        assert_eq!(etcd.prefix, "/shop/");
        let (name, password) = etcd.user.unwrap();
        assert_eq!((name.as_str(), password.reveal()), ("u", "p"));
        assert_eq!(
            etcd.identity,
            Some(("c.pem".to_owned(), "k.pem".to_owned()))
        );
    }

    #[test]
    fn what_is_of_no_use_is_an_error() {
        for json in [
            r#"{ "Endpoints": [ "a:2379" ] }"#,
            r#"{ "Endpoints": [ "https://a:2379/x" ] }"#,
            r#"{ "Prefix": "/x/" }"#,
            r#"{ "Endpoints": [ "https://a" ], "UserName": "u" }"#,
            r#"{ "Endpoints": [ "https://a" ], "Tls": { "Key": "k.pem" } }"#,
        ] {
            assert!(loaded(json).diagnostics.has_errors(), "{json}");
        }
        assert_eq!(loaded("{}").settings.ostler.etcd, None);
    }
}
