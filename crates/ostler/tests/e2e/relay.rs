//! Targets of another user: the front keeps the client's socket and passes the bytes on, and the
//! application sees the same requests. These tests need root, to be somebody else.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::support::{Process, Sandbox, delegating_by_path, delegating_to, eventually};
use crate::upgrades::{converse, frames_behind_the_handshake_arrive, say_goodbye, web_socket};

/// A user nobody is logged in as.
const STRANGER: &str = "65534";

/// A sandbox that another user can work in; `None`, with a message, where this is impossible.
pub(crate) fn shared_sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if std::fs::metadata(sandbox.path()).unwrap().uid() != 0 {
        eprintln!("only root can start a target of another user; nothing is tested");
        return None;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        eprintln!("setpriv is not there; nothing is tested");
        return None;
    }
    let runtime = sandbox.runtime();
    let queues = runtime.join("queues");
    std::fs::create_dir(&queues).unwrap();
    for folder in [sandbox.path(), &runtime, &queues] {
        std::fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
    }
    // The program itself may lie where only root can go.
    let program = sandbox.path().join("ostler");
    let built = env!("CARGO_BIN_EXE_ostler");
    if std::fs::hard_link(built, &program).is_err() {
        std::fs::copy(built, &program).unwrap();
    }
    Some(sandbox)
}

/// A sample target on a queue, run by another user, ready.
pub(crate) fn target_of_a_stranger(sandbox: &Sandbox, queue: &str, mode: &str) -> Process {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"]);
    command.arg(sandbox.path().join("ostler"));
    command.args([
        "sample-target",
        "--queue",
        queue,
        "--threads",
        "1",
        "--mode",
        mode,
    ]);
    command
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime())
        .current_dir(sandbox.path());
    let process = Process::spawn(command);
    process.wait_for_line(&format!("queue {queue} ready"));
    process
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn the_application_of_a_stranger_sees_the_same_requests() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    let own = client.local_address().to_string();
    client.send(
        "POST /x/echo?q=1 HTTP/1.1\r\nHost: example.com:81\r\nA: 1\r\nB: caf\u{e9}\r\na: 2\r\n\
         Content-Length: 5\r\n\r\nhello",
    );
    let echo = client.response().json();
    assert_eq!(echo["arrival"], "relayed");
    assert_eq!(echo["pid"], target.pid());
    assert_eq!(echo["client"], own);
    assert_eq!(echo["local"], format!("127.0.0.1:{}", front.port));
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["target"], "/x/echo?q=1");
    assert_eq!(echo["sha256"], sha256(b"hello"));
    let field = |name: &str| -> Vec<String> {
        let fields = echo["fields"].as_array().unwrap().iter();
        let named = fields.filter(|field| field[0] == name);
        named
            .map(|field| field[1].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(field("host"), ["example.com:81"]);
    assert_eq!(field("a"), ["1", "2"]);
    // Each byte as the character of its number.
    assert_eq!(field("b"), ["caf\u{c3}\u{a9}"]);
    assert_eq!(
        field("x-forwarded-for"),
        [""; 0],
        "a relayed target is told otherwise"
    );
    let head = client.ask("HEAD", "/bytes/12345");
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("12345"))
    );
    assert_eq!(client.ask("GET", "/status/204").status, 204);
    assert_eq!(client.ask("GET", "/panic").status, 500);
    assert_eq!(client.ask("GET", "/").pid(), target.pid());
}

