//! The package for Node, where it has been built: `bindings/node/test` says by `OSTLER_NODE` which Node to
//! run.

use std::path::Path;
use std::process::Command;

use super::Program;
use super::suite::holds_for;

fn program() -> Option<Program> {
    let Some(node) = std::env::var_os("OSTLER_NODE") else {
        eprintln!("passed over: the package for Node is tested by bindings/node/test");
        return None;
    };
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bindings/node/tests/program.js");
    Some(Program::new(move || {
        let mut command = Command::new(&node);
        command.arg(&program);
        command
    }))
}

holds_for!(program());
