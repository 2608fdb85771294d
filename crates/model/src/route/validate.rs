//! The parts of a route that only the router understands, for whoever validates a configuration.

use super::host::HostPattern;
use super::template::PathTemplate;
use crate::registry::PolicyRegistry;

/// Tells whether path templates and hosts can be used (rules R8 and 3.8 of the reference).
#[derive(Debug, Clone, Copy, Default)]
pub struct RouteRules;

impl ostler_config::RouteValidator for RouteRules {
    fn validate_path(&self, template: &str) -> Result<(), String> {
        PathTemplate::parse(template)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn path_parameters(&self, template: &str) -> Option<Vec<String>> {
        let template = PathTemplate::parse(template).ok()?;
        Some(template.parameters().map(str::to_owned).collect())
    }

    fn validate_host(&self, host: &str) -> Result<(), String> {
        HostPattern::parse(host)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// The same, and which policies clusters may name: those of a registry.
#[derive(Debug, Clone, Copy)]
pub struct ConfigurationRules<'r>(pub &'r PolicyRegistry);

impl ostler_config::RouteValidator for ConfigurationRules<'_> {
    fn validate_path(&self, template: &str) -> Result<(), String> {
        RouteRules.validate_path(template)
    }

    fn validate_host(&self, host: &str) -> Result<(), String> {
        RouteRules.validate_host(host)
    }

    fn path_parameters(&self, template: &str) -> Option<Vec<String>> {
        RouteRules.path_parameters(template)
    }

    fn policies(&self, kind: ostler_config::PolicyKind) -> Vec<&str> {
        self.0.names(kind)
    }
}
