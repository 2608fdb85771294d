//! `ostler pool`: applications that are started by requests, watched, replaced and stopped.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::exec::server;
use crate::support::fronts::{has_ended, signal};
use crate::support::{Client, Front, Process, Sandbox, delegating_to, eventually};
use crate::upgrades::{converse, say_goodbye, web_socket};

/// The server as an application `shop` of the queue `q`, with more keys.
fn shop(more: Value) -> Value {
    let mut shop = json!({ "Command": "python3", "Arguments": [server()], "Queue": "q" });
    for (key, value) in more.as_object().unwrap() {
        shop[key] = value.clone();
    }
    json!({ "Ostler": { "Applications": { "shop": shop } } })
}

/// A pool, ready.
fn pool(sandbox: &Sandbox, configuration: &Value) -> Process {
    fs::write(sandbox.path().join("pool.json"), configuration.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command
        .args(["pool", "--config", "pool.json"])
        .current_dir(sandbox.path())
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime());
    let process = Process::spawn(command);
    assert!(process.line().starts_with("pool ready"));
    process
}

/// What `ostler apps` says of the one application.
fn status(sandbox: &Sandbox) -> Value {
    let said: Value = serde_json::from_str(&sandbox.output(&["apps", "--json"])).unwrap();
    said[0].clone()
}

fn is(sandbox: &Sandbox, state: &str) -> bool {
    status(sandbox)["state"] == state
}

fn ready(sandbox: &Sandbox) -> usize {
    let status = status(sandbox);
    let instances = status["instances"].as_array().unwrap();
    let ready = instances.iter().filter(|one| one["state"] == "ready");
    ready.count()
}

fn front(sandbox: &Sandbox) -> Front {
    sandbox.front(&delegating_to(&["q"]))
}

fn answering(front: &Front) -> u32 {
    let response = front.ask("GET", "/");
    assert_eq!(response.status, 200, "{response:?}");
    response.pid()
}

#[test]
fn a_request_starts_a_program_and_silence_stops_it() {
    let sandbox = Sandbox::new();
    let configuration = shop(json!({ "IdleTimeout": "00:00:00.2" }));
    let process = pool(&sandbox, &configuration);
    let front = front(&sandbox);
    assert_eq!(status(&sandbox)["instances"], json!([]));
    let mut before = 0;
    for _ in 0..3 {
        let pid = answering(&front);
        assert_ne!(pid, before);
        before = pid;
        eventually("nobody asks", || is(&sandbox, "idle"));
        assert!(has_ended(pid));
    }
    // Several at once start one.
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = front.connect();
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            client
        })
        .collect();
    let pids: Vec<_> = clients
        .into_iter()
        .map(|mut client| client.response().pid())
        .collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    process.signal("TERM");
    assert!(process.wait().success());
    assert!(sandbox.output(&["queues"]).starts_with("no queues"));
}

#[test]
fn it_is_started_by_fronts_that_come_later_and_outlives_them() {
    let sandbox = Sandbox::new();
    let first = front(&sandbox);
    let _pool = pool(&sandbox, &shop(json!({})));
    let pid = answering(&first);
    first.process.kill();
    assert_eq!(answering(&front(&sandbox)), pid);
}

