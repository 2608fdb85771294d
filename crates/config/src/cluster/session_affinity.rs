//! `SessionAffinity` of a cluster: reading, and the rules C4 to C8.

use super::policy;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf::{self, Members};
use crate::policy_kind::PolicyKind;
use crate::reader::Reader;
use crate::route_validator::RouteValidator;
use crate::schema::{
    CookieSameSite, CookieSecurePolicy, SessionAffinityConfig, SessionAffinityCookieConfig,
};
use crate::tree::Section;

const SECURE_POLICIES: &Members<CookieSecurePolicy> = &[
    ("SameAsRequest", 0, CookieSecurePolicy::SameAsRequest),
    ("Always", 1, CookieSecurePolicy::Always),
    ("None", 2, CookieSecurePolicy::None),
];

const SAME_SITE: &Members<CookieSameSite> = &[
    ("Unspecified", -1, CookieSameSite::Unspecified),
    ("None", 0, CookieSameSite::None),
    ("Lax", 1, CookieSameSite::Lax),
    ("Strict", 2, CookieSameSite::Strict),
];

/// Reads `SessionAffinity`; nothing in it but `Enabled` counts unless that is true (reference A1.8).
pub(super) fn read(
    section: Section<'_>,
    validator: &dyn RouteValidator,
    diagnostics: &mut Diagnostics,
) -> Option<SessionAffinityConfig> {
    let mut reader = Reader::new(section, &keys::SESSION_AFFINITY, diagnostics);
    let enabled = reader.parsed("Enabled", leaf::boolean).unwrap_or_default();
    if !enabled {
        reader.finish();
        return None;
    }
    let kind = PolicyKind::SessionAffinity;
    let policy = policy::read(&mut reader, "Policy", kind, validator); // C4
    let kind = PolicyKind::AffinityFailure;
    let failure_policy = policy::read(&mut reader, "FailurePolicy", kind, validator); // C5
    let affinity_key_name = reader.text("AffinityKeyName").unwrap_or_default();
    if affinity_key_name.is_empty() {
        let at = reader.section.child("AffinityKeyName");
        let remedy = "set it to the name of the cookie or header".to_owned();
        reader.error(&at, "AffinityKeyName is missing", Some(remedy)); // C6
    } else if !leaf::is_token(&affinity_key_name) {
        // YARP answers every request 502 (reference A6.4).
        let at = reader.section.child("AffinityKeyName");
        let message = format!("{affinity_key_name:?} is no name for a cookie or a header");
        let remedy = "use letters, digits and -._~!#$%&'*+^`|".to_owned();
        reader.error(&at, message, Some(remedy));
    }
    let cookie = reader.child("Cookie");
    let cookie = (!cookie.is_empty()).then(|| read_cookie(cookie, reader.diagnostics));
    reader.finish();
    Some(SessionAffinityConfig {
        policy,
        failure_policy,
        affinity_key_name,
        cookie,
    })
}

fn read_cookie(section: Section<'_>, diagnostics: &mut Diagnostics) -> SessionAffinityCookieConfig {
    let mut reader = Reader::new(section, &keys::AFFINITY_COOKIE, diagnostics);
    let cookie = SessionAffinityCookieConfig {
        path: attribute(&mut reader, "Path"),
        domain: attribute(&mut reader, "Domain"),
        http_only: reader.parsed("HttpOnly", leaf::boolean),
        secure_policy: reader.parsed("SecurePolicy", |text| leaf::member(text, SECURE_POLICIES)),
        same_site: reader.parsed("SameSite", |text| leaf::member(text, SAME_SITE)),
        expiration: reader.positive_time("Expiration", true), // C7
        max_age: reader.positive_time("MaxAge", true),        // C8
        is_essential: reader.parsed("IsEssential", leaf::boolean),
    };
    reader.finish();
    cookie
}

/// The text of a cookie's attribute, which ends at a `;` (RFC 6265 section 4.1.1).
fn attribute(reader: &mut Reader<'_, '_>, key: &'static str) -> Option<String> {
    let text = reader.parsed(key, |text| match text.contains(';') {
        true => Err(format!(
            "{text:?} holds a `;`, at which the attribute would end"
        )),
        false => leaf::field_value(text),
    });
    text.filter(|text| !text.is_empty())
}
