//! The environment of ASP.NET's hosts: prefixed variables, ports of containers, the time for a stop.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

use crate::support::{Client, Process, Sandbox, delegating_to};

/// A port that nobody listens on, on any address.
fn free_port() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn command(sandbox: &Sandbox, json: &str, variables: &[(&str, &str)]) -> Command {
    let path = sandbox.configuration(json);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command
        .args(["run", "--threads", "1", "--config", path.to_str().unwrap()])
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime())
        .env_remove("ASPNETCORE_ENVIRONMENT")
        .env_remove("DOTNET_ENVIRONMENT")
        .envs(variables.iter().copied());
    command
}

fn check(sandbox: &Sandbox, json: &str, variables: &[(&str, &str)], more: &[&str]) -> Output {
    let path = sandbox.configuration(json);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command
        .args(["check", "--config", path.to_str().unwrap()])
        .args(more)
        .env_remove("ASPNETCORE_ENVIRONMENT")
        .env_remove("DOTNET_ENVIRONMENT")
        .envs(variables.iter().copied());
    command.output().unwrap()
}

#[test]
fn ports_of_containers_are_listened_on_in_all_three_spellings() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    for name in ["ASPNETCORE_HTTP_PORTS", "DOTNET_HTTP_PORTS", "HTTP_PORTS"] {
        let ports = [free_port(), free_port()];
        let value = format!("{};{}", ports[0], ports[1]);
        let front = Process::spawn(command(&sandbox, &delegating_to(&["q"]), &[(name, &value)]));
        let line = front.line();
        assert!(line.starts_with("listening on http://"), "{line}");
        for port in ports {
            let mut client = Client::connect(port);
            assert_eq!(client.ask("GET", "/").pid(), target.pid(), "{name}");
        }
        // Both address families, where the machine has both.
        if TcpListener::bind(SocketAddr::from(([0u16; 8], 0))).is_ok() {
            let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], ports[0]));
            std::net::TcpStream::connect(v6).unwrap();
        }
    }
}

#[test]
fn prefixed_variables_say_every_setting_and_files_win_over_them() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let port = free_port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let queue = "ASPNETCORE_ReverseProxy__Clusters__all__Destinations__a/1__Metadata__HttpSysDelegationQueue";
    let front = Process::spawn(command(
        &sandbox,
        &delegating_to(&["a"]),
        &[
            (
                "ASPNETCORE_Kestrel__Endpoints__Http__Url",
                "http://127.0.0.1:1",
            ),
            ("dotnet_kestrel__endpoints__http__url", &endpoint),
            // The file has the same key.
            (queue, "b"),
        ],
    ));
    assert_eq!(front.line(), format!("listening on {endpoint}"));
    assert_eq!(
        Client::connect(port).ask("GET", "/").pid(),
        targets[0].pid()
    );
}

#[test]
fn the_environment_is_dotnets_before_aspnetcores_and_the_command_lines_before_both() {
    let sandbox = Sandbox::new();
    let json = delegating_to(&["q"]);
    for name in ["Dev", "Prod", "Line", "Production"] {
        let file = sandbox.path().join(format!("ostler.{name}.json"));
        let policy = format!(
            r#"{{ "ReverseProxy": {{ "Clusters": {{ "all": {{ "LoadBalancingPolicy": "of-{name}" }} }} }} }}"#
        );
        std::fs::write(file, policy).unwrap();
    }
    let both = [
        ("DOTNET_ENVIRONMENT", "Dev"),
        ("aspnetcore_environment", "Prod"),
    ];
    for (variables, arguments, wanted) in [
        (&both[..], &[][..], "of-Dev"),
        (&both[1..], &[], "of-Prod"),
        (&both, &["--environment=Line"], "of-Line"),
        (&both, &["--environment", "Line"], "of-Line"),
        (&both, &["Environment=Line"], "of-Line"),
        (&[("ENVIRONMENT", "Dev")], &[], "of-Production"),
        (&[("DOTNET_ENVIRONMENT", ""), both[1]], &[], "of-Prod"),
    ] {
        let output = check(&sandbox, &json, variables, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        let error = said
            .lines()
            .find(|line| line.starts_with("error: "))
            .unwrap();
        assert!(
            error.contains(wanted),
            "{variables:?} {arguments:?}: {said}"
        );
    }
}

#[test]
fn a_setting_of_the_host_that_does_nothing_here_is_warned_of() {
    let sandbox = Sandbox::new();
    let json = delegating_to(&["q"]);
    for name in [
        "ASPNETCORE_FORWARDEDHEADERS_ENABLED",
        "DOTNET_FORWARDEDHEADERS_ENABLED",
        "ForwardedHeaders_Enabled",
    ] {
        let output = check(&sandbox, &json, &[(name, "true")], &[]);
        assert_eq!(output.status.code(), Some(0));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("warning: ")
                && said.contains("X-Forwarded-For")
                && said.contains(name),
            "{said}"
        );
    }
}

#[test]
fn a_stop_waits_as_long_as_the_environment_says() {
    let sandbox = Sandbox::new();
    let (_destination, address) = sandbox.listening_target("q");
    let json = delegating_to(&["q"])
        .replace(", \"HttpSysDelegation\"", "")
        .replace("http://*:80/", &address);
    let port = free_port();
    let urls = format!("http://127.0.0.1:{port}");
    let front = Process::spawn(command(
        &sandbox,
        &json,
        &[
            ("ASPNETCORE_URLS", &urls),
            ("DOTNET_SHUTDOWNTIMEOUTSECONDS", "1"),
        ],
    ));
    assert_eq!(front.line(), format!("listening on {urls}"));
    // A download that nobody reads on keeps the front from stopping by itself.
    let mut client = Client::connect(port);
    client.send("GET /bytes/500000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.try_head().unwrap().0, 200);
    front.signal("TERM");
    assert!(front.wait().success());
    let said = front.errors().join("\n");
    assert!(said.contains("the drain timeout is over"), "{said}");
}
