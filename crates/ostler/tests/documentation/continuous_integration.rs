//! That what is checked is checked everywhere: each step of `.ci/step` is a recipe, and something runs it.

use crate::repository::{pattern, root, text};

/// The names of the steps.
fn steps() -> Vec<String> {
    let step = pattern(r"(?m)^step_([a-z_0-9]+)\(\)");
    let script = text(&root().join(".ci/step"));
    let steps = step.captures_iter(&script).map(|found| found[1].to_owned());
    steps.collect()
}

#[test]
fn every_step_is_a_recipe() {
    let recipes = text(&root().join("justfile"));
    let steps = steps();
    assert!(steps.len() > 10, "only {steps:?} were found");
    for step in steps {
        let recipe = step.replace('_', "-");
        let heading = pattern(&format!(r"(?m)^{recipe}(?: [A-Z*][^:\n]*)?:$"));
        assert!(heading.is_match(&recipes), "there is no recipe {recipe}");
        assert!(
            recipes.contains(&format!("    .ci/step {step}")),
            "the recipe {recipe} does not run its step"
        );
    }
}

#[test]
fn every_step_is_run_by_the_continuous_integration() {
    let workflow = text(&root().join(".github/workflows/ci.yml"));
    for step in steps() {
        let run = pattern(&format!(r"(?m)^ *- run: \.ci/step {step}(?: |$)"));
        assert!(run.is_match(&workflow), "no job runs {step}");
    }
}

#[test]
fn a_branch_is_green_when_every_job_is() {
    let workflow = text(&root().join(".github/workflows/ci.yml"));
    let (_, jobs) = workflow.split_once("\njobs:\n").unwrap_or_default();
    let (jobs, green) = jobs.split_once("\n  green:\n").unwrap_or_default();
    let job = pattern(r"(?m)^  ([a-z0-9-]+):$");
    for job in job.captures_iter(jobs) {
        assert!(
            green.contains(&format!("      - {}\n", &job[1])),
            "`green` does not need {}",
            &job[1]
        );
    }
}
