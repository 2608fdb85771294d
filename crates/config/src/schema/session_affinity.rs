//! `SessionAffinity` of a cluster as it is written.

use std::time::Duration;

/// `SessionAffinity` of a cluster where it is enabled (reference A1.8).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionAffinityConfig {
    /// How the destination is remembered; absent is `HashCookie`.
    pub policy: Option<String>,
    /// What to do when the remembered destination cannot be used; absent is `Redistribute`.
    pub failure_policy: Option<String>,
    /// Name of the cookie or of the header; never empty in a valid configuration.
    pub affinity_key_name: String,
    /// Attributes of the cookie, for the policies that set one.
    pub cookie: Option<SessionAffinityCookieConfig>,
}

/// `SessionAffinity:Cookie`: attributes of the affinity cookie.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionAffinityCookieConfig {
    /// Path; absent is `/`.
    pub path: Option<String>,
    /// Domain; absent leaves the attribute out.
    pub domain: Option<String>,
    /// Whether scripts cannot read the cookie; absent is true.
    pub http_only: Option<bool>,
    /// When the cookie is `secure`; absent is never.
    pub secure_policy: Option<CookieSecurePolicy>,
    /// `samesite`; absent leaves the attribute out.
    pub same_site: Option<CookieSameSite>,
    /// How long from now `expires` is, always positive; absent leaves the attribute out.
    pub expiration: Option<Duration>,
    /// `max-age`, always positive, sent in whole seconds; absent leaves the attribute out.
    pub max_age: Option<Duration>,
    /// A hint to ASP.NET's consent middleware; it never shows on the wire. Absent is false.
    pub is_essential: Option<bool>,
}

/// `SessionAffinity:Cookie:SecurePolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieSecurePolicy {
    /// `secure` where the client's request came over https.
    SameAsRequest,
    /// `secure` always.
    Always,
    /// `secure` never.
    None,
}

/// `SessionAffinity:Cookie:SameSite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieSameSite {
    /// No `samesite` attribute.
    Unspecified,
    /// `samesite=none`.
    None,
    /// `samesite=lax`.
    Lax,
    /// `samesite=strict`.
    Strict,
}
