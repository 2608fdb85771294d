//! What a front and a target do with few descriptors.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support::{Client, Process, Sandbox, delegating_by_path, eventually};

/// What starts a front of one thread that may open so many files.
fn starting_with_files(sandbox: &Sandbox, json: &str, files: u32) -> Command {
    let configuration = sandbox.configuration(json);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"]);
    command.args([env!("CARGO_BIN_EXE_ostler"), "run", "--threads", "1"]);
    command.args(["--urls", "http://127.0.0.1:0"]);
    command.args(["--config", configuration.to_str().unwrap()]);
    command.env("OSTLER_RUNTIME_DIR", sandbox.runtime());
    command
}

/// A front of one thread that may open so many files, ready; and its port.
fn front_with_files(sandbox: &Sandbox, json: &str, files: u32) -> (Process, u16) {
    let process = Process::spawn(starting_with_files(sandbox, json, files));
    let line = process.line();
    let port = line.rsplit(':').next().unwrap().parse().expect(&line);
    (process, port)
}

/// A sample target that may open so many files, ready.
fn target_with_files(sandbox: &Sandbox, queue: &str, files: u32) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"]);
    command.args([env!("CARGO_BIN_EXE_ostler"), "sample-target"]);
    command.args(["--queue", queue, "--threads", "1"]);
    command.env("OSTLER_RUNTIME_DIR", sandbox.runtime());
    let process = Process::spawn(command);
    process.wait_for_line(&format!("queue {queue} ready"));
    process
}

fn says(process: &Process, part: &str) -> bool {
    process.errors().iter().any(|line| line.contains(part))
}

/// Before, it said that it listened, and nobody was there to answer.
#[test]
fn a_front_that_cannot_open_what_its_threads_need_does_not_start() {
    let sandbox = Sandbox::new();
    let mut failures = Vec::new();
    for files in 12..100 {
        let mut command = starting_with_files(&sandbox, r#"{ "ReverseProxy": {} }"#, files);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut front = command.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(front.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        if !line.is_empty() {
            front.kill().unwrap();
            front.wait().unwrap();
            break;
        }
        let output = front.wait_with_output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        failures.push(String::from_utf8(output.stderr).unwrap());
    }
    // The threads are the last of what it needs.
    let last = failures.last().expect("twelve files are too few");
    assert!(last.contains("cannot start a thread: "), "{failures:?}");
}

/// Before, those for whom there was no descriptor were reset.
#[test]
fn a_front_that_stops_serves_who_waits_when_descriptors_are_there_again() {
    const WAITING: usize = 150;
    let sandbox = Sandbox::new();
    let (front, port) = front_with_files(&sandbox, r#"{ "ReverseProxy": {} }"#, 128);
    let mut idle = Vec::new();
    eventually("the front takes no more clients", || {
        idle.push(Client::connect(port));
        says(&front, "clients wait to be accepted")
    });
    let mut waiting: Vec<_> = (0..WAITING).map(|_| Client::connect(port)).collect();
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    front.signal("TERM");
    for client in &mut waiting {
        assert_eq!(client.response().status, 404);
    }
    assert!(front.wait().success());
}

/// Before, clients that had been answered and were idle kept others from a target for as long as they
/// stayed; of two threads of a front each gave the target as many as it had room for.
#[test]
fn idle_clients_make_room_for_others_whatever_the_threads() {
    for threads in ["1", "3"] {
        let sandbox = Sandbox::new();
        // Room for some sixty clients.
        let target = target_with_files(&sandbox, "q", 128);
        let json = delegating_by_path(&["q"]);
        let front = sandbox.front_with(&json, &["--threads", threads]);
        let mut clients: Vec<_> = (0..200).map(|_| front.connect()).collect();
        for _ in 0..3 {
            for client in &mut clients {
                assert_eq!(client.ask("GET", "/q/").pid(), target.pid());
            }
        }
        assert!(target.descriptors() < 128);
        assert!(!says(&target, "misbehaves"), "{:#?}", target.errors());
        assert!(!says(&front.process, "is gone"));
    }
}

/// As many fronts as there are may each give a target what it has room for: what it cannot receive comes
/// back, and the channel stays.
#[test]
fn a_target_without_room_gives_requests_back() {
    let sandbox = Sandbox::new();
    let target = target_with_files(&sandbox, "q", 160);
    let json = delegating_by_path(&["q"]);
    let fronts: Vec<_> = (0..3).map(|_| sandbox.front(&json)).collect();
    let mut clients = Vec::new();
    for front in &fronts {
        clients.extend((0..80).map(|_| front.connect()));
    }
    let mut asked: Vec<_> = Vec::new();
    for (at, mut client) in clients.into_iter().enumerate() {
        client.send("GET /q/ HTTP/1.1\r\nHost: h\r\n\r\n");
        if at % 3 == 0 {
            // A third stays, idle once it is answered.
            asked.push(client);
        } else {
            assert!(
                client
                    .try_response()
                    .is_ok_and(|response| response.pid() == target.pid())
            );
        }
    }
    for client in &mut asked {
        assert_eq!(client.response().pid(), target.pid());
    }
    assert!(!says(&target, "misbehaves"), "{:#?}", target.errors());
}

/// The kernel counts descriptors in flight by user. One target that does not receive them keeps no other
/// from its own, and is not blamed for what it did not do.
#[test]
fn a_stopped_target_does_not_keep_a_healthy_one_from_its_clients() {
    let sandbox = crate::relay::shared_sandbox();
    // Root's descriptors in flight are not counted.
    let Some(sandbox) = sandbox else { return };
    let user = ["--reuid", "61003", "--regid", "61003", "--clear-groups"];
    let start = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 200; exec setpriv \"$@\"", "sh"]);
        command
            .args(user)
            .arg(sandbox.path().join("ostler"))
            .args(arguments);
        command.env("OSTLER_RUNTIME_DIR", sandbox.runtime());
        command.current_dir(sandbox.path());
        Process::spawn(command)
    };
    let targets = ["stopped", "healthy"].map(|queue| {
        let target = start(&["sample-target", "--queue", queue, "--threads", "1"]);
        target.wait_for_line(&format!("queue {queue} ready"));
        target
    });
    let configuration = sandbox.configuration(&delegating_by_path(&["stopped", "healthy"]));
    let configuration = configuration.to_str().unwrap();
    let run = [
        "run",
        "--threads",
        "2",
        "--urls",
        "http://127.0.0.1:0",
        "--config",
    ];
    let front = start(&[&run[..], &[configuration]].concat());
    let line = front.line();
    let port = line.rsplit(':').next().unwrap().parse().expect(&line);
    let ask = |path: &str| Client::connect(port).ask("GET", path).pid();
    // Both threads have channels to both.
    for _ in 0..16 {
        ask("/stopped/");
        ask("/healthy/");
    }
    targets[0].signal("STOP");
    let wait = || {
        let mut client = Client::connect(port);
        client.send("GET /stopped/ HTTP/1.1\r\nHost: h\r\n\r\n");
        client
    };
    let mut waiting: Vec<_> = (0..10).map(|_| wait()).collect();
    // What has been sent to the target stays on its way when its client leaves.
    for _ in 0..300 {
        drop(wait());
    }
    for _ in 0..60 {
        assert_eq!(ask("/healthy/"), targets[1].pid());
    }
    targets[0].signal("CONT");
    for client in &mut waiting {
        assert_eq!(client.response().pid(), targets[0].pid());
    }
    assert!(!says(&front, "in flight"), "{:#?}", front.errors());
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
