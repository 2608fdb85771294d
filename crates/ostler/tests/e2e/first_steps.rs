//! What a newcomer begins with: `proxy`, without a configuration, and `init`, which writes one.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Authority, Client, Process, Sandbox, TlsSettings};

/// What a mistake in the configuration exits with.
const EXIT_CONFIGURATION: i32 = 64;
/// What a mistake in the arguments exits with.
const EXIT_USAGE: i32 = 2;

fn ostler(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("OSTLER_RUNTIME_DIR", folder.join("run"))
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `ostler proxy`, ready, and the port that it listens on.
fn proxy(sandbox: &Sandbox, from: &str, more: &[&str]) -> (Process, u16) {
    let mut arguments = vec!["proxy", "--threads", "1", "--from", from];
    arguments.extend(more);
    listening(sandbox.ostler(&arguments))
}

fn listening(front: Process) -> (Process, u16) {
    let line = front.line();
    assert!(line.starts_with("listening on http"), "{line}");
    let (_, port) = line.rsplit_once(':').unwrap();
    let port = port.parse().unwrap_or_default();
    (front, port)
}

fn arrival(port: u16) -> Value {
    Client::connect(port).ask("GET", "/echo").json()["arrival"].clone()
}

#[test]
fn a_proxy_forwards_without_a_configuration_and_drains_when_it_is_stopped() {
    let sandbox = Sandbox::new();
    let (target, url) = sandbox.listening_target("q");
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    for to in [url.as_str(), authority] {
        let (front, port) = proxy(&sandbox, "127.0.0.1:0", &["--to", to]);
        let mut client = Client::connect(port);
        assert_eq!(client.ask("GET", "/a/b?c").pid(), target.pid(), "{to}");
        front.signal("TERM");
        assert!(front.wait().success());
        assert!(front.errors().iter().any(|line| line.contains("draining")));
    }
}

#[test]
fn settings_are_laid_over_what_the_options_of_a_proxy_say() {
    let sandbox = Sandbox::new();
    let (_target, url) = sandbox.listening_target("q");
    let settings = ["--to", &url, "AllowedHosts=shop.example"];
    let (_front, port) = proxy(&sandbox, "127.0.0.1:0", &settings);
    assert_eq!(Client::connect(port).ask("GET", "/").status, 400);

    let printed = ["proxy", "--from", ":0", "--to", &url, "--print-config"];
    let with_setting = [&printed[..], &settings[2..]].concat();
    assert_eq!(
        ostler(sandbox.path(), &with_setting).status.code(),
        Some(EXIT_USAGE)
    );
}

#[test]
fn a_proxy_reaches_every_destination_that_it_is_given() {
    let sandbox = Sandbox::new();
    let targets = [
        sandbox.listening_target("one"),
        sandbox.listening_target("two"),
    ];
    let to = ["--to", &targets[0].1, "--to", &targets[1].1];
    let (_front, port) = proxy(&sandbox, "127.0.0.1:0", &to);
    let mut client = Client::connect(port);
    for (target, _) in &targets {
        let mut tries = 0..1000;
        assert!(tries.any(|_| client.ask("GET", "/").pid() == target.pid()));
    }
}

#[test]
fn a_proxy_delegates_to_a_queue_and_listens_on_and_forwards_to_sockets() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let socket = format!("unix:{}", sandbox.path().join("front.sock").display());
    let (_behind, _) = proxy(&sandbox, &socket, &["--to", "queue:q"]);
    let (_before, port) = proxy(&sandbox, "127.0.0.1:0", &["--to", &socket]);
    let (_delegating, delegating) = proxy(&sandbox, "127.0.0.1:0", &["--to", "queue:q"]);
    assert_eq!(arrival(delegating), "delegated");
    assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
}

#[test]
fn a_proxy_with_a_certificate_listens_with_tls() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let authority = Authority::new("Test Root");
    let identity = authority.issue(&["localhost"]);
    let (certificate, key) = identity.write(sandbox.path(), "front");
    let files = format!("{},{}", certificate.display(), key.display());
    for from in ["127.0.0.1:0", "https://127.0.0.1:0"] {
        let more = ["--tls", &files, "--to", "queue:q"];
        let (_front, port) = proxy(&sandbox, from, &more);
        let mut client = TlsSettings::new(&authority).connect(port);
        assert_eq!(client.ask("GET", "/").pid(), target.pid(), "{from}");
    }
}

