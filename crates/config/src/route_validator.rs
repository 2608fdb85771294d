//! What others check of a configuration.

use crate::policy_kind::PolicyKind;

/// Checks what is not this crate's business: grammars of routes, names of policies.
pub trait RouteValidator {
    /// Checks a path template (rule R8).
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a phrase.
    fn validate_path(&self, template: &str) -> Result<(), String>;

    /// Checks an entry of `Hosts` (reference A3.8).
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a phrase.
    fn validate_host(&self, host: &str) -> Result<(), String>;

    /// The names of a path template's values; `None` where nobody knows.
    fn path_parameters(&self, _template: &str) -> Option<Vec<String>> {
        None
    }

    /// The policies that clusters may name (rules C3, C4, C5, C9, C10 and C11): YARP's own, unless
    /// an application adds some.
    fn policies(&self, kind: PolicyKind) -> Vec<&str> {
        kind.built_in().to_vec()
    }

    /// Whether the pipeline may name a step that is not YARP's: one of the application's own.
    fn has_step(&self, _name: &str) -> bool {
        false
    }
}

/// Takes every template and host.
pub(crate) struct AnyRoute;

impl RouteValidator for AnyRoute {
    fn validate_path(&self, _template: &str) -> Result<(), String> {
        Ok(())
    }

    fn validate_host(&self, _host: &str) -> Result<(), String> {
        Ok(())
    }
}
