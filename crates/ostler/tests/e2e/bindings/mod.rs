//! Targets that are not written in Rust: what must hold for every language's library, asked of a program
//! of each.

mod c;
mod go;
mod node;
mod suite;

use std::process::Command;

use crate::support::{Process, Sandbox};

/// How a program of a language is started. It answers paths as `crates/target-c/examples/c/server.c`
/// says, says `queue NAME ready` once it does, and takes `--queue`, `--label` and `--file`.
pub(crate) struct Program(Box<dyn Fn() -> Command>);

impl Program {
    pub(crate) fn new(command: impl Fn() -> Command + 'static) -> Self {
        Self(Box::new(command))
    }

    /// Starts it for the queue `q`, ready.
    pub(crate) fn start(&self, sandbox: &Sandbox, label: &str) -> Process {
        let file = sandbox.path().join("file");
        if !file.exists() {
            std::fs::write(&file, pattern(FILE)).unwrap();
        }
        let mut command = (self.0)();
        command
            .args(["--queue", "q", "--label", label, "--file"])
            .arg(file)
            .env("OSTLER_RUNTIME_DIR", sandbox.runtime());
        let process = Process::spawn(command);
        process.wait_for_line("queue q ready");
        process
    }
}

/// Bytes of the file at `/file`.
pub(crate) const FILE: usize = 3_000_000;

/// Byte i is i modulo 256.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| at as u8).collect()
}
