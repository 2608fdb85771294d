//! `ostler exec`: programs that know nothing of queues.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::fronts::{has_ended, signal};
use crate::support::http2_client::{Http2Client, get, run};
use crate::support::{Client, Front, Process, Sandbox, delegating_to, eventually};
use crate::upgrades::{frames_behind_the_handshake_arrive, web_socket};

/// The ways in which a program is told where to listen.
const PLACES: [&[&str]; 4] = [&[], &["--listen-fd", "tcp"], &["--port"], &["--unix"]];

/// A server of Python's standard library.
pub(crate) fn server() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/programs/server.py");
    path.to_str().unwrap().to_owned()
}

/// `ostler exec` with a program, for the queue `q`, as it starts.
fn exec(sandbox: &Sandbox, options: &[&str], program: &[&str]) -> Process {
    let mut arguments = vec!["exec", "--queue", "q"];
    arguments.extend(options);
    arguments.push("--");
    arguments.extend(program);
    sandbox.ostler(&arguments)
}

/// The same with the server, ready.
fn exec_server(sandbox: &Sandbox, options: &[&str]) -> Process {
    let process = exec(sandbox, options, &["python3", &server()]);
    process.wait_for_line("queue q ready");
    process
}

/// The program that answers.
fn program(front: &Front) -> u32 {
    front.ask("GET", "/").pid()
}

/// `GET /hold`, begun by the program; it goes on once the file is there.
fn hold(sandbox: &Sandbox, front: &Front) -> (Client, std::path::PathBuf) {
    let file = sandbox.path().join("go");
    let mut client = front.connect();
    client.send(format!(
        "GET /hold?{} HTTP/1.1\r\nHost: x\r\n\r\n",
        file.display()
    ));
    eventually("it is held", || begun(&file).is_some());
    (client, file)
}

/// Who holds it.
fn begun(file: &Path) -> Option<u32> {
    let said = fs::read_to_string(file.with_extension("begun")).ok()?;
    said.parse().ok()
}

#[test]
fn a_program_that_knows_nothing_serves_a_queue_wherever_it_listens() {
    for place in PLACES {
        let sandbox = Sandbox::new();
        let process = exec_server(&sandbox, place);
        let front = sandbox.front(&delegating_to(&["q"]));
        let mut client = front.connect();
        let pid = client.ask("GET", "/").pid();
        assert_ne!(pid, process.pid(), "{place:?}");
        for _ in 0..3 {
            assert_eq!(client.ask("GET", "/").pid(), pid, "{place:?}");
        }
        let head = client.ask("HEAD", "/");
        assert_eq!((head.status, head.body.len()), (200, 0), "{place:?}");
        drop(front);
        process.signal("TERM");
        assert!(
            process.wait().success(),
            "{place:?}: {:?}",
            process.errors()
        );
        eventually("the program has ended", || has_ended(pid));
        assert!(
            sandbox.output(&["queues"]).starts_with("no queues"),
            "{place:?}"
        );
    }
}

/// It has no other knowledge of its place than an argument.
#[test]
fn pythons_own_file_server_serves_a_queue() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("page"), "a page\n").unwrap();
    let folder = sandbox.path().to_str().unwrap();
    let serve = [
        "python3",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
    ];
    let process = exec(
        &sandbox,
        &["--port"],
        &[&serve[..], &[folder, "${PORT}"]].concat(),
    );
    process.wait_for_line("queue q ready");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/page").text(), "a page");
        assert_eq!(client.ask("GET", "/none").status, 404);
    }
}

#[test]
fn a_program_is_told_who_the_client_is() {
    let sandbox = Sandbox::new();
    let fronts = ["Set", "Append"].map(|action| {
        let route = delegating_to(&["q"]).replacen(
            r#""Match""#,
            &format!(r#""Transforms": [ {{ "X-Forwarded": "{action}" }} ], "Match""#),
            1,
        );
        sandbox.front(&route)
    });
    let said = "GET /echo?a=%20b HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 192.0.2.1\r\n\
                Forwarded: for=192.0.2.1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n";
    let asked = |front: &Front, options: &[&str]| -> Vec<(String, String)> {
        let _process = exec_server(&sandbox, options);
        let mut client = front.connect();
        client.send(said);
        let answer = client.response().json();
        assert_eq!(answer[0], "/echo?a=%20b");
        let mut fields: Vec<(String, String)> = serde_json::from_value(answer[1].clone()).unwrap();
        for (name, _) in &mut fields {
            name.make_ascii_lowercase();
        }
        fields.sort();
        fields
    };
    let fields = |more: &[(&str, &str)]| {
        let all = [("host", "shop.test"), ("x-end", "2")];
        let all = all.iter().chain(more);
        let mut all: Vec<_> = all
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        all.sort();
        all
    };
    let [sets, appends] = &fronts;
    let set = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "shop.test"),
        ("x-forwarded-proto", "http"),
    ];
    assert_eq!(asked(sets, &[]), fields(&set));
    let mut appended = set;
    appended[0].1 = "192.0.2.1, 127.0.0.1";
    assert_eq!(asked(appends, &[]), fields(&appended));
    assert_eq!(asked(appends, &["--forwarded", "set"]), fields(&set));
    assert_eq!(
        asked(appends, &["--forwarded", "forwarded"]),
        fields(&[("forwarded", "for=127.0.0.1;proto=http;host=\"shop.test\"")])
    );
    assert_eq!(asked(appends, &["--forwarded", "off"]), fields(&appended));
}

