//! From the tree to settings: everything read, every mistake collected.

use crate::diagnostics::Diagnostics;
use crate::reader::{Reader, nearest};
use crate::schema::ProxyConfig;
use crate::settings::{Settings, ostler, urls};
use crate::tree::ConfigurationTree;
use crate::{clusters, not_yet, routes};

/// What a configuration says, and everything that is wrong or without effect in it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says; not to be used when there are errors.
    pub settings: Settings,
    /// What is wrong.
    pub diagnostics: Diagnostics,
}

/// Checks parts of a route whose grammar is not this crate's business.
pub trait RouteValidator {
    /// Checks a path template.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn validate_path(&self, template: &str) -> Result<(), String>;

    /// Checks a host.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn validate_host(&self, host: &str) -> Result<(), String>;
}

const STEPS: [&str; 4] = [
    "SessionAffinity",
    "LoadBalancing",
    "PassiveHealthChecks",
    "HttpSysDelegation",
];

/// Reads a tree. It never fails: what is wrong is in the result.
pub fn load(tree: &ConfigurationTree) -> Loaded {
    read(tree, None)
}

/// Reads a tree and has path templates and hosts checked.
pub fn load_with(tree: &ConfigurationTree, validator: &dyn RouteValidator) -> Loaded {
    read(tree, Some(validator))
}

fn read(tree: &ConfigurationTree, validator: Option<&dyn RouteValidator>) -> Loaded {
    let mut diagnostics = Diagnostics::default();
    not_yet::top(tree, &mut diagnostics);
    let ostler = ostler(tree, &mut diagnostics);
    let mut reader = Reader::new(tree.section("ReverseProxy"), &mut diagnostics);
    let pipeline = pipeline(&mut reader);
    let steps = pipeline.iter().flatten();
    let delegates = steps
        .clone()
        .any(|step| step.eq_ignore_ascii_case("HttpSysDelegation"));
    let routes = reader.child("Routes");
    let routes = routes::read(&routes, validator, reader.diagnostics);
    let clusters = reader.child("Clusters");
    let clusters = clusters::read(&clusters, delegates, reader.diagnostics);
    reader.finish();
    let proxy = ProxyConfig {
        routes,
        clusters,
        pipeline,
    };
    Loaded {
        settings: Settings {
            urls: urls(tree),
            proxy,
            ostler,
        },
        diagnostics,
    }
}

/// Our own key: YARP's pipeline is written in code.
fn pipeline(reader: &mut Reader<'_, '_>) -> Option<Vec<String>> {
    let section = reader.child("Pipeline");
    if section.is_empty() {
        return None;
    }
    let names = reader.list("Pipeline");
    for (at, (item, name)) in section
        .children()
        .map(|(_, item)| item)
        .zip(&names)
        .enumerate()
    {
        if !STEPS.iter().any(|step| step.eq_ignore_ascii_case(name)) {
            let remedy = match nearest(name, &STEPS) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known are {}", STEPS.join(", ")),
            };
            reader.error(
                &item,
                format!("there is no pipeline step {name:?}"),
                Some(remedy),
            );
        } else if names[..at]
            .iter()
            .any(|other| other.eq_ignore_ascii_case(name))
        {
            reader.error(&item, format!("the step {name:?} is there twice"), None);
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests;
