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

/// Whose fault a line is about can be found out: where the request went, and which it was.
#[test]
fn every_failure_names_destination_address_and_request() {
    let sandbox = Sandbox::new();
    // Nobody listens there any more.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/base", nobody.local_addr().unwrap());
    drop(nobody);
    let target = sandbox.target("broken", &[]);
    let front = sandbox.front(&format!(
        r#"{{ "ReverseProxy": {{ "Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],
            "Routes": {{
                "refused": {{ "ClusterId": "refused", "Match": {{ "Path": "/refused/{{**rest}}" }} }},
                "none": {{ "ClusterId": "none", "Match": {{ "Path": "/none/{{**rest}}" }} }},
                "broken": {{ "ClusterId": "broken", "Match": {{ "Path": "/broken/{{**rest}}" }} }} }},
            "Clusters": {{
                "refused": {{ "Destinations": {{ "d1": {{ "Address": "{address}" }} }} }},
                "none": {{ }},
                "broken": {{ "Destinations": {{ "d2": {{ "Address": "http://*:80/",
                    "Metadata": {{ "HttpSysDelegationQueue": "broken" }} }} }} }} }} }} }}"#
    ));
    let named = |text: &str, parts: &[&str]| {
        eventually(&format!("{text:?} names {parts:?}"), || {
            let lines = front.process.errors();
            let mut lines = lines.iter().filter(|line| line.contains(text));
            lines.any(|line| parts.iter().all(|part| line.contains(part)))
        });
    };
    assert_eq!(front.ask("GET", "/refused/a?secret=1").status, 502);
    let at = format!("address=\"{address}\"");
    let request = "request=GET /refused/a";
    named("forwarding failed", &["destination=\"d1\"", &at, request]);
    assert_eq!(front.ask("POST", "/none/b").status, 503);
    named(
        "no destination is available",
        &["cluster=\"none\"", "request=POST /none/b"],
    );
    let mut client = front.connect();
    client.send("GET /broken/bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read(100_000);
    target.kill();
    client.rest();
    let request = "request=GET /broken/bytes/1000000000";
    named(
        "a target died",
        &["queue=broken", "destination=\"d2\"", request],
    );
    assert!(
        !front
            .process
            .errors()
            .iter()
            .any(|line| line.contains("secret"))
    );
}
