//! `ostler check`: every error and warning of a configuration.

use std::io::Write as _;
use std::process::ExitCode;

use ostler_config::{Diagnostic, Loaded, SourceError};
use ostler_proxy::StepRegistry;
use serde_json::{Value, json};

use crate::args::{CheckArgs, CheckFormat};
use crate::configuration::{self, Sources};
use crate::exit::EXIT_CONFIGURATION;
use crate::rules::Rules;

/// Prints what is wrong and what has no effect; succeeds when the front would start.
pub(crate) fn check(args: &CheckArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let rules = Rules::new(steps).with_steps_elsewhere(&args.step);
    let sources = Sources::new(&args.run.configuration, args.run.all_settings(), rules);
    let read = sources.read();
    let code = match &read {
        Ok(loaded) => exit_code(loaded, args.strict),
        Err(_) => EXIT_CONFIGURATION,
    };
    match args.format {
        CheckFormat::Human => say(&sources.name(), &read, code),
        CheckFormat::Json => {
            let told = as_json(&sources, &read, code);
            // Whoever reads this may be gone.
            let _ = writeln!(std::io::stdout(), "{told:#}");
        }
    }
    Ok(ExitCode::from(code))
}

fn exit_code(loaded: &Loaded, strict: bool) -> u8 {
    let refuses_warnings = strict && loaded.diagnostics.warnings().next().is_some();
    match loaded.diagnostics.has_errors() || refuses_warnings {
        true => EXIT_CONFIGURATION,
        false => 0,
    }
}

fn say(name: &str, read: &anyhow::Result<Loaded>, code: u8) {
    let loaded = match read {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error:#}");
            return;
        }
    };
    let diagnostics = &loaded.diagnostics;
    configuration::print(diagnostics);
    let (errors, warnings) = (diagnostics.errors().count(), diagnostics.warnings().count());
    if code != 0 {
        eprintln!("{name}: {errors} error(s), {warnings} warning(s)");
        return;
    }
    let proxy = &loaded.settings.proxy;
    let (routes, clusters) = (proxy.routes.len(), proxy.clusters.len());
    println!("{name}: ok, {routes} route(s), {clusters} cluster(s), {warnings} warning(s)");
}

/// The same for programs. A source that cannot be read is an error like any other.
fn as_json(sources: &Sources, read: &anyhow::Result<Loaded>, code: u8) -> Value {
    let (diagnostics, routes, clusters) = match read {
        Ok(loaded) => {
            let all = loaded.diagnostics.errors();
            let all = all.chain(loaded.diagnostics.warnings());
            let proxy = &loaded.settings.proxy;
            let all: Vec<_> = all.map(diagnostic).collect();
            (all, proxy.routes.len(), proxy.clusters.len())
        }
        Err(error) => (vec![unreadable(error)], 0, 0),
    };
    let count = |severity: &str| {
        let all = diagnostics.iter();
        all.filter(|one| one["severity"] == severity).count()
    };
    let files: Vec<_> = sources
        .files()
        .iter()
        .filter(|file| file.exists())
        .map(|file| file.display().to_string())
        .collect();
    json!({
        "ok": code == 0,
        "files": files,
        "routes": routes,
        "clusters": clusters,
        "errors": count("error"),
        "warnings": count("warning"),
        "diagnostics": diagnostics,
    })
}

fn diagnostic(said: &Diagnostic) -> Value {
    let place = said.place.as_ref();
    let in_file = place.filter(|place| place.line > 0);
    json!({
        "severity": said.severity.to_string(),
        "path": said.path,
        "message": said.message,
        "remedy": said.remedy,
        "origin": place.map(|place| &place.origin),
        "line": in_file.map(|place| place.line),
        "column": in_file.map(|place| place.column),
    })
}

fn unreadable(error: &anyhow::Error) -> Value {
    let place = match error.downcast_ref() {
        Some(SourceError::Syntax { place, .. } | SourceError::TooDeep { place }) => Some(place),
        Some(SourceError::Duplicate { place, .. }) => Some(place),
        _ => None,
    };
    json!({
        "severity": "error",
        "path": "",
        "message": format!("{error:#}"),
        "remedy": null,
        "origin": place.map(|place| &place.origin),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
    })
}
