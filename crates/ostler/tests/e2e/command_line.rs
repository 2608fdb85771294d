//! The command line, which others script against: commands, exit codes, reloads, overrides.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::http2_client::{self, Http2Client};
use crate::support::{
    Authority, Front, Process, Sandbox, TlsSettings, delegating_by_path, delegating_to, eventually,
};

/// What a mistake in the configuration exits with.
const EXIT_CONFIGURATION: i32 = 64;

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command
        .args(arguments)
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Exit code, standard output, standard error of `ostler check`.
fn check(sandbox: &Sandbox, json: &str, settings: &[&str]) -> (i32, String, String) {
    let path = sandbox.configuration(json);
    let mut arguments = vec!["check", "--config", path.to_str().unwrap()];
    arguments.extend(settings);
    let output = run(sandbox, &arguments);
    (
        output.status.code().unwrap(),
        stdout(&output),
        stderr(&output),
    )
}

/// A front with variables of its own in its environment.
fn front_with_environment(sandbox: &Sandbox, json: &str, variables: &[(&str, &str)]) -> Front {
    let path = sandbox.configuration(json);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command.args(["run", "--config", path.to_str().unwrap(), "--threads", "1"]);
    command.args(["--urls", "http://127.0.0.1:0"]);
    command
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime())
        .envs(variables.iter().copied());
    let process = Process::spawn(command);
    let line = process.line();
    let port = line
        .strip_prefix("listening on http://127.0.0.1:")
        .expect(&line);
    Front {
        port: port.parse().unwrap(),
        process,
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

const BROKEN: &str = r#"{ "ReverseProxy": {
    "Routes": { "r1": { "ClusterId": "c1", "Order": "soon", "Match": { "Path": "/{unclosed" } } },
    "Clusters": { "c1": { "LoadBalancingPolicy": "Guess",
        "Destinations": { "d1": { "Address": "http://127.0.0.1:1/" } } } } } }"#;

#[test]
fn check_succeeds_with_a_configuration_that_runs() {
    let sandbox = Sandbox::new();
    let (code, out, err) = check(&sandbox, &delegating_by_path(&["a", "b"]), &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("ok, 2 route(s), 2 cluster(s), 0 warning(s)"),
        "{out}"
    );
}

#[test]
fn check_names_every_mistake_by_its_path() {
    let sandbox = Sandbox::new();
    let (code, out, err) = check(&sandbox, BROKEN, &[]);
    assert_eq!((code, out.as_str()), (EXIT_CONFIGURATION, ""));
    for path in [
        "ReverseProxy:Routes:r1:Order",
        "ReverseProxy:Routes:r1:Match:Path",
        "ReverseProxy:Clusters:c1:LoadBalancingPolicy",
    ] {
        let line = err
            .lines()
            .find(|line| line.starts_with(&format!("error: {path}: ")));
        let line = line.unwrap_or_else(|| panic!("nothing about {path} in {err}"));
        assert!(line.contains("ostler.json:"), "{line} does not say where");
    }
}

#[test]
fn check_refuses_what_is_not_json_or_not_there() {
    let sandbox = Sandbox::new();
    let (code, out, err) = check(&sandbox, r#"{ "ReverseProxy": { "Routes": "#, &[]);
    assert_eq!((code, out.as_str()), (EXIT_CONFIGURATION, ""));
    assert!(err.contains("ostler.json:1:"), "{err}");
    let output = run(&sandbox, &["check", "--config", "/nowhere/at/all.json"]);
    assert_eq!(output.status.code(), Some(EXIT_CONFIGURATION));
    assert!(stderr(&output).contains("/nowhere/at/all.json"));
}

#[test]
fn check_takes_settings_over_the_file() {
    let sandbox = Sandbox::new();
    let good = "ReverseProxy:Clusters:all:LoadBalancingPolicy=LeastRequests";
    let bad = "ReverseProxy:Clusters:all:LoadBalancingPolicy=Guess";
    assert_eq!(check(&sandbox, &delegating_to(&["q"]), &[good]).0, 0);
    let (code, _, err) = check(&sandbox, &delegating_to(&["q"]), &[bad]);
    assert_eq!(code, EXIT_CONFIGURATION);
    assert!(
        err.contains("ReverseProxy:Clusters:all:LoadBalancingPolicy"),
        "{err}"
    );
}

#[test]
fn check_warns_of_what_has_no_effect() {
    let sandbox = Sandbox::new();
    let json = r#"{ "ReverseProxy": {
        "Routes": { "r1": { "ClusterId": "c1", "Match": { "Path": "{**rest}", "Colour": "red" } } },
        "Clusters": { "c1": { "Destinations": { "d1": { "Address": "http://127.0.0.1:1/",
            "Metadata": { "HttpSysDelegationQueue": "q" } } } } } } }"#;
    let (code, out, err) = check(&sandbox, json, &[]);
    assert_eq!(code, 0);
    assert!(out.contains("2 warning(s)"), "{out}");
    for path in [
        "ReverseProxy:Routes:r1:Match:Colour",
        "ReverseProxy:Clusters:c1:Destinations:d1:Metadata:HttpSysDelegationQueue",
    ] {
        assert!(
            err.lines()
                .any(|line| line.starts_with(&format!("warning: {path}: "))),
            "{path}: {err}"
        );
    }
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["saddle"][..],
        &["run"],
        &["check"],
        &["sample-target"],
        &["queues", "--xml"],
    ] {
        let output = run(&sandbox, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("Usage:"), "{arguments:?}");
    }
    let version = run(&sandbox, &["--version"]);
    assert!(version.status.success());
    assert!(stdout(&version).starts_with("ostler "));
}

