//! `HealthCheck` of a cluster: reading, and the rules C9 to C11.

use crate::diagnostics::Diagnostics;
use crate::leaf;
use crate::reader::Reader;
use crate::schema::{ActiveHealthCheckConfig, HealthCheckConfig, PassiveHealthCheckConfig};
use crate::tree::Section;

const AVAILABLE_DESTINATIONS_POLICIES: [&str; 2] = ["HealthyOrPanic", "HealthyAndUnknown"];
const ACTIVE_POLICIES: [&str; 1] = ["ConsecutiveFailures"];
const PASSIVE_POLICIES: [&str; 1] = ["TransportFailureRate"];

/// Reads `HealthCheck`. What is not enabled must still be well formed, but may say anything.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> HealthCheckConfig {
    let mut reader = Reader::new(section, diagnostics);
    let active = reader.child("Active");
    let passive = reader.child("Passive");
    let config = HealthCheckConfig {
        available_destinations_policy: reader.name(
            "AvailableDestinationsPolicy",
            "available destinations policy",
            &AVAILABLE_DESTINATIONS_POLICIES,
        ), // C9
        active: read_active(active, reader.diagnostics),
        passive: read_passive(passive, reader.diagnostics),
    };
    reader.finish();
    config
}

fn read_active(section: Section<'_>, diagnostics: &mut Diagnostics) -> ActiveHealthCheckConfig {
    let mut reader = Reader::new(section, diagnostics);
    let enabled = reader.parsed("Enabled", leaf::boolean).unwrap_or_default();
    let config = ActiveHealthCheckConfig {
        enabled,
        interval: reader.positive_time("Interval", enabled), // C10
        timeout: reader.positive_time("Timeout", enabled),   // C10
        policy: policy(
            &mut reader,
            enabled,
            "active health check policy",
            &ACTIVE_POLICIES,
        ), // C10
        path: reader.text("Path"),
        query: reader.text("Query"),
    };
    reader.finish();
    config
}

fn read_passive(section: Section<'_>, diagnostics: &mut Diagnostics) -> PassiveHealthCheckConfig {
    let mut reader = Reader::new(section, diagnostics);
    let enabled = reader.parsed("Enabled", leaf::boolean).unwrap_or_default();
    let config = PassiveHealthCheckConfig {
        enabled,
        policy: policy(
            &mut reader,
            enabled,
            "passive health check policy",
            &PASSIVE_POLICIES,
        ), // C11
        reactivation_period: reader.positive_time("ReactivationPeriod", enabled), // C11
    };
    reader.finish();
    config
}

fn policy(
    reader: &mut Reader<'_, '_>,
    enabled: bool,
    what: &str,
    known: &[&str],
) -> Option<String> {
    match enabled {
        true => reader.name("Policy", what, known),
        false => reader.text("Policy"),
    }
}
