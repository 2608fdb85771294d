//! The Go package, where there is a Go that is new enough.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::Program;
use super::suite::holds_for;

/// The oldest Go that `bindings/go/go.mod` allows: 1.this.
const OLDEST: u32 = 24;

/// The package's program, compiled; `None` where it cannot be.
static PROGRAM: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let passed_over = |why: &str| {
        eprintln!("passed over: the Go package: {why}");
        None
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bindings/go");
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.current_dir(&folder).env("GOTOOLCHAIN", "local");
        command.args(arguments);
        command.output()
    };
    let Ok(version) = go(&["env", "GOVERSION"]) else {
        return passed_over("there is no Go");
    };
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let minor = version.strip_prefix("go1.").and_then(|rest| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    if minor.is_none_or(|minor: u32| minor < OLDEST) {
        return passed_over(&format!("{version} is older than 1.{OLDEST}"));
    }
    if !go(&["mod", "download"]).is_ok_and(|fetched| fetched.status.success()) {
        return passed_over("the modules that it needs cannot be fetched");
    }
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().join("go-program");
    // Other runs may be running theirs.
    let made = program.with_extension(std::process::id().to_string());
    let compiled = go(&["build", "-o", made.to_str().unwrap(), "./internal/program"]).unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    std::fs::rename(made, &program).unwrap();
    Some(program)
});

fn program() -> Option<Program> {
    let program = PROGRAM.as_ref()?;
    Some(Program::new(move || Command::new(program)))
}

holds_for!(program());