#[test]
fn run_does_not_listen_with_an_invalid_configuration() {
    let sandbox = Sandbox::new();
    let path = sandbox.configuration(BROKEN);
    let urls = format!("http://127.0.0.1:{}", free_port());
    let output = run(
        &sandbox,
        &["run", "--config", path.to_str().unwrap(), "--urls", &urls],
    );
    assert_eq!(output.status.code(), Some(EXIT_CONFIGURATION));
    assert_eq!(stdout(&output), "", "it said that it listens");
    assert!(stderr(&output).contains("error: ReverseProxy:Routes:r1:Order: "));
}

#[test]
fn run_fails_where_it_cannot_listen() {
    let sandbox = Sandbox::new();
    let path = sandbox.configuration(&delegating_to(&["q"]));
    for urls in ["http://192.0.2.1:80", "tcp://127.0.0.1:0", "http://"] {
        let output = run(
            &sandbox,
            &["run", "--config", path.to_str().unwrap(), "--urls", urls],
        );
        assert!(!output.status.success(), "{urls}");
        assert_eq!(stdout(&output), "", "{urls}");
        assert!(
            stderr(&output).contains("error"),
            "{urls}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn port_0_is_a_port_of_its_own_for_each_front_and_url() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let path = sandbox.configuration(&delegating_to(&["q"]));
    let urls = "http://127.0.0.1:0;http://127.0.0.1:0";
    let arguments = [
        "run",
        "--config",
        path.to_str().unwrap(),
        "--threads",
        "2",
        "--urls",
        urls,
    ];
    let mut ports = std::collections::BTreeSet::new();
    let fronts = [sandbox.ostler(&arguments), sandbox.ostler(&arguments)];
    for front in &fronts {
        for _ in 0..2 {
            let line = front.line();
            let port = line
                .strip_prefix("listening on http://127.0.0.1:")
                .expect(&line);
            ports.insert(port.parse::<u16>().unwrap());
        }
    }
    assert_eq!(ports.len(), 4, "{ports:?}");
    for port in ports {
        assert_eq!(
            crate::support::Client::connect(port).ask("GET", "/").pid(),
            target.pid()
        );
    }
}

#[test]
fn a_signal_stops_a_front_with_success() {
    let sandbox = Sandbox::new();
    for signal in ["TERM", "INT"] {
        let front = sandbox.front(&delegating_to(&["q"]));
        front.process.signal(signal);
        assert_eq!(front.process.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn environment_variables_override_the_file() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let json = delegating_to(&["a"]);
    let front = front_with_environment(
        &sandbox,
        &json,
        &[(
            "ReverseProxy__Clusters__all__Destinations__a/1__Metadata__HttpSysDelegationQueue",
            "b",
        )],
    );
    assert_eq!(front.ask("GET", "/").pid(), targets[1].pid());
    // The same without case, as everything in a configuration is found.
    let front = front_with_environment(
        &sandbox,
        &json,
        &[("REVERSEPROXY__ROUTES__ALL__MATCH__PATH", "/only/{**rest}")],
    );
    assert_eq!(front.ask("GET", "/only/this").pid(), targets[0].pid());
    assert_eq!(front.ask("GET", "/other").status, 404);
}

#[test]
fn the_command_line_overrides_the_environment() {
    let sandbox = Sandbox::new();
    let path = sandbox.configuration(&delegating_to(&["q"]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    let policy = "ReverseProxy:Clusters:all:LoadBalancingPolicy";
    command.args(["check", "--config", path.to_str().unwrap()]);
    command.env(policy.replace(':', "__"), "Guess");
    assert_eq!(
        command.output().unwrap().status.code(),
        Some(EXIT_CONFIGURATION)
    );
    command.arg(format!("{policy}=Random"));
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

/// Waits until `path` is answered by `target`.
fn until_answered_by(front: &Front, target: &Process) {
    eventually("the new configuration is in force", || {
        let response = front.ask("GET", "/");
        response.status == 200 && response.pid() == target.pid()
    });
}

#[test]
fn a_changed_file_is_reloaded() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_to(&["a"]));
    assert_eq!(front.ask("GET", "/").pid(), targets[0].pid());
    sandbox.configuration(&delegating_to(&["b"]));
    until_answered_by(&front, &targets[1]);
    // By a rename over it, as editors and orchestrators do.
    let beside = sandbox.path().join("beside.json");
    std::fs::write(&beside, delegating_to(&["a"])).unwrap();
    std::fs::rename(&beside, sandbox.path().join("ostler.json")).unwrap();
    until_answered_by(&front, &targets[0]);
}

#[test]
fn each_of_several_files_is_reloaded() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let later = sandbox.path().join("later.json");
    let metadata = |queue: &str| {
        format!(
            r#"{{ "ReverseProxy": {{ "Clusters": {{ "all": {{ "Destinations": {{ "a/1": {{
                "Metadata": {{ "HttpSysDelegationQueue": "{queue}" }} }} }} }} }} }} }}"#
        )
    };
    std::fs::write(&later, metadata("b")).unwrap();
    let arguments = ["--threads", "1", "--config", later.to_str().unwrap()];
    let front = sandbox.front_with(&delegating_to(&["a"]), &arguments);
    assert_eq!(front.ask("GET", "/").pid(), targets[1].pid());
    std::fs::write(&later, metadata("a")).unwrap();
    until_answered_by(&front, &targets[0]);
}

