//! The `ostler` program: arguments, configuration file, signals, logs, exit codes.
#![forbid(unsafe_code)]

mod args;
mod check;
mod configuration;
mod demo;
mod endpoints;
mod in_force;
mod logging;
mod protection_keys;
mod queues;
mod reload;
mod run;
mod sample_target;
mod signing_keys;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

/// What a mistake in the configuration exits with (`EX_USAGE`).
const EXIT_CONFIGURATION: u8 = 64;

fn main() -> ExitCode {
    let args = Args::parse_from(configuration::settings_as_values(std::env::args_os()));
    logging::start(&args.log);
    let done = match args.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Schema => print_schema(),
        Command::SampleTarget(arguments) => sample_target::run(arguments),
        Command::Queues(arguments) => queues::list(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nobody may be listening.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// For a file, or for a pipe whose reader may have seen enough.
fn print_schema() -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(ostler_config::json_schema().as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
