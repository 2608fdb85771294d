//! Logs that nobody reads, and fronts that are told to stop.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::{Client, Sandbox, delegating_to, eventually};

#[test]
fn a_log_that_nobody_reads_does_not_bring_the_front_down() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let configuration = sandbox.configuration(&delegating_to(&["q"]));
    let mut front = Command::new(env!("CARGO_BIN_EXE_ostler"))
        .args([
            "--log",
            "debug",
            "run",
            "--threads",
            "1",
            "--urls",
            "http://127.0.0.1:0",
        ])
        .args(["--config", configuration.to_str().unwrap()])
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(front.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let port = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    drop(front.stderr.take());
    // That the target joins is logged, and so is each exchange.
    for _ in 0..3 {
        assert_eq!(Client::connect(port).ask("GET", "/").pid(), target.pid());
    }
    let pid = front.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(front.wait().unwrap().success());
}

#[test]
fn a_drain_timeout_ends_the_front() {
    let sandbox = Sandbox::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let front = sandbox.front_with(
        &format!(
            r#"{{ "ReverseProxy": {{
                "Routes": {{ "r": {{ "ClusterId": "c", "Match": {{ "Path": "{{**rest}}" }} }} }},
                "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "http://{address}/" }} }} }} }} }} }}"#
        ),
        &["--threads", "1", "--drain-timeout", "1"],
    );
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let (_destination, _) = listener.accept().unwrap();
    front.process.signal("TERM");
    eventually("the front ends", || !front.process.is_running());
    assert!(front.process.wait().success());
    assert!(client.is_closed());
}
