//! A program of one's own: this one with more pipeline steps.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Front, Process, Sandbox, delegating_to, eventually};

/// The example, built as this program was.
fn program() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_ostler"));
    let folder = folder.parent().unwrap().to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "-p",
        "ostler",
        "--example",
        "own_program",
    ]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success());
    folder.join("examples").join("own_program")
}

#[test]
fn a_step_of_ones_own_runs_in_the_whole_program_and_through_reloads() {
    let program = program();
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let plain = delegating_to(&["q"]);
    let guarded = plain.replace(
        "[ \"LoadBalancing\"",
        "[ \"keyrequired\", \"LoadBalancing\"",
    );
    let path = sandbox.configuration(&guarded);
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .args(["--config", path.to_str().unwrap()])
            .env("OSTLER_RUNTIME_DIR", sandbox.runtime());
        command
    };
    // The program without the step calls its name a mistake, unless told of it.
    let own = command(&["check"]).output().unwrap();
    assert_eq!(own.status.code(), Some(0), "{own:?}");
    let check = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
        command.args(["check", "--config", path.to_str().unwrap()]);
        command.args(more).output().unwrap()
    };
    let others = check(&[]);
    assert_eq!(others.status.code(), Some(64), "{others:?}");
    let told = check(&["--step", "KeyRequired"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");

    let process = Process::spawn(command(&[
        "run",
        "--urls",
        "http://127.0.0.1:0",
        "--threads",
        "1",
    ]));
    let line = process.line();
    let port = line
        .strip_prefix("listening on http://127.0.0.1:")
        .expect(&line);
    let front = Front {
        port: port.parse().unwrap(),
        process,
    };
    let with_key = "GET / HTTP/1.1\r\nHost: x\r\nX-Key: 1\r\nConnection: close\r\n\r\n";
    let ask_with_key = || {
        let mut client = front.connect();
        client.send(with_key);
        client.response()
    };
    assert_eq!(front.ask("GET", "/").status, 403);
    assert_eq!(ask_with_key().pid(), target.pid());
    sandbox.configuration(&plain);
    eventually("the step is no longer asked", || {
        front.ask("GET", "/").status == 200
    });
    sandbox.configuration(&guarded);
    eventually("the step is asked again", || {
        front.ask("GET", "/").status == 403
    });
    assert_eq!(ask_with_key().pid(), target.pid());
}