#[test]
fn sighup_reloads_at_once_and_harms_no_request_in_flight() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_to(&["a"]));
    let mut upload = front.connect();
    upload.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    let mut download = front.connect();
    download.send("GET /bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    let (status, _) = download.try_head().unwrap();
    assert_eq!(status, 200);
    let mut idle = front.connect();
    assert_eq!(idle.ask("GET", "/").pid(), targets[0].pid());
    sandbox.configuration(&delegating_to(&["b"]));
    front.process.signal("HUP");
    until_answered_by(&front, &targets[1]);
    // What had begun ends where it began; what begins now goes the new way.
    upload.send("world");
    let answer = upload.response().json();
    assert_eq!(
        (answer["length"].as_u64(), answer["pid"].as_u64()),
        (Some(10), Some(targets[0].pid().into()))
    );
    assert_eq!(download.read(50_000_000).len(), 50_000_000);
    for client in [&mut upload, &mut download, &mut idle] {
        assert_eq!(client.ask("GET", "/").pid(), targets[1].pid());
    }
}

#[test]
fn an_invalid_reload_changes_nothing() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    for (invalid, said) in [
        (BROKEN, "ReverseProxy:Routes:r1:Order"),
        ("{ nonsense", "ostler.json:1:"),
    ] {
        sandbox.configuration(invalid);
        front.process.signal("HUP");
        eventually("the mistake is reported", || {
            front
                .process
                .errors()
                .iter()
                .any(|line| line.contains(said))
        });
        assert!(front.process.is_running());
        assert_eq!(front.ask("GET", "/").pid(), target.pid());
    }
    std::fs::remove_file(sandbox.path().join("ostler.json")).unwrap();
    front.process.signal("HUP");
    eventually("the missing file is reported", || {
        front
            .process
            .errors()
            .iter()
            .any(|line| line.contains("No such file"))
    });
    assert_eq!(front.ask("GET", "/").pid(), target.pid());
}

fn queues(sandbox: &Sandbox) -> serde_json::Value {
    serde_json::from_str(&sandbox.output(&["queues", "--json"])).unwrap()
}

