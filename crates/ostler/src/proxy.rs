//! `ostler proxy`: a front whose configuration is made of the command line.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind as UsageError;
use ostler_proxy::StepRegistry;
use serde_json::{Map, Value, json};

use crate::args::{Args, DEFAULT_SECTION, ProxyArgs};
use crate::configuration::Sources;
use crate::proxy_addresses::ProxyTo;
use crate::rules::Rules;
use crate::run;

/// What messages call the configuration: who follows them finds the line there.
const ORIGIN: &str = "ostler proxy --print-config";
/// The URL prefix that targets register unless they are told otherwise.
const QUEUE_PREFIX: &str = "http://*:80/";

/// Runs the front, or prints what it would run by.
pub(crate) fn run(args: &ProxyArgs, steps: &StepRegistry) -> anyhow::Result<ExitCode> {
    let url = match args.from.url(args.tls.is_some()) {
        Ok(url) => url,
        Err(why) => {
            let message = format!("--from and --tls: {why}");
            usage(&message).exit();
        }
    };
    let json = format!("{:#}\n", configuration(args, &url));
    if !args.print_config {
        return run::run_by(
            Sources::of_json(ORIGIN, json, args.settings.clone(), Rules::new(steps)),
            &args.process,
        );
    }
    match std::io::stdout().write_all(json.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// What the command line's grammar does not see.
fn usage(message: &str) -> clap::Error {
    let mut command = Args::command();
    command.build();
    let command = command.find_subcommand_mut("proxy");
    let command = command.expect("the command line has the command that is carried out");
    command.error(UsageError::ArgumentConflict, message)
}

/// One endpoint, one route, one cluster.
fn configuration(args: &ProxyArgs, url: &str) -> Value {
    let mut endpoint = json!({ "Url": url });
    if let Some(files) = &args.tls {
        endpoint["Certificate"] = json!({
            "Path": files.certificate().to_string_lossy(),
            "KeyPath": files.key().to_string_lossy(),
        });
    }
    let numbered = args.to.iter().enumerate();
    let destinations: Map<_, _> = numbered
        .map(|(at, to)| (format!("to{}", at + 1), destination(to)))
        .collect();
    let mut section = json!({
        "Routes": { "all": { "ClusterId": "all", "Match": { "Path": "/{**rest}" } } },
        "Clusters": { "all": { "Destinations": destinations } },
    });
    let mut to = args.to.iter();
    if to.any(|to| matches!(to, ProxyTo::Queue(_))) {
        section["Pipeline"] = json!([
            "SessionAffinity",
            "LoadBalancing",
            "PassiveHealthChecks",
            "HttpSysDelegation",
        ]);
    }
    json!({
        "Kestrel": { "Endpoints": { "from": endpoint } },
        DEFAULT_SECTION: section,
    })
}

fn destination(to: &ProxyTo) -> Value {
    match to {
        ProxyTo::Url(url) => json!({ "Address": url }),
        ProxyTo::Queue(name) => json!({
            "Address": QUEUE_PREFIX,
            "Metadata": { "HttpSysDelegationQueue": name },
        }),
    }
}
