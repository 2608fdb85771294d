//! What the configuration says in the front's own terms: read at the start, and again with each reload.

use std::sync::Arc;

use anyhow::Context as _;
use ostler_config::{OstlerConfig, Settings};
use ostler_delegation::accounts;
use ostler_delegation::runtime::RuntimeFolder;
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

/// Where queues are, open to the group that the configuration names.
pub(crate) fn runtime_folder(ostler: &OstlerConfig) -> anyhow::Result<RuntimeFolder> {
    let runtime = match &ostler.runtime_folder {
        Some(path) => RuntimeFolder::new(path),
        None => RuntimeFolder::from_environment(),
    };
    if let Some(group) = &ostler.queue_group {
        let gid = accounts::gid_of(group).context("cannot read /etc/group")?;
        let gid = gid.with_context(|| format!("Ostler:QueueGroup: there is no group {group:?}"))?;
        runtime.share_queues(gid).context("Ostler:QueueGroup")?;
    }
    Ok(runtime)
}