#[test]
fn queues_says_who_serves_what() {
    let sandbox = Sandbox::new();
    assert_eq!(queues(&sandbox), serde_json::json!([]));
    let arguments = [
        "--url-prefix",
        "http://*:80/",
        "--url-prefix",
        "http://*:81/x/",
    ];
    let more = [
        "--label",
        "first",
        "--queue-limit",
        "7",
        "--wait-timeout",
        "9",
        "--verbosity",
        "full",
    ];
    let first = sandbox.target("Orders", &[&arguments[..], &more].concat());
    let second = sandbox.target("orders", &["--mode", "attach", "--label", "second"]);
    let front = sandbox.front(&delegating_to(&["ORDERS"]));
    for _ in 0..10 {
        assert_eq!(front.ask("GET", "/").status, 200);
    }
    let found = queues(&sandbox);
    let queue = &found[0];
    assert_eq!(
        found.as_array().unwrap().len(),
        1,
        "names compare without case: {found}"
    );
    assert_eq!(queue["name"], "Orders");
    assert_eq!(queue["limit"], 7);
    assert_eq!(queue["wait_timeout_ms"], 9000);
    assert_eq!(queue["depth"], 0);
    let instances = queue["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2);
    let by_pid = |pid: u32| {
        instances
            .iter()
            .find(|instance| instance["pid"] == pid)
            .unwrap()
    };
    for (process, label) in [(&first, "first"), (&second, "second")] {
        let instance = by_pid(process.pid());
        assert_eq!(
            (&instance["label"], &instance["state"]),
            (&label.into(), &"live".into())
        );
    }
    let prefixes = &by_pid(first.pid())["url_prefixes"];
    assert_eq!(prefixes.as_array().unwrap().len(), 2, "{prefixes}");
    eventually("each request is counted once", || {
        let found = queues(&sandbox);
        let instances = found[0]["instances"].as_array().unwrap();
        instances
            .iter()
            .map(|instance| instance["completed"].as_u64().unwrap())
            .sum::<u64>()
            == 10
    });
    let text = sandbox.output(&["queues"]);
    assert!(
        text.contains("Orders") && text.contains(&format!("pid {}", first.pid())),
        "{text}"
    );
    // A clean stop of the last takes the queue away.
    for process in [&first, &second] {
        process.signal("TERM");
        assert_eq!(process.wait().code(), Some(0));
    }
    assert_eq!(queues(&sandbox), serde_json::json!([]));
}

#[test]
fn queues_tells_a_dead_instance_from_a_silent_one() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("q", &[]);
    let state = || queues(&sandbox)[0]["instances"][0]["state"].clone();
    assert_eq!(state(), "live");
    target.signal("STOP");
    assert_eq!(state(), "silent");
    target.signal("CONT");
    eventually("it is live again", || state() == "live");
    target.kill();
    assert_eq!(state(), "dead", "a crash leaves the queue");
}

#[test]
fn a_queue_has_one_creator() {
    let sandbox = Sandbox::new();
    let attach = ["sample-target", "--queue", "q", "--mode", "attach"];
    let output = run(&sandbox, &attach);
    assert!(!output.status.success(), "there is nothing to attach to");
    let _target = sandbox.target("q", &[]);
    let output = run(
        &sandbox,
        &["sample-target", "--queue", "Q", "--mode", "create"],
    );
    assert!(!output.status.success());
    assert!(
        stderr(&output).starts_with("error: cannot open queue Q: "),
        "{}",
        stderr(&output)
    );
    let output = run(
        &sandbox,
        &["sample-target", "--queue", "p", "--url-prefix", "nonsense"],
    );
    assert!(!output.status.success());
    assert!(stderr(&output).contains("nonsense"), "{}", stderr(&output));
}

#[test]
fn the_demo_tells_its_story() {
    let sandbox = Sandbox::new();
    let output = run(&sandbox, &["demo", "--once"]);
    assert!(output.status.success(), "{output:?}");
    let story = stdout(&output);
    for word in ["front", "target", "1 GB", "SIGKILL", "WebSocket"] {
        assert!(story.contains(word), "nothing of {word} in {story}");
    }
    assert_eq!(
        story
            .lines()
            .filter(|line| line.contains("answered by"))
            .count(),
        4
    );
    let leftover = Path::new(&sandbox.runtime()).join("queues");
    assert!(!leftover.exists(), "the demo has a folder of its own");
}

