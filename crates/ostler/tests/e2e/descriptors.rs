//! What a front and a target do with few descriptors.

use std::net::TcpStream;
use std::process::Command;

use crate::support::{Client, Process, Sandbox, delegating_by_path, eventually};

/// A front of one thread that may open so many files, ready; and its port.
fn front_with_files(sandbox: &Sandbox, json: &str, files: u32) -> (Process, u16) {
    let configuration = sandbox.configuration(json);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"]);
    command.args([env!("CARGO_BIN_EXE_ostler"), "run", "--threads", "1"]);
    command.args(["--urls", "http://127.0.0.1:0"]);
    command.args(["--config", configuration.to_str().unwrap()]);
    command.env("OSTLER_RUNTIME_DIR", sandbox.runtime());
    let process = Process::spawn(command);
    let line = process.line();
    let port = line.rsplit(':').next().unwrap().parse().expect(&line);
    (process, port)
}

/// Before, a front that was full of clients could neither open a channel to the restarted target nor
/// read its configuration.
#[test]
fn a_front_that_is_full_of_clients_takes_a_restarted_target_in_and_reloads() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("one", &["--keep-queue"]);
    let (front, port) = front_with_files(&sandbox, &delegating_by_path(&["one"]), 128);
    let mut client = Client::connect(port);
    assert_eq!(client.ask("GET", "/one/").pid(), target.pid());
    // More than there are descriptors for; the kernel takes them, the front does not.
    let idle: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    eventually("the front says that clients wait", || {
        let lines = front.errors();
        lines
            .iter()
            .any(|line| line.contains("clients wait to be accepted"))
    });
    assert!(front.descriptors() < 128);
    target.kill();
    let target = sandbox.target("one", &["--keep-queue"]);
    assert_eq!(client.ask("GET", "/one/").pid(), target.pid());
    let two = sandbox.target("two", &[]);
    sandbox.configuration(&delegating_by_path(&["one", "two"]));
    front.signal("HUP");
    eventually("the new route leads to its target", || {
        let response = client.ask("GET", "/two/");
        response.status == 200 && response.pid() == two.pid()
    });
    drop(idle);
    assert_eq!(Client::connect(port).ask("GET", "/one/").status, 200);
    let lines = front.errors();
    let told = lines
        .iter()
        .filter(|line| line.contains("clients wait to be"));
    assert_eq!(told.count(), 1, "one line, not one a client: {lines:#?}");
}
