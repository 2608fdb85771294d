//! Cookies as ASP.NET reads and writes them (reference A6.3 and A6.4).

use std::fmt::Write;

use ostler_config::schema::{CookieSameSite, CookieSecurePolicy, SessionAffinityConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::policy::{KeyField, UnixSeconds};
use crate::route::RequestView;

/// What .NET's `Uri.EscapeDataString` leaves alone (RFC 3986 section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The value of a cookie, decoded: the last of that name, compared without case. Empty is absent.
pub(super) fn cookie(request: &dyn RequestView, name: &str) -> Option<String> {
    let mut found = None;
    request.for_each_field_value("cookie", &mut |line| {
        for pair in line.split(|byte| matches!(byte, b';' | b',')) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let (Some(key), Some(value)) = (halves.next(), halves.next()) else {
                continue;
            };
            if key.trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
                let value = percent_decode(value.trim_ascii()).decode_utf8_lossy();
                found = Some(value.into_owned());
            }
        }
    });
    found.filter(|value| !value.is_empty())
}

/// The field that sets a cookie to a key.
pub(super) fn key_cookie(
    request: &dyn RequestView,
    config: &SessionAffinityConfig,
    key: &str,
    now: UnixSeconds,
) -> KeyField {
    KeyField {
        name: "set-cookie".to_owned(),
        value: set_cookie(config, key, request.is_https(), now),
    }
}

/// A `Set-Cookie` value: attributes in ASP.NET's order, absent ones left out.
pub(super) fn set_cookie(
    config: &SessionAffinityConfig,
    value: &str,
    is_https: bool,
    now: UnixSeconds,
) -> String {
    let cookie = config.cookie.clone().unwrap_or_default();
    let value = utf8_percent_encode(value, ESCAPED);
    let mut out = format!("{}={value}", config.affinity_key_name);
    // Writing to a string cannot fail.
    if let Some(expiration) = cookie.expiration {
        let at = now.0.saturating_add(expiration.as_secs());
        let date = ostler_http1::format_date(at);
        let _ = write!(out, "; expires={}", String::from_utf8_lossy(&date));
    }
    if let Some(age) = cookie.max_age {
        let _ = write!(out, "; max-age={}", age.as_secs());
    }
    if let Some(domain) = &cookie.domain {
        let _ = write!(out, "; domain={domain}");
    }
    let _ = write!(out, "; path={}", cookie.path.as_deref().unwrap_or("/"));
    let is_secure = match cookie.secure_policy.unwrap_or(CookieSecurePolicy::None) {
        CookieSecurePolicy::SameAsRequest => is_https,
        CookieSecurePolicy::Always => true,
        CookieSecurePolicy::None => false,
    };
    if is_secure {
        out.push_str("; secure");
    }
    out.push_str(
        match cookie.same_site.unwrap_or(CookieSameSite::Unspecified) {
            CookieSameSite::Unspecified => "",
            CookieSameSite::None => "; samesite=none",
            CookieSameSite::Lax => "; samesite=lax",
            CookieSameSite::Strict => "; samesite=strict",
        },
    );
    if cookie.http_only.unwrap_or(true) {
        out.push_str("; httponly");
    }
    out
}
