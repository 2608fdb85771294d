//! What the configuration says in the front's own terms: read at the start, and again with each reload.

use std::sync::Arc;

use ostler_config::{OstlerConfig, Settings};
use ostler_proxy::{ErrorPages, FrontLimits, Hsts, Pipeline, StepRegistry};

pub(crate) fn pipeline(settings: &Settings, steps: &StepRegistry) -> anyhow::Result<Pipeline> {
    Ok(match &settings.proxy.pipeline {
        None => Pipeline::yarp_default(),
        Some(names) => steps.pipeline(names.iter().map(String::as_str))?,
    })
}

/// What clients may do.
pub(crate) fn front_limits(ostler: &OstlerConfig, error_pages: &Arc<ErrorPages>) -> FrontLimits {
    FrontLimits {
        allowed_hosts: ostler.allowed_hosts.clone(),
        forwarded_headers: ostler.forwarded_headers.clone(),
        https_redirection: ostler.https_redirection.clone(),
        hsts: ostler.hsts.as_ref().map(Hsts::new),
        error_pages: Arc::clone(error_pages),
        ..FrontLimits::from(&ostler.limits)
    }
}
