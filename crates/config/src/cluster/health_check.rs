//! `HealthCheck` of a cluster: reading, and the rules C9 to C11.

use super::policy;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::policy_kind::PolicyKind;
use crate::reader::Reader;
use crate::route_validator::RouteValidator;
use crate::schema::{ActiveHealthCheckConfig, HealthCheckConfig, PassiveHealthCheckConfig};
use crate::tree::Section;

/// Reads `HealthCheck`. What is not enabled must still be well formed, but may say anything.
pub(super) fn read(
    section: Section<'_>,
    validator: &dyn RouteValidator,
    diagnostics: &mut Diagnostics,
) -> HealthCheckConfig {
    let mut reader = Reader::new(section, &keys::HEALTH_CHECK, diagnostics);
    let active = reader.child("Active");
    let passive = reader.child("Passive");
    let config = HealthCheckConfig {
        available_destinations_policy: policy::read(
            &mut reader,
            "AvailableDestinationsPolicy",
            PolicyKind::AvailableDestinations,
            validator,
        ), // C9
        active: read_active(active, validator, reader.diagnostics),
        passive: read_passive(passive, validator, reader.diagnostics),
    };
    reader.finish();
    config
}

fn read_active(
    section: Section<'_>,
    validator: &dyn RouteValidator,
    diagnostics: &mut Diagnostics,
) -> ActiveHealthCheckConfig {
    let mut reader = Reader::new(section, &keys::ACTIVE_HEALTH_CHECK, diagnostics);
    let enabled = reader.parsed("Enabled", leaf::boolean).unwrap_or_default();
    let config = ActiveHealthCheckConfig {
        enabled,
        interval: reader.positive_time("Interval", enabled), // C10
        timeout: reader.positive_time("Timeout", enabled),   // C10
        policy: policy(
            &mut reader,
            enabled,
            PolicyKind::ActiveHealthCheck,
            validator,
        ), // C10
        path: reader.text("Path"),
        query: reader.text("Query"),
    };
    reader.finish();
    config
}

fn read_passive(
    section: Section<'_>,
    validator: &dyn RouteValidator,
    diagnostics: &mut Diagnostics,
) -> PassiveHealthCheckConfig {
    let mut reader = Reader::new(section, &keys::PASSIVE_HEALTH_CHECK, diagnostics);
    let enabled = reader.parsed("Enabled", leaf::boolean).unwrap_or_default();
    let config = PassiveHealthCheckConfig {
        enabled,
        policy: policy(
            &mut reader,
            enabled,
            PolicyKind::PassiveHealthCheck,
            validator,
        ), // C11
        reactivation_period: reader.positive_time("ReactivationPeriod", enabled), // C11
    };
    reader.finish();
    config
}

fn policy(
    reader: &mut Reader<'_, '_>,
    enabled: bool,
    kind: PolicyKind,
    validator: &dyn RouteValidator,
) -> Option<String> {
    match enabled {
        true => policy::read(reader, "Policy", kind, validator),
        false => reader.text("Policy"),
    }
}
