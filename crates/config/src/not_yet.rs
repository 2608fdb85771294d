//! What YARP does and this program does not yet: each effective use is a warning.
//!
//! Whoever implements one deletes its line here.

use crate::diagnostics::{Diagnostics, Severity};
use crate::reader::{Reader, note};
use crate::tree::Section;

/// Keys of a route that have no effect yet.
const ROUTE: [&str; 8] = [
    "AuthorizationPolicy",
    "CorsPolicy",
    "RateLimiterPolicy",
    "OutputCachePolicy",
    "TimeoutPolicy",
    "Timeout",
    "MaxRequestBodySize",
    "Transforms",
];

/// Keys of a cluster's `HttpClient` that have no effect yet.
const HTTP_CLIENT: [&str; 6] = [
    "SslProtocols",
    "DangerousAcceptAnyServerCertificate",
    "MaxConnectionsPerServer",
    "RequestHeaderEncoding",
    "ResponseHeaderEncoding",
    "WebProxy",
];

/// Keys at the top that have no effect yet.
const TOP: [&str; 2] = ["StaticFiles:Enabled", "NavigationFallback:Path"];

pub(crate) fn route(section: &Section<'_>, diagnostics: &mut Diagnostics) {
    for key in ROUTE {
        warn_if_set(&section.child(key), diagnostics);
    }
}

pub(crate) fn cluster(reader: &mut Reader<'_, '_>) {
    let affinity = reader.section.child("SessionAffinity");
    warn_if_enabled(&affinity, reader.diagnostics);
    let health = reader.section.child("HealthCheck");
    warn_if_enabled(&health.child("Active"), reader.diagnostics);
    warn_if_enabled(&health.child("Passive"), reader.diagnostics);
    let client = reader.section.child("HttpClient");
    for key in HTTP_CLIENT {
        warn_if_set(&client.child(key), reader.diagnostics);
    }
    let request = reader.section.child("HttpRequest");
    let policy = request.child("VersionPolicy");
    let exact = policy
        .value()
        .is_some_and(|policy| !policy.eq_ignore_ascii_case("RequestVersionOrLower"));
    // The default policy means HTTP/1.1 over http, whatever the version.
    let version = request.child("Version").value();
    if exact && version.is_none_or(|version| !version.starts_with('1')) {
        no_effect(
            &policy,
            reader.diagnostics,
            "HTTP/2 to destinations is not implemented yet",
        );
    }
}

pub(crate) fn top(root: &crate::tree::ConfigurationTree, diagnostics: &mut Diagnostics) {
    for key in TOP {
        warn_if_set(&root.section(key), diagnostics);
    }
}

pub(crate) fn https(section: &Section<'_>, diagnostics: &mut Diagnostics) {
    no_effect(
        section,
        diagnostics,
        "https destinations are not implemented yet: requests to it are answered 502",
    );
}

fn warn_if_enabled(section: &Section<'_>, diagnostics: &mut Diagnostics) {
    let enabled = section.child("Enabled");
    if enabled
        .value()
        .is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    {
        no_effect(
            &enabled,
            diagnostics,
            "it is not implemented yet and has no effect",
        );
    }
}

fn warn_if_set(section: &Section<'_>, diagnostics: &mut Diagnostics) {
    let off = |text: &str| text.is_empty() || text.eq_ignore_ascii_case("false");
    if !section.is_empty() && !section.value().is_some_and(off) {
        no_effect(
            section,
            diagnostics,
            "it is not implemented yet and has no effect",
        );
    }
}

fn no_effect(section: &Section<'_>, diagnostics: &mut Diagnostics, message: &str) {
    note(
        diagnostics,
        Severity::Warning,
        section,
        message.to_owned(),
        None,
    );
}
