//! A front takes another one's place: nobody is refused, and what has begun is seen to its end.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::failures::until_queued;
use crate::support::fronts::{Fronts, has_ended, signal};
use crate::support::http2_client::{self, Http2Client};
use crate::support::load::{Clients, Load, Ports};
use crate::support::{Authority, Client, Process, Sandbox, TlsSettings, eventually};
use crate::upgrades::{converse, say_goodbye, web_socket};

const QUEUE: &str = "q";

/// A configuration with these endpoints before one queue.
pub(crate) fn configuration(endpoints: &Value) -> String {
    json!({
        "Kestrel": { "Endpoints": endpoints },
        "ReverseProxy": {
            "Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],
            "Routes": { "all": { "ClusterId": "all", "Match": { "Path": "{**rest}" } } },
            "Clusters": { "all": { "Destinations": { "d": { "Address": "http://*:80/",
                "Metadata": { "HttpSysDelegationQueue": QUEUE } } } } } }
    })
    .to_string()
}

/// Endpoints in clear text and over TLS.
pub(crate) fn both(sandbox: &Sandbox, authority: &Authority, ports: Ports) -> Value {
    let identity = authority.issue(&["localhost"]);
    let (certificate, key) = identity.write(sandbox.path(), "server");
    json!({
        "clear": { "Url": format!("http://127.0.0.1:{}", ports.clear) },
        "secure": { "Url": format!("https://127.0.0.1:{}", ports.tls),
            "Certificate": { "Path": certificate, "KeyPath": key } }
    })
}

struct Replaceable {
    fronts: Fronts,
    first: Process,
    file: PathBuf,
}

impl Replaceable {
    /// A front of two threads.
    fn start(sandbox: &Sandbox, endpoints: &Value) -> Self {
        let file = sandbox.configuration(&configuration(endpoints));
        let first = sandbox.ostler(&["run", "--config", file.to_str().unwrap(), "--threads", "2"]);
        let fronts = Fronts::new(&sandbox.runtime());
        Self {
            fronts,
            first,
            file,
        }
    }

    fn port(&self, scheme: &str) -> u16 {
        let line = self.first.line();
        let port = line.strip_prefix(&format!("listening on {scheme}://127.0.0.1:"));
        port.and_then(|port| port.parse().ok()).expect(&line)
    }

    /// The running front starts another one in its place, which serves when this returns; its process id.
    /// What it says is read from the first one's standard output.
    fn replace(&self, pid: u32) -> u32 {
        assert!(signal(pid, "USR2"));
        self.fronts.other_than(pid)
    }

    fn says(&self, part: &str) -> bool {
        self.first.errors().iter().any(|line| line.contains(part))
    }
}

fn until_ended(pid: u32) {
    eventually("a front that is replaced ends", || has_ended(pid));
}

/// A front whose endpoints have any port: the ports stay the same.
#[test]
fn ten_replacements_under_load_refuse_nobody_and_lose_nothing() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let authority = Authority::new("Test Root");
    let any = Ports { clear: 0, tls: 0 };
    let front = Replaceable::start(&sandbox, &both(&sandbox, &authority, any));
    let ports = Ports {
        clear: front.port("http"),
        tls: front.port("https"),
    };
    let load = Load::default();
    let clients = Clients {
        http1: 24,
        tls: 12,
        http2: 6,
    };
    let mut pids = vec![front.fronts.other_than(0)];
    load.during(clients, ports, &TlsSettings::new(&authority), || {
        for _ in 0..10 {
            let before = load.answered();
            let pid = front.replace(pids[pids.len() - 1]);
            assert_eq!(front.port("http"), ports.clear);
            assert_eq!(front.port("https"), ports.tls);
            pids.push(pid);
            eventually("all kinds of clients are answered", || {
                let now = load.answered();
                before.iter().zip(now).all(|(before, now)| *before < now)
            });
        }
    });
    let last = pids.pop().unwrap();
    pids.into_iter().for_each(until_ended);
    assert!(signal(last, "TERM"));
    until_ended(last);
}

