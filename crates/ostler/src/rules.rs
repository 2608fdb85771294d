//! What a configuration is checked against: the program's own rules and the steps there are.

use ostler_config::{PolicyKind, RouteValidator};
use ostler_proxy::StepRegistry;

/// The rules of routes, the steps of this program, and names of steps that somebody says exist.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    steps: StepRegistry,
    /// Steps of another program, whose configuration is only checked here.
    elsewhere: Vec<String>,
}

impl Rules {
    pub(crate) fn new(steps: &StepRegistry) -> Self {
        Self {
            steps: steps.clone(),
            elsewhere: Vec::new(),
        }
    }

    /// Takes these names of steps as well.
    pub(crate) fn with_steps_elsewhere(self, elsewhere: &[String]) -> Self {
        Self {
            elsewhere: elsewhere.to_vec(),
            ..self
        }
    }

    pub(crate) fn steps(&self) -> &StepRegistry {
        &self.steps
    }
}

impl RouteValidator for Rules {
    fn validate_path(&self, template: &str) -> Result<(), String> {
        self.steps.validate_path(template)
    }

    fn validate_host(&self, host: &str) -> Result<(), String> {
        self.steps.validate_host(host)
    }

    fn path_parameters(&self, template: &str) -> Option<Vec<String>> {
        self.steps.path_parameters(template)
    }

    fn policies(&self, kind: PolicyKind) -> Vec<&str> {
        self.steps.policies(kind)
    }

    fn has_step(&self, name: &str) -> bool {
        let mut elsewhere = self.elsewhere.iter();
        self.steps.has_step(name) || elsewhere.any(|step| step.eq_ignore_ascii_case(name))
    }
}