#[test]
fn bodies_of_a_relayed_exchange_pass_through_the_front_unharmed() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/").status, 200);
    let before = front.process.bytes_moved();
    let body: Vec<u8> = (0..10_000_000u32).map(|at| (at % 251) as u8).collect();
    let answer = client.post("/upload", &body).json();
    assert_eq!(answer["length"], body.len());
    assert_eq!(answer["sha256"], sha256(&body));
    // This also shows what the count would be if a delegated body went this way.
    assert!(front.process.bytes_moved() - before > body.len() as u64);
    client.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(1_000_000) {
        client.send(format!("{:x};of=ten\r\n", chunk.len()));
        client.send(chunk);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().json(), answer);
    for path in ["/bytes/10000000", "/stream/10000000"] {
        let pattern = (0..10_000_000u32).map(|at| at as u8);
        assert!(
            client.ask("GET", path).body.into_iter().eq(pattern),
            "{path}"
        );
    }
    client.send(
        "PUT /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(client.response().status, 100);
    client.send("hello");
    assert_eq!(client.response().json()["sha256"], sha256(b"hello"));
}

#[test]
fn pipelined_requests_keep_their_order_between_relayed_and_delegated_targets() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let targets = [
        target_of_a_stranger(&sandbox, "a", "create"),
        sandbox.target("b", &[]),
    ];
    let front = sandbox.front(&delegating_by_path(&["a", "b"]));
    let mut client = front.connect();
    for _ in 0..10 {
        client.send(
            "GET /a/echo?1 HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /b/echo?2 HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /a/echo?3 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
             POST /a/echo?4 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
             GET /b/echo?5 HTTP/1.1\r\nHost: x\r\n\r\n",
        );
        for (number, target) in [(1, 0), (2, 1), (3, 0), (4, 0), (5, 1)] {
            let echo = client.response().json();
            assert!(
                echo["target"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!("?{number}")),
                "{echo}"
            );
            assert_eq!(echo["pid"], targets[target].pid());
            assert_eq!(echo["arrival"], ["relayed", "delegated"][target]);
            assert_eq!(echo["length"], if matches!(number, 3 | 4) { 3 } else { 0 });
        }
    }
}

#[test]
fn a_web_socket_is_relayed() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut socket = web_socket(front.port, "");
    converse(&mut socket);
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/").status, 200);
    frames_behind_the_handshake_arrive(&mut client);
    say_goodbye(socket);
}

#[test]
fn a_relayed_target_that_died_is_relayed_to_when_it_is_back() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut client = front.connect();
    assert_eq!(client.ask("GET", "/").pid(), target.pid());
    target.kill();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let again = target_of_a_stranger(&sandbox, "q", "create-or-attach");
    assert_eq!(client.response().pid(), again.pid());
}

#[test]
fn what_a_relayed_target_had_not_begun_waits_for_the_next_one() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let target = target_of_a_stranger(&sandbox, "q", "create");
    let front = sandbox.front(&delegating_to(&["q"]));
    let mut clients = [front.connect(), front.connect()];
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/").pid(), target.pid());
    }
    // One of the two takes the connection that is open, the other one opens another.
    let before = front.process.descriptors();
    target.signal("STOP");
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    eventually("both are on their way", || {
        front.process.descriptors() > before
    });
    target.kill();
    let next = target_of_a_stranger(&sandbox, "q", "create-or-attach");
    for client in &mut clients {
        assert_eq!(client.response().pid(), next.pid());
    }
}

#[test]
fn a_listed_user_is_delegated_to() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let target = target_of_a_stranger(&sandbox, "q", "create");
    let trusting = delegating_to(&["q"]);
    let trusting = trusting.trim_end().strip_suffix('}').unwrap();
    let trusting = format!(r#"{trusting}, "Ostler": {{ "TrustedUsers": [ "{STRANGER}" ] }} }}"#);
    let front = sandbox.front(&trusting);
    let mut client = front.connect();
    let own = client.local_address().to_string();
    let echo = client.ask("GET", "/echo").json();
    assert_eq!(echo["arrival"], "delegated");
    assert_eq!(echo["pid"], target.pid());
    assert_eq!(echo["client"], own);
    let before = front.process.bytes_moved();
    assert_eq!(client.ask("GET", "/bytes/10000000").body.len(), 10_000_000);
    let moved = front.process.bytes_moved() - before;
    assert!(moved < 1_000_000, "{moved} bytes went through the front");
}