/// What is printed is what runs: it passes as a file, and serves as one.
#[test]
fn the_configuration_that_a_proxy_prints_is_one_to_go_on_with() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let arguments = ["proxy", "--from", "127.0.0.1:0", "--to", "queue:q"];
    let printed = sandbox.output(&[&arguments[..], &["--print-config"]].concat());
    let file = sandbox.own_configuration(&printed);
    let file = file.to_str().unwrap();
    let said = sandbox.output(&["check", "--strict", "--config", file]);
    assert!(said.contains("ok, 1 route(s), 1 cluster(s)"), "{said}");
    let front = sandbox.ostler(&["run", "--threads", "1", "--config", file]);
    let (_front, port) = listening(front);
    assert_eq!(Client::connect(port).ask("GET", "/").pid(), target.pid());
}

#[test]
fn mistakes_of_a_proxys_arguments_say_which_and_where() {
    let sandbox = Sandbox::new();
    for (arguments, code, wanted) in [
        (
            &["--from", ":0", "--to", "ftp://x"][..],
            EXIT_CONFIGURATION,
            "ReverseProxy:Clusters:all:Destinations:to1:Address",
        ),
        (
            &["--from", "http://:x", "--to", ":1"],
            EXIT_CONFIGURATION,
            "Kestrel:Endpoints:from:Url",
        ),
        (
            &["--from", ":0", "--to", ":1", "--tls", "a.pem,b.pem"],
            EXIT_CONFIGURATION,
            "a.pem cannot be read",
        ),
        (&["--from", ":0", "--to", "3000"], EXIT_USAGE, ":3000"),
        (
            &["--from", ":0", "--to", "queue:"],
            EXIT_USAGE,
            "queue:NAME",
        ),
        (&["--from", ":0"], EXIT_USAGE, "--to"),
        (
            &["--from", "https://*:0", "--to", ":1"],
            EXIT_USAGE,
            "--tls CERT,KEY",
        ),
        (
            &["--from", "http://*:0", "--to", ":1", "--tls", "a,b"],
            EXIT_USAGE,
            "--tls takes a URL with https",
        ),
    ] {
        let output = ostler(sandbox.path(), &[&["proxy"], arguments].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
        if code == EXIT_CONFIGURATION {
            // Where to look: the line of what would be printed.
            assert!(said.contains("ostler proxy --print-config:"), "{said}");
        }
    }
}

#[test]
fn the_first_configuration_passes_and_serves_as_it_is_written() {
    let sandbox = Sandbox::new();
    let output = ostler(sandbox.path(), &["init"]);
    assert!(output.status.success(), "{output:?}");
    let file = sandbox.path().join("ostler.json");
    let file = file.to_str().unwrap();
    let said = sandbox.output(&["check", "--strict", "--config", file]);
    assert!(said.contains("ok, 2 route(s), 2 cluster(s)"), "{said}");
    let target = sandbox.target("shop", &[]);
    let (behind, address) = sandbox.listening_target("other");
    // Ports that may be taken, here, are the only thing that is otherwise.
    let site = format!("ReverseProxy:Clusters:site:Destinations:one:Address={address}");
    let mut arguments = vec!["run", "--threads", "1", "--config", file];
    arguments.extend(["--urls", "http://127.0.0.1:0", &site]);
    let (_front, port) = listening(sandbox.ostler(&arguments));
    let mut client = Client::connect(port);
    assert_eq!(client.ask("GET", "/shop/").pid(), target.pid());
    assert_eq!(client.ask("GET", "/elsewhere").pid(), behind.pid());
}

#[test]
fn a_first_configuration_is_never_written_over_a_file() {
    let sandbox = Sandbox::new();
    let file = sandbox.configuration("mine");
    let output = ostler(sandbox.path(), &["init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ostler.json exists"));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
    let output = ostler(sandbox.path(), &["init", "no/such/folder.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot make no/such/folder.json"));
    assert!(
        ostler(sandbox.path(), &["init", "other.json"])
            .status
            .success()
    );
    assert!(sandbox.path().join("other.json").exists());
}