#[test]
fn bodies_pass_in_both_directions_as_they_come() {
    let sandbox = Sandbox::new();
    let _process = exec_server(&sandbox, &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    client.send("POST /duplex HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (status, _) = client.try_head().unwrap();
    assert_eq!(status, 200);
    for word in ["one", "two", "three"] {
        let chunk = format!("{:x}\r\n{word}\r\n", word.len());
        client.send(&chunk);
        assert_eq!(client.read(chunk.len()), chunk.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read(5), b"0\r\n\r\n");
    // The connection goes on behind it.
    let go = sandbox.path().join("go");
    client.send(format!(
        "GET /drip?{} HTTP/1.1\r\nHost: x\r\n\r\n",
        go.display()
    ));
    client.try_head().unwrap();
    assert_eq!(client.read(11), b"6\r\nfirst\n\r\n");
    fs::write(&go, "").unwrap();
    assert_eq!(client.read(17), b"7\r\nsecond\n\r\n0\r\n\r\n");
}

/// A sample target that listens, too, is the program, and is asked by the queue `q` alone.
fn exec_sample(sandbox: &Sandbox, options: &[&str]) -> Process {
    let sample = env!("CARGO_BIN_EXE_ostler");
    let mut program = vec![sample, "sample-target", "--queue", "own", "--threads", "1"];
    program.extend(["--listen", "127.0.0.1:${PORT}"]);
    let process = exec(sandbox, &[&["--port"], options].concat(), &program);
    process.wait_for_line("queue q ready");
    process
}

#[test]
fn a_web_socket_reaches_the_program() {
    let sandbox = Sandbox::new();
    let process = exec_sample(&sandbox, &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    frames_behind_the_handshake_arrive(&mut front.connect());
    let mut socket = web_socket(front.port, "");
    socket.send("a".repeat(100_000).into()).unwrap();
    assert_eq!(socket.read().unwrap().into_text().unwrap().len(), 100_000);
    process.signal("TERM");
    assert!(process.wait().success());
}

#[test]
fn large_bodies_arrive_as_they_are_over_http1_and_http2() {
    for options in [&[][..], &["--http2"]] {
        let sandbox = Sandbox::new();
        let _process = exec_sample(&sandbox, options);
        let front = sandbox.front(&delegating_to(&["q"]));
        let mut client = front.connect();
        let direct = client.post("/upload", &vec![b'x'; 3_000_000]).json();
        assert_eq!(direct["length"], 3_000_000, "{options:?}");
        assert_eq!(client.ask("GET", "/bytes/3000000").body.len(), 3_000_000);
        assert_eq!(client.ask("GET", "/stream/3000000").body.len(), 3_000_000);
        let echo: Value = client.ask("GET", "/echo").json();
        assert_eq!(echo["arrival"], "direct");
    }
}

#[test]
fn trailers_and_http2_clients_are_passed_on() {
    for options in [&[][..], &["--http2"]] {
        let sandbox = Sandbox::new();
        let _process = exec_sample(&sandbox, options);
        let front = sandbox.front(&delegating_to(&["q"]));
        run(async {
            let client = Http2Client::connect(front.port).await;
            let mut asked = get("/trailers");
            let te = "trailers".parse().unwrap();
            asked.headers_mut().insert("te", te);
            let response = client.ask(asked).await;
            assert_eq!(response.status(), 200, "{options:?}");
            assert!(!response.trailers.unwrap().is_empty(), "{options:?}");
            let sent = client.post("/upload", &vec![b'x'; 1_000_000]).await;
            assert_eq!(sent.json()["length"], 1_000_000, "{options:?}");
            let echo = client.get("/echo").await.json();
            let host = &echo["fields"]
                .as_array()
                .unwrap()
                .iter()
                .find(|field| field[0] == "x-forwarded-host");
            assert_eq!(host.unwrap()[1], "example.org", "{options:?}");
        });
    }
}

#[test]
fn a_client_that_goes_away_is_gone_for_the_program() {
    let sandbox = Sandbox::new();
    let _process = exec_server(&sandbox, &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let (client, file) = hold(&sandbox, &front);
    drop(client);
    eventually("the program knows", || file.with_extension("gone").exists());
    assert_eq!(front.ask("GET", "/").status, 200);
}

#[test]
fn a_stop_ends_what_is_under_way_before_the_program() {
    let sandbox = Sandbox::new();
    let process = exec_server(&sandbox, &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let (mut client, file) = hold(&sandbox, &front);
    process.signal("TERM");
    eventually("the queue is left", || {
        sandbox.output(&["queues"]).starts_with("no queues")
    });
    assert!(process.is_running());
    fs::write(&file, "").unwrap();
    assert_eq!(client.response().status, 200);
    assert!(process.wait().success(), "{:?}", process.errors());
}

#[test]
fn a_program_that_does_not_stop_is_killed() {
    let sandbox = Sandbox::new();
    let deaf = ["python3", &server(), "--deaf"];
    let process = exec(&sandbox, &["--stop-timeout", "1"], &deaf);
    process.wait_for_line("queue q ready");
    let front = sandbox.front(&delegating_to(&["q"]));
    let pid = program(&front);
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(128 + 9));
    assert!(has_ended(pid));
    let said = process.errors().join("\n");
    assert!(said.contains("the stop timeout is over"), "{said}");
}

#[test]
fn other_signals_are_the_programs() {
    let sandbox = Sandbox::new();
    let process = exec_server(&sandbox, &[]);
    process.signal("HUP");
    eventually("it is heard", || {
        process.errors().iter().any(|line| line == "reloaded")
    });
    assert!(process.is_running());
}

#[test]
fn what_a_program_said_before_it_failed_is_told() {
    let sandbox = Sandbox::new();
    let process = exec(&sandbox, &[], &["python3", &server(), "--fail"]);
    assert_eq!(process.wait().code(), Some(7));
    let said = process.errors().join("\n");
    assert!(
        said.contains("ended before it was ready (exit status: 7); the last it said:"),
        "{said}"
    );
    assert!(said.ends_with("\n  there is no database"), "{said}");

    let process = exec(&sandbox, &[], &["/no/such/program"]);
    assert_ne!(process.wait().code(), Some(0));
    let said = process.errors().join("\n");
    assert!(
        said.contains("cannot start /no/such/program: No such file"),
        "{said}"
    );

    let idle = ["python3", &server(), "--idle"];
    for (place, named) in [
        (
            &["--port", "1"][..],
            "it does not accept connections at port 1 of this host",
        ),
        (
            &[],
            "it does not accept connections at the socket that it was passed",
        ),
    ] {
        let process = exec(
            &sandbox,
            &[&["--start-timeout", "1"], place].concat(),
            &idle,
        );
        assert_eq!(process.wait().code(), Some(1));
        let said = process.errors().join("\n");
        assert!(said.contains(named), "{said}");
    }
    assert!(sandbox.output(&["queues"]).starts_with("no queues"));
}

#[test]
fn a_program_is_ready_when_it_answers_its_path() {
    let sandbox = Sandbox::new();
    let process = exec(
        &sandbox,
        &["--ready-path", "/exit?5"],
        &["python3", &server()],
    );
    assert_eq!(process.wait().code(), Some(5));
    let process = exec(
        &sandbox,
        &["--ready-path", "/env?HOME"],
        &["python3", &server()],
    );
    process.wait_for_line("queue q ready");
}

#[test]
fn what_a_program_dies_over_goes_to_another_instance() {
    let sandbox = Sandbox::new();
    let front = sandbox.front(&delegating_to(&["q"]));
    let first = exec_server(&sandbox, &[]);
    let (mut client, file) = hold(&sandbox, &front);
    let died = begun(&file).unwrap();
    let second = exec_server(&sandbox, &[]);
    assert!(signal(died, "KILL"));
    assert_eq!(first.wait().code(), Some(128 + 9));
    fs::write(&file, "").unwrap();
    let answer = client.response();
    assert_eq!(answer.status, 200);
    assert_ne!(answer.pid(), died);
    let said = first.errors().join("\n");
    assert!(said.contains("has ended (signal: 9"), "{said}");
    drop(second);
}

#[test]
fn the_program_ends_with_whoever_started_it() {
    let sandbox = Sandbox::new();
    let process = exec_server(&sandbox, &[]);
    let front = sandbox.front(&delegating_to(&["q"]));
    let pid = program(&front);
    process.kill();
    eventually("the program has ended, too", || has_ended(pid));
}
