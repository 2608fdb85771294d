//! The whole `ostler` program as a function: arguments, configuration files, signals, logs, exit codes.
//!
//! A program of one's own is this one with more pipeline steps; everything else it does is the same:
//! reloads, TLS, limits, `check`.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use ostler::{ExchangeContext, Flow, PipelineStep, StepFuture, StepRegistry};
//!
//! /// `"Pipeline": [ "Teapot", "LoadBalancing" ]` has it asked first.
//! struct Teapot;
//!
//! impl PipelineStep for Teapot {
//!     fn name(&self) -> &str {
//!         "Teapot"
//!     }
//!
//!     fn run<'a>(&'a self, exchange: &'a mut ExchangeContext<'_>) -> StepFuture<'a> {
//!         Box::pin(async move {
//!             if exchange.head().field("x-coffee").is_none() {
//!                 return Flow::Continue;
//!             }
//!             let mut answer = http::Response::default();
//!             *answer.status_mut() = http::StatusCode::IM_A_TEAPOT;
//!             Flow::Respond(answer)
//!         })
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     let mut steps = StepRegistry::default();
//!     steps.add(Teapot).expect("no other step has the name");
//!     ostler::run_with(steps)
//! }
//! ```
//!
//! The example `own_program` of this crate is such a program.
#![forbid(unsafe_code)]

mod access_log;
mod admin;
mod apps;
mod args;
mod check;
mod configuration;
mod demo;
mod endpoints;
mod error_pages;
mod etcd;
mod exec;
mod exit;
mod files;
mod fleet;
mod front_configuration;
mod in_force;
mod init;
mod logging;
mod manual;
mod membership;
mod metrics;
mod pool;
mod pool_words;
mod protection_keys;
mod proxy;
mod proxy_addresses;
mod queues;
mod reload;
mod replacement;
mod route_test;
mod rules;
mod run;
mod sample_target;
mod service_manager;
mod shared;
mod signing_keys;
mod traces;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
pub use ostler_proxy::{
    DuplicateStep, ExchangeContext, Flow, Outcome, PipelineStep, StepFuture, StepRegistry,
};

use crate::args::{Args, Command, RoutesCommand, SchemaFormat};

/// Does what the process' arguments say, with pipeline steps of one's own beside YARP's. They run where
/// `ReverseProxy:Pipeline` names them.
///
/// Called once, by `main`: it takes the process' signals, its logs and its standard output.
pub fn run_with(steps: StepRegistry) -> ExitCode {
    let args = Args::parse_from(configuration::settings_as_values(std::env::args_os()));
    logging::start(&args.log);
    let done = match args.command {
        Command::Run(arguments) => run::run(&arguments, &steps),
        Command::Proxy(arguments) => proxy::run(&arguments, &steps),
        Command::Init(arguments) => init::write(&arguments),
        Command::Routes(RoutesCommand::Test(arguments)) => route_test::test(&arguments, &steps),
        Command::Check(arguments) => check::check(&arguments, &steps),
        Command::Schema(arguments) => print_schema(arguments.format),
        Command::Exec(arguments) => exec::run(&arguments),
        Command::Become(arguments) => exec::become_program(&arguments),
        Command::Pool(arguments) => pool::run(&arguments, &steps),
        Command::Apps(arguments) => apps::run(&arguments),
        Command::SampleTarget(arguments) => sample_target::run(arguments),
        Command::Config(command) => shared::run(&command, &steps),
        Command::Fleet(arguments) => fleet::list(&arguments, &steps),
        Command::Queues(arguments) => queues::list(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Manual(arguments) => manual::write(&arguments),
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
fn print_schema(format: SchemaFormat) -> anyhow::Result<ExitCode> {
    let text = match format {
        SchemaFormat::Json => ostler_config::json_schema(),
        SchemaFormat::Markdown => ostler_config::configuration_page(),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
