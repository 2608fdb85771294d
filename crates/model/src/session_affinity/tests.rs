use std::sync::Arc;
use std::time::Duration;

use ostler_config::schema::{
    CookieSameSite, CookieSecurePolicy, DestinationConfig, SessionAffinityConfig,
    SessionAffinityCookieConfig,
};

use super::cookie::set_cookie;
use super::*;
use crate::destination::{DestinationModel, DestinationState};
use crate::route::RequestView;

const NOW: UnixSeconds = UnixSeconds(784_111_777);

struct Request {
    fields: Vec<(&'static str, String)>,
    https: bool,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
    }
    fn query(&self) -> Option<&str> {
        None
    }
    fn authority(&self) -> &str {
        "a.com"
    }
    fn is_https(&self) -> bool {
        self.https
    }
    fn for_each_field_value(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (have, value) in &self.fields {
            if have.eq_ignore_ascii_case(name) {
                visit(value.as_bytes());
            }
        }
    }
}

fn request(fields: &[(&'static str, &str)]) -> Request {
    let fields = fields.iter().map(|(name, value)| (*name, (*value).into()));
    Request {
        fields: fields.collect(),
        https: false,
    }
}

fn destinations(ids: &[&str]) -> Vec<Arc<DestinationState>> {
    let state = |id: &&str| {
        let model = DestinationModel::new(DestinationConfig {
            destination_id: (*id).into(),
            ..DestinationConfig::default()
        });
        Arc::new(DestinationState::new(model, Arc::default()))
    };
    ids.iter().map(state).collect()
}

fn config(name: &str) -> SessionAffinityConfig {
    SessionAffinityConfig {
        affinity_key_name: name.into(),
        ..SessionAffinityConfig::default()
    }
}

fn said(affinity: Affinity<'_>) -> String {
    match affinity {
        Affinity::KeyNotSet => "not set".into(),
        Affinity::KeyExtractionFailed => "failed".into(),
        Affinity::DestinationNotFound => "not found".into(),
        Affinity::Found(destination) => destination.id().into(),
    }
}

#[test]
fn hash_cookies_are_found_as_reference_6_3_says() {
    let all = destinations(&["d1", "dest-B"]);
    let config = config("My.Affinity");
    for (lines, expected) in [
        (&[][..], "not set"),
        (&["a=b"], "not set"),
        (&["My.Affinity="], "not set"),
        (&["a=b; my.affinity=53c079ed4c377b0d"], "dest-B"),
        (&["My.Affinity=3ca257a575bfff71, a=b"], "d1"),
        // Decoded; the last of several.
        (&["My.Affinity=%33ca257a575bfff71"], "d1"),
        (&["My.Affinity=x; My.Affinity=3ca257a575bfff71"], "d1"),
        (
            &["My.Affinity=3ca257a575bfff71", "My.Affinity=x"],
            "not found",
        ),
        // Hashes compare exactly, and quotes are part of a value.
        (&["My.Affinity=3CA257A575BFFF71"], "not found"),
        (&["My.Affinity=\"3ca257a575bfff71\""], "not found"),
        (&["My.Affinity=%ff%"], "not found"),
    ] {
        let fields: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        let found = HashedCookie::hash_cookie().find(&request(&fields), &config, &all);
        assert_eq!(said(found), expected, "{lines:?}");
    }
    let arr = "My.Affinity=E1A81620F938713C58BD2D3627E2FD60538B502CCE1E2DF25C6D79F2F7F8EDAF";
    let found = HashedCookie::arr_cookie().find(&request(&[("cookie", arr)]), &config, &all);
    assert_eq!(said(found), "d1");
    // Only what is available is searched.
    let found = HashedCookie::arr_cookie().find(&request(&[("cookie", arr)]), &config, &all[1..]);
    assert_eq!(said(found), "not found");
}

#[test]
fn protected_keys_come_back_as_reference_6_3_says() {
    let all = destinations(&["d1", "D1"]);
    let ring = KeyRing::default();
    let (cookie, header) = (Cookie::new(ring.clone()), CustomHeader::new(ring));
    let config = config("X-Key");
    let nothing = request(&[]);

    let field = cookie.key_field(&nothing, &config, &all[1], NOW).unwrap();
    assert_eq!(field.name, "set-cookie");
    let (pair, attributes) = field.value.split_once("; ").unwrap();
    assert_eq!(attributes, "path=/; httponly");
    // Ids compare exactly.
    let found = cookie.find(&request(&[("cookie", pair)]), &config, &all);
    assert_eq!(said(found), "D1");
    let found = cookie.find(&request(&[("cookie", pair)]), &config, &all[..1]);
    assert_eq!(said(found), "not found");
    for garbage in ["X-Key=abc", "X-Key=!", "X-Key=AQ"] {
        let found = cookie.find(&request(&[("cookie", garbage)]), &config, &all);
        assert_eq!(said(found), "failed");
    }
    assert_eq!(said(cookie.find(&nothing, &config, &all)), "not set");

    let field = header.key_field(&nothing, &config, &all[0], NOW).unwrap();
    assert_eq!(field.name, "X-Key");
    assert!(!field.value.contains(['=', '%']));
    let key = field.value.as_str();
    for (lines, expected) in [
        (&[][..], "not set"),
        (&[""], "not set"),
        (&[key], "d1"),
        (&[key, key], "failed"),
        (&["garbage"], "failed"),
    ] {
        let fields: Vec<_> = lines.iter().map(|line| ("x-key", *line)).collect();
        let found = header.find(&request(&fields), &config, &all);
        assert_eq!(said(found), expected, "{lines:?}");
    }
    // A cookie's key is none for the header.
    let token = pair.split_once('=').unwrap().1;
    let found = header.find(&request(&[("x-key", token)]), &config, &all);
    assert_eq!(said(found), "failed");
}

#[test]
fn cookies_are_written_as_reference_6_4_says() {
    let key = "53c079ed4c377b0d";
    let mut config = config("My.Affinity");
    assert_eq!(
        set_cookie(&config, key, false, NOW),
        "My.Affinity=53c079ed4c377b0d; path=/; httponly"
    );
    config.cookie = Some(SessionAffinityCookieConfig {
        domain: Some("mydomain.my".into()),
        http_only: Some(false),
        max_age: Some(Duration::from_millis(3_600_900)),
        path: Some("/some".into()),
        same_site: Some(CookieSameSite::Lax),
        secure_policy: Some(CookieSecurePolicy::Always),
        ..SessionAffinityCookieConfig::default()
    });
    assert_eq!(
        set_cookie(&config, key, false, NOW),
        "My.Affinity=53c079ed4c377b0d; max-age=3600; domain=mydomain.my; path=/some; secure; samesite=lax"
    );
    config.cookie = Some(SessionAffinityCookieConfig {
        expiration: Some(Duration::from_secs(86_400)),
        secure_policy: Some(CookieSecurePolicy::SameAsRequest),
        same_site: Some(CookieSameSite::None),
        ..SessionAffinityCookieConfig::default()
    });
    assert_eq!(
        set_cookie(&config, "a+/b", false, NOW),
        "My.Affinity=a%2B%2Fb; expires=Mon, 07 Nov 1994 08:49:37 GMT; path=/; samesite=none; httponly"
    );
    assert!(set_cookie(&config, key, true, NOW).contains("; secure; samesite=none"));
}

#[test]
fn failure_policies_go_on_or_not() {
    for failure in [Affinity::KeyExtractionFailed, Affinity::DestinationNotFound] {
        assert!(Redistribute.goes_on(failure));
        assert!(!Return503Error.goes_on(failure));
    }
}