#[test]
fn a_sample_target_serves_an_address_over_tls_with_http2_and_http1() {
    let sandbox = Sandbox::new();
    let authority = Authority::new("authority.example");
    let (chain, key) = authority
        .issue(&["localhost"])
        .write(&sandbox.runtime(), "direct");
    let files = format!("{},{}", chain.display(), key.display());
    let listen = ["--listen", "127.0.0.1:0", "--tls", &files];
    let process = sandbox.ostler(&[&["sample-target", "--queue", "q"], &listen[..]].concat());
    let line = process.line();
    let address = line.strip_prefix("listening on https://").expect(&line);
    let port = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let port = port.expect("a port");
    process.wait_for_line("queue q ready");

    let mut settings = TlsSettings::new(&authority);
    let mut client = settings.connect(port);
    client.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response().json()["arrival"], "direct");
    settings.alpn = &[b"h2"];
    let echo = http2_client::run(async {
        let client = Http2Client::over_tls(port, &settings).await;
        client.get("/echo").await.json()
    });
    assert_eq!(echo["arrival"], "direct");
    assert_eq!(echo["target"], http2_client::url("/echo"));
}

#[test]
fn a_pipeline_without_delegation_forwards() {
    let sandbox = Sandbox::new();
    let process = sandbox.ostler(&[
        "sample-target",
        "--queue",
        "q",
        "--threads",
        "1",
        "--listen",
        "127.0.0.1:0",
    ]);
    let line = process.line();
    let address = line.strip_prefix("listening on ").expect(&line);
    process.wait_for_line("queue q ready");
    let delegation = |pipeline: &str| {
        format!(
            r#"{{ "ReverseProxy": {{ {pipeline}
                "Routes": {{ "r": {{ "ClusterId": "c", "Match": {{ "Path": "{{**rest}}" }} }} }},
                "Clusters": {{ "c": {{ "Destinations": {{ "d": {{ "Address": "{address}/",
                    "Metadata": {{ "HttpSysDelegationQueue": "q" }} }} }} }} }} }} }}"#
        )
    };
    let path = "ReverseProxy:Clusters:c:Destinations:d:Metadata:HttpSysDelegationQueue";
    for pipeline in ["", r#""Pipeline": [ "SessionAffinity", "LoadBalancing" ],"#] {
        let json = delegation(pipeline);
        let front = sandbox.front(&json);
        let echo = front.ask("GET", "/echo").json();
        assert_eq!(
            (&echo["arrival"], &echo["pid"]),
            (&"direct".into(), &process.pid().into())
        );
        let (code, _, err) = check(&sandbox, &json, &[]);
        assert_eq!(code, 0);
        assert!(
            err.lines()
                .any(|line| line.starts_with(&format!("warning: {path}: "))),
            "{err}"
        );
    }
}

#[test]
fn one_line_an_exchange_at_debug_as_json_on_demand() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let arguments = [
        "--threads",
        "1",
        "--log",
        "ostler::exchange=debug",
        "--log-format",
        "json",
    ];
    let front = sandbox.front_with(&delegating_to(&["q"]), &arguments);
    assert_eq!(front.ask("GET", "/bytes/100").status, 200);
    assert_eq!(front.ask("GET", "/status/404").status, 404);
    let lines = || -> Vec<serde_json::Value> {
        let errors = front.process.errors();
        errors
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    eventually("both are logged", || lines().len() >= 2);
    let lines = lines();
    let statuses: Vec<_> = lines
        .iter()
        .map(|line| line["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 404]);
    for line in &lines {
        assert_eq!(
            (&line["mode"], &line["route"]),
            (&"delegated".into(), &"all".into())
        );
        assert_eq!(line["destination"], "q/1");
    }
    assert!(lines[0]["bytes_sent"].as_u64().unwrap() > 100);
    assert!(lines.iter().all(|line| line["micros"].is_u64()));
}

#[test]
fn the_schema_is_json_and_its_reader_may_have_seen_enough() {
    let sandbox = Sandbox::new();
    let output = run(&sandbox, &["schema"]);
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["ReverseProxy"].is_object());
    // More than a pipe holds.
    assert!(output.stdout.len() > 64 * 1024);
    let mut printing = Command::new(env!("CARGO_BIN_EXE_ostler"))
        .arg("schema")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(printing.stdout.take());
    let output = printing.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}
