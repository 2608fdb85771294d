//! The `ostler` program, without steps of its own.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ostler::run_with(ostler::StepRegistry::default())
}
