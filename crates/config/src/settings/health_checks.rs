//! `Ostler:HealthChecks`: options of health checks that code alone sets in YARP (reference A1.9, A7.4).

use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::reader::Reader;
use crate::tree::Section;

/// Options of health checks that hold for every cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheckDefaults {
    /// `Active:DefaultInterval`, where a cluster has no `Active:Interval`: 15 seconds.
    pub active_default_interval: Duration,
    /// `Active:DefaultTimeout`, where a cluster has no `Active:Timeout`: 10 seconds.
    pub active_default_timeout: Duration,
    /// `Passive:DetectionWindow`, for how long an exchange counts: 60 seconds.
    pub passive_detection_window: Duration,
    /// `Passive:MinimalTotalCount`, how many exchanges there must be for a rate: 10.
    pub passive_minimal_total_count: u64,
}

impl Default for HealthCheckDefaults {
    fn default() -> Self {
        Self {
            active_default_interval: Duration::from_secs(15),
            active_default_timeout: Duration::from_secs(10),
            passive_detection_window: Duration::from_secs(60),
            passive_minimal_total_count: 10,
        }
    }
}

/// Reads `Ostler:HealthChecks`.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> HealthCheckDefaults {
    let defaults = HealthCheckDefaults::default();
    let reader = Reader::new(section, &keys::HEALTH_CHECKS, diagnostics);
    let (active, passive) = (reader.child("Active"), reader.child("Passive"));
    reader.finish();
    let mut reader = Reader::new(active, &keys::ACTIVE_DEFAULTS, diagnostics);
    let interval = reader.positive_time("DefaultInterval", true);
    let timeout = reader.positive_time("DefaultTimeout", true);
    reader.finish();
    let mut reader = Reader::new(passive, &keys::PASSIVE_DEFAULTS, diagnostics);
    let window = reader.positive_time("DetectionWindow", true);
    let count = reader.parsed("MinimalTotalCount", |text| {
        match u64::try_from(leaf::int32(text)?) {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(format!("{text:?} is not positive")),
        }
    });
    reader.finish();
    HealthCheckDefaults {
        active_default_interval: interval.unwrap_or(defaults.active_default_interval),
        active_default_timeout: timeout.unwrap_or(defaults.active_default_timeout),
        passive_detection_window: window.unwrap_or(defaults.passive_detection_window),
        passive_minimal_total_count: count.unwrap_or(defaults.passive_minimal_total_count),
    }
}
