//! `ostler check`: every error and warning of a configuration.

use std::process::ExitCode;

use crate::EXIT_CONFIGURATION;
use crate::args::CheckArgs;
use crate::configuration::{self, Sources};

/// Prints what is wrong and what has no effect; succeeds when the front would start.
pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let loaded = match Sources::new(&args.config, args.settings.clone()).read() {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    let diagnostics = &loaded.diagnostics;
    configuration::print(diagnostics);
    let (errors, warnings) = (diagnostics.errors().count(), diagnostics.warnings().count());
    let name = args.config.display();
    if errors > 0 {
        eprintln!("{name}: {errors} error(s), {warnings} warning(s)");
        return Ok(ExitCode::from(EXIT_CONFIGURATION));
    }
    let proxy = &loaded.settings.proxy;
    let (routes, clusters) = (proxy.routes.len(), proxy.clusters.len());
    println!("{name}: ok, {routes} route(s), {clusters} cluster(s), {warnings} warning(s)");
    Ok(ExitCode::SUCCESS)
}
