//! The steps that a configuration's `ReverseProxy:Pipeline` may name: YARP's, and an application's own.

use std::fmt;
use std::sync::Arc;

use ostler_config::RouteValidator;
use ostler_model::RouteRules;

use crate::pipeline::{Pipeline, PipelineStep, Step, UnknownStep};

/// An application's own steps by name, compared without case. Given to
/// [`load_with`](ostler_config::load_with), it has them accepted in a file.
#[derive(Clone, Default)]
pub struct StepRegistry {
    steps: Vec<Arc<dyn PipelineStep>>,
}

/// A step has the name of another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is already a pipeline step {0:?}")]
pub struct DuplicateStep(pub String);

impl StepRegistry {
    /// Adds a step.
    ///
    /// # Errors
    ///
    /// When YARP or this registry has one of its name.
    pub fn add(&mut self, step: impl PipelineStep) -> Result<(), DuplicateStep> {
        let name = step.name();
        if self.find(name).is_some() || Pipeline::from_names([name]).is_ok() {
            return Err(DuplicateStep(name.to_owned()));
        }
        self.steps.push(Arc::new(step));
        Ok(())
    }

    /// A pipeline by its steps' names. A step that is in two pipelines is one and the same.
    ///
    /// # Errors
    ///
    /// The first name that is no step.
    pub fn pipeline<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Pipeline, UnknownStep> {
        let mut all = Pipeline::new();
        for name in names {
            match self.find(name) {
                Some(step) => all.steps.push(Step::Custom(Arc::clone(step))),
                None => all.steps.extend(Pipeline::from_names([name])?.steps),
            }
        }
        Ok(all)
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn PipelineStep>> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.name().eq_ignore_ascii_case(name))
    }
}

impl RouteValidator for StepRegistry {
    fn validate_path(&self, template: &str) -> Result<(), String> {
        RouteRules.validate_path(template)
    }

    fn path_parameters(&self, template: &str) -> Option<Vec<String>> {
        RouteRules.path_parameters(template)
    }

    fn validate_host(&self, host: &str) -> Result<(), String> {
        RouteRules.validate_host(host)
    }

    fn has_step(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

impl fmt::Debug for StepRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.steps.iter().map(|step| step.name());
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use ostler_config::{ConfigurationTree, load_with};

    use super::*;
    use crate::context::ExchangeContext;
    use crate::pipeline::{Flow, StepFuture};

    struct Named(&'static str);

    impl PipelineStep for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn run<'a>(&'a self, _exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
            Box::pin(async { Flow::Continue })
        }
    }

    #[test]
    fn steps_go_by_name_in_a_file_and_in_a_pipeline() {
        let mut registry = StepRegistry::default();
        registry.add(Named("Mine")).unwrap();
        for taken in ["mine", "loadBalancing"] {
            let error = registry.add(Named(taken)).unwrap_err();
            assert_eq!(error, DuplicateStep(taken.to_owned()));
        }
        let names = ["LoadBalancing", "MINE", "HttpSysDelegation"];
        let pipeline = registry.pipeline(names).unwrap();
        let steps = "[\"LoadBalancing\", \"Mine\", \"HttpSysDelegation\"]";
        assert_eq!(format!("{pipeline:?}"), steps);
        assert_eq!(registry.pipeline(["Mien"]).unwrap_err().0, "Mien");

        let mut tree = ConfigurationTree::new();
        let text = r#"{ "ReverseProxy": { "Pipeline": [ "mine", "Mien" ] } }"#;
        tree.add_json("a.json", text).unwrap();
        let loaded = load_with(&tree, &registry);
        let errors: Vec<_> = loaded.diagnostics.errors().collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].path, "ReverseProxy:Pipeline:1");
    }
}