#[test]
fn what_has_begun_goes_on_to_its_end() {
    const SIZE: usize = 30_000_000;
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let front = Replaceable::start(
        &sandbox,
        &json!({ "clear": { "Url": "http://127.0.0.1:0" } }),
    );
    let port = front.port("http");
    let mut socket = web_socket(port, "");
    converse(&mut socket);
    let mut download = Client::connect(port);
    download.send(format!("GET /bytes/{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(download.read(100_000).len(), 100_000);
    http2_client::run(async {
        let client = Http2Client::connect(port).await;
        let path = format!("/bytes/{SIZE}");
        let (response, _) = client.begin(http2_client::get(&path), true).await;
        // Its head is there, and most of its body waits for windows.
        let response = response.await.unwrap();
        let first = front.first.pid();
        let next = front.replace(first);
        assert!(!has_ended(first), "a stream is open");
        assert_eq!(http2_client::whole(response).await.body.len(), SIZE);
        drop(client);
        until_ended(first);
        assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
        assert_ne!(next, first);
    });
    assert!(download.rest().len() + 100_000 > SIZE);
    converse(&mut socket);
    say_goodbye(socket);
}

/// Waits in the old front's line, which nobody has begun to answer.
#[test]
fn who_waits_in_a_front_that_is_replaced_is_served() {
    const WAITING: usize = 20;
    let sandbox = Sandbox::new();
    let target = sandbox.target(QUEUE, &["--keep-queue"]);
    let front = Replaceable::start(
        &sandbox,
        &json!({ "clear": { "Url": "http://127.0.0.1:0" } }),
    );
    let port = front.port("http");
    let mut clients: Vec<_> = (0..WAITING).map(|_| Client::connect(port)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    target.signal("TERM");
    assert!(target.wait().success());
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    until_queued(&sandbox, WAITING);
    let first = front.first.pid();
    front.replace(first);
    // The new front's clients wait beside them.
    let mut new = Client::connect(port);
    new.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    until_queued(&sandbox, 1);
    let again = sandbox.target(QUEUE, &[]);
    for client in clients.iter_mut().chain([&mut new]) {
        assert_eq!(client.response().pid(), again.pid());
    }
    until_ended(first);
}

#[test]
fn a_new_front_that_cannot_start_leaves_the_old_one_serving() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("http://{}", taken.local_addr().unwrap());
    let good = json!({ "clear": { "Url": "http://127.0.0.1:0" } });
    let front = Replaceable::start(&sandbox, &good);
    let port = front.port("http");
    let first = front.first.pid();
    let ask = || Client::connect(port).ask("GET", "/").status;
    // No JSON, no endpoint, an address that is another program's, which is found out late.
    let broken = [
        "{".to_owned(),
        configuration(&json!({ "clear": { "Url": "ftp://127.0.0.1:0" } })),
        configuration(&json!({ "clear": { "Url": "http://127.0.0.1:0" }, "b": { "Url": taken } })),
    ];
    for (number, json) in broken.iter().enumerate() {
        std::fs::write(&front.file, json).unwrap();
        assert!(signal(first, "USR2"));
        eventually("the log says why nothing has changed", || {
            let lines = front.first.errors();
            let ended = "the new front has ended; this one goes on";
            lines.iter().filter(|line| line.contains(ended)).count() == number + 1
        });
        assert_eq!(ask(), 200);
        assert_eq!(front.fronts.pids(), [first]);
    }
    assert!(front.says("cannot listen on"));
    std::fs::write(&front.file, configuration(&good)).unwrap();
    front.replace(first);
    until_ended(first);
    assert_eq!(ask(), 200);
}

/// Sockets in the file system, and endpoints that come, go and widen.
#[test]
fn a_new_configuration_has_the_sockets_that_it_shares_with_the_old_one() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let path = |name: &str| sandbox.path().join(name);
    let unix = |name: &str| json!({ "Url": format!("http://unix:{}", path(name).display()) });
    let front = Replaceable::start(
        &sandbox,
        &json!({ "a": { "Url": "http://127.0.0.1:0" }, "b": unix("stays"), "c": unix("goes") }),
    );
    let port = front.port("http");
    front.first.wait_for_line(&format!(
        "listening on http://unix:{}",
        path("goes").display()
    ));
    let first = front.first.pid();
    // All addresses instead of one; another file.
    let all = format!("http://*:{port}");
    let after = json!({ "a": { "Url": all }, "b": unix("stays"), "d": unix("comes") });
    std::fs::write(&front.file, configuration(&after)).unwrap();
    let second = front.replace(first);
    until_ended(first);
    assert!(!path("goes").exists());
    for name in ["stays", "comes"] {
        let mut client = Client::over(UnixStream::connect(path(name)).unwrap());
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
    assert!(signal(second, "TERM"));
    until_ended(second);
    eventually("the last front removes what it listened on", || {
        !path("stays").exists() && !path("comes").exists()
    });
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_front_is_replaced_by_one_that_is_started_for_that() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let json = configuration(&json!({ "clear": { "Url": "http://127.0.0.1:0" } }));
    let file = sandbox.configuration(&json);
    let start = |replace: &str| {
        let front = sandbox.ostler(&["run", replace, "--config", file.to_str().unwrap()]);
        let line = front.line();
        (front, line)
    };
    // Nobody is there.
    let (first, line) = start("--replace");
    let port = line.rsplit(':').next().unwrap().parse().unwrap();
    let (second, same) = start("--replace");
    assert_eq!(same, line);
    assert!(first.wait().success());
    let (third, same) = start(&format!("--replace={}", second.pid()));
    assert_eq!(same, line);
    assert!(second.wait().success());
    assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
    // Of several it must be said which.
    let beside = sandbox.front(&json);
    let failed = sandbox.ostler(&["run", "--replace", "--config", file.to_str().unwrap()]);
    assert!(!failed.wait().success());
    let said = failed.errors().join("\n");
    for pid in [third.pid(), beside.process.pid()] {
        assert!(said.contains(&pid.to_string()), "{said}");
    }
    assert!(said.contains("--replace=PID"), "{said}");
    let failed = sandbox.ostler(&["run", "--replace=1", "--config", file.to_str().unwrap()]);
    assert!(!failed.wait().success());
    assert!(failed.errors().join("\n").contains("no front of this user"));
    assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
}