/// Clients that ask again and again, each on one connection, while something is done; how many answers there
/// were.
fn under_load(port: u16, clients: usize, act: impl FnOnce()) -> usize {
    let (stop, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (complain, complaints) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            let (stop, answers, complain) = (&stop, &answers, complain.clone());
            scope.spawn(move || {
                let mut client = Client::connect(port);
                while !stop.load(Ordering::Relaxed) {
                    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
                    match client.try_response() {
                        Ok(response) if response.status == 200 => {
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                        other => {
                            let _ = complain.send(format!("{other:?}"));
                            return;
                        }
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        // However it ends, the clients end too.
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = acted {
            std::panic::resume_unwind(panic);
        }
    });
    drop(complain);
    let complaints: Vec<_> = complaints.into_iter().collect();
    assert!(
        complaints.is_empty(),
        "{} {:?}",
        complaints.len(),
        &complaints[..1]
    );
    answers.into_inner()
}

#[test]
fn nobody_notices_that_instances_are_replaced() {
    let sandbox = Sandbox::new();
    let configuration = shop(json!({ "Instances": { "Min": 2, "Max": 2 }, "Listen": "Port" }));
    let _pool = pool(&sandbox, &configuration);
    let front = front(&sandbox);
    eventually("two serve", || ready(&sandbox) == 2);
    let numbers = || -> Vec<u64> {
        let status = status(&sandbox);
        let instances = status["instances"].as_array().unwrap();
        let fresh = instances.iter().filter(|one| one["outdated"] == false);
        fresh.map(|one| one["number"].as_u64().unwrap()).collect()
    };
    let answers = under_load(front.port, 200, || {
        for round in 1..=2 {
            sandbox.output(&["apps", "recycle", "shop"]);
            eventually("the old ones have gone", || {
                numbers() == [round * 2 + 1, round * 2 + 2]
                    && ready(&sandbox) == 2
                    && status(&sandbox)["instances"].as_array().unwrap().len() == 2
            });
        }
    });
    assert!(answers > 200, "{answers}");
}

#[test]
fn an_instance_that_has_answered_enough_makes_room() {
    let sandbox = Sandbox::new();
    let _pool = pool(&sandbox, &shop(json!({ "Recycle": { "Requests": 5 } })));
    let front = front(&sandbox);
    let first = answering(&front);
    eventually("another one answers", || answering(&front) != first);
    eventually("it has ended", || has_ended(first));
}

#[test]
fn a_program_that_does_not_start_is_a_503_that_says_when_to_ask_again() {
    let sandbox = Sandbox::new();
    let failing = shop(json!({ "Arguments": [server(), "--fail"] }));
    let process = pool(&sandbox, &failing);
    let front = front(&sandbox);
    let response = front.ask("GET", "/");
    assert_eq!(response.status, 503);
    assert_eq!(response.text(), "The application shop does not start.");
    let after: u64 = response.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&after), "{after}");
    let status = status(&sandbox);
    assert!(status["failures"].as_u64().unwrap() >= 2, "{status}");
    let failure = status["last_failure"].as_str().unwrap();
    assert!(failure.starts_with("exit status: 7"), "{failure}");
    assert!(failure.contains("there is no database"), "{failure}");
    // What it says is in the log, with whose it is.
    let said = process.errors();
    let line = said.iter().find(|line| line.contains("the first line"));
    assert!(line.unwrap().contains("application=\"shop\""), "{line:?}");
    // A configuration that is good is tried at once.
    fs::write(
        sandbox.path().join("pool.json"),
        shop(json!({})).to_string(),
    )
    .unwrap();
    eventually("it starts", || front.ask("GET", "/").status == 200);
}

#[test]
fn an_instance_that_dies_is_started_again() {
    let sandbox = Sandbox::new();
    let _pool = pool(&sandbox, &shop(json!({ "Instances": { "Min": 1 } })));
    let front = front(&sandbox);
    eventually("it is started at once", || ready(&sandbox) == 1);
    let first = answering(&front);
    assert!(signal(first, "KILL"));
    let second = answering(&front);
    assert_ne!(second, first);
}

#[test]
fn a_program_that_opens_the_queue_itself_is_started_and_stopped_too() {
    let sandbox = Sandbox::new();
    let target = json!({
        "Command": env!("CARGO_BIN_EXE_ostler"), "Listen": "Queue", "IdleTimeout": "00:00:00.2",
        "Arguments": ["sample-target", "--queue", "q", "--threads", "1", "--label", "shop"],
    });
    let _pool = pool(&sandbox, &shop(target));
    let front = front(&sandbox);
    let first = answering(&front);
    eventually("nobody asks", || is(&sandbox, "idle"));
    assert!(has_ended(first));
    assert_ne!(answering(&front), first);
}

/// The connection is no request any more, and there is none besides.
#[test]
fn a_web_socket_keeps_its_program() {
    let sandbox = Sandbox::new();
    let target = json!({
        "Command": env!("CARGO_BIN_EXE_ostler"), "Listen": "Port", "IdleTimeout": "00:00:00.2",
        "Arguments": ["sample-target", "--queue", "own", "--threads", "1", "--listen", "127.0.0.1:${PORT}"],
    });
    let _pool = pool(&sandbox, &shop(target));
    let front = front(&sandbox);
    let mut socket = web_socket(front.port, "");
    eventually("it is seen", || {
        status(&sandbox)["instances"][0]["active"] == 1
    });
    // Looked at every 50 ms: a stop would be asked for by then.
    let looked = std::time::Instant::now();
    eventually("it has been idle for longer than it may", || {
        looked.elapsed() > Duration::from_secs(1)
    });
    assert_eq!(ready(&sandbox), 1);
    converse(&mut socket);
    say_goodbye(socket);
    eventually("nobody asks", || is(&sandbox, "idle"));
}

#[test]
fn more_instances_are_started_when_one_has_too_much_to_do() {
    let sandbox = Sandbox::new();
    let configuration = shop(json!({ "Instances": { "Max": 3, "Concurrency": 1 } }));
    let _pool = pool(&sandbox, &configuration);
    let front = front(&sandbox);
    let file = sandbox.path().join("go");
    let held: Vec<_> = (0..6)
        .map(|_| {
            let mut client = front.connect();
            client.send(format!(
                "GET /hold?{} HTTP/1.1\r\nHost: x\r\n\r\n",
                file.display()
            ));
            client
        })
        .collect();
    eventually("three serve", || ready(&sandbox) == 3);
    // A new one is asked, since it has the least to do.
    let pids: std::collections::BTreeSet<_> = (0..50).map(|_| answering(&front)).collect();
    assert!(pids.len() >= 2, "{pids:?}");
    fs::write(&file, "").unwrap();
    for mut client in held {
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn an_application_is_stopped_and_started_by_hand() {
    let sandbox = Sandbox::new();
    let _pool = pool(&sandbox, &shop(json!({})));
    let front = front(&sandbox);
    let first = answering(&front);
    sandbox.output(&["apps", "stop", "SHOP"]);
    eventually("it is stopped", || has_ended(first));
    let response = front.ask("GET", "/");
    assert_eq!(response.status, 503);
    assert_eq!(response.text(), "The application shop is stopped.");
    assert_eq!(response.field("retry-after"), None);
    assert!(is(&sandbox, "stopped"));
    sandbox.output(&["apps", "start", "shop"]);
    eventually("it serves", || front.ask("GET", "/").status == 200);
    // Fronts tell up to 100 ms later that nobody waits any more.
    eventually("it is listed so", || {
        let listed = sandbox.output(&["apps"]);
        listed.starts_with(
            "shop  running, queue q, 0 waiting
  pid ",
        ) && listed.contains(" ready  ")
    });
    let refused = sandbox.ostler(&["apps", "stop", "other"]);
    assert_eq!(refused.wait().code(), Some(1));
}

#[test]
fn changed_files_have_it_replaced() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("app");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("server.py");
    fs::copy(server(), &program).unwrap();
    let configuration = shop(json!({ "Arguments": ["app/server.py"], "Watch": ["app"] }));
    let _pool = pool(&sandbox, &configuration);
    let front = front(&sandbox);
    let first = answering(&front);
    let text = fs::read_to_string(&program).unwrap();
    fs::write(&program, text.replace("f\"program {", "f\"changed {")).unwrap();
    eventually("the change is served", || {
        front.ask("GET", "/").text().starts_with("changed ")
    });
    eventually("the old one has ended", || has_ended(first));
}

#[test]
fn a_changed_configuration_is_put_in_force() {
    let sandbox = Sandbox::new();
    let environment = |value: &str| shop(json!({ "Environment": { "SHOP": value } }));
    let process = pool(&sandbox, &environment("one"));
    let front = front(&sandbox);
    let said = || front.ask("GET", "/env?SHOP").text();
    assert_eq!(said(), "one");
    let path = sandbox.path().join("pool.json");
    fs::write(&path, environment("two").to_string()).unwrap();
    eventually("the change is served", || said() == "two");
    fs::write(&path, r#"{ "Ostler": { "Applications": { "shop": {} } } }"#).unwrap();
    eventually("the mistake is told", || {
        let said = process.errors().join("\n");
        said.contains("Ostler:Applications:shop") && said.contains("has no command")
    });
    assert_eq!(said(), "two");
    fs::write(&path, "{}").unwrap();
    eventually("the queue is gone", || {
        sandbox.output(&["queues"]).starts_with("no queues")
    });
    assert_eq!(sandbox.output(&["apps", "--json"]).trim(), "[]");
}

#[test]
fn programs_end_with_a_pool_that_is_killed_and_the_next_one_starts_them() {
    let sandbox = Sandbox::new();
    let configuration = shop(json!({}));
    let first = pool(&sandbox, &configuration);
    let front = front(&sandbox);
    let pid = answering(&front);
    first.kill();
    eventually("the program has ended", || has_ended(pid));
    let mut client = front.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let _second = pool(&sandbox, &configuration);
    assert_ne!(client.response().pid(), pid);
}
