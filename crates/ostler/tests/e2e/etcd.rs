//! A configuration in etcd that fronts share: followed, pushed, taken back; kept where etcd is away.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::load::{Clients, Load, Ports};
use crate::support::{Authority, EtcdMembers, Front, Sandbox, TlsSettings, eventually};

/// What a front has in its own file.
fn own(sandbox: &Sandbox, etcd: &EtcdMembers) -> String {
    let snapshot = sandbox.path().join("snapshot.json");
    json!({ "Ostler": { "Etcd": { "Endpoints": etcd.endpoints(), "Snapshot": snapshot } } })
        .to_string()
}

/// What they share: everything goes to one queue.
fn shared(queue: &str) -> Value {
    json!({ "ReverseProxy": {
        "Pipeline": ["LoadBalancing", "HttpSysDelegation"],
        "Routes": { "all": { "ClusterId": "c", "Match": { "Path": "{**rest}" } } },
        "Clusters": { "c": { "Destinations": { "d": { "Address": "http://*:80/",
            "Metadata": { "HttpSysDelegationQueue": queue } } } } },
    } })
}

/// `ostler` with these arguments and the front's own file.
fn ostler(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ostler"))
        .args(arguments)
        .arg("--config")
        .arg(sandbox.path().join("ostler.json"))
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime())
        .env("USER", "tester")
        .output()
        .unwrap()
}

fn file(sandbox: &Sandbox, name: &str, text: &str) -> String {
    let path = sandbox.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Pushes, which has to succeed; the revision.
fn push(sandbox: &Sandbox, configuration: &Value, more: &[&str]) -> String {
    let path = file(sandbox, "new.json", &configuration.to_string());
    let mut arguments = vec!["config", "push", path.as_str()];
    arguments.extend(more);
    let output = ostler(sandbox, &arguments);
    assert!(output.status.success(), "{output:?}");
    let said = out(&output);
    said.trim()
        .strip_prefix("revision ")
        .expect(&said)
        .to_owned()
}

/// Pushes until etcd says that it has it: while its members choose who leads, its word may be lost.
fn push_at_last(sandbox: &Sandbox, configuration: &Value) {
    let path = file(sandbox, "new.json", &configuration.to_string());
    let mut last = None;
    eventually("etcd has it", || {
        let output = ostler(sandbox, &["config", "push", &path]);
        let has_it = output.status.success();
        if !has_it && last.as_ref() != Some(&output) {
            eprintln!("{}", errors(&output));
        }
        last = Some(output);
        has_it
    });
}

fn fleet(sandbox: &Sandbox) -> Value {
    let output = ostler(sandbox, &["fleet", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn until_answered_by(front: &Front, pid: u32) {
    eventually("the other one answers", || {
        let response = front.ask("GET", "/");
        response.status == 200 && response.pid() == pid
    });
}

#[test]
fn what_is_pushed_is_followed_compared_listed_and_taken_back() {
    let sandbox = Sandbox::new();
    let Some(etcd) = EtcdMembers::start(&sandbox, 1) else {
        return;
    };
    let (one, two) = (sandbox.target("one", &[]), sandbox.target("two", &[]));
    let front = sandbox.front(&own(&sandbox, &etcd));
    assert_eq!(front.ask("GET", "/").status, 404);
    let first = push(&sandbox, &shared("one"), &["--message", "to begin with"]);
    until_answered_by(&front, one.pid());
    let second = push(&sandbox, &shared("two"), &["--base", &first]);
    until_answered_by(&front, two.pid());

    // Somebody else who began with the first revision.
    let path = file(&sandbox, "other.json", &shared("three").to_string());
    let late = ostler(&sandbox, &["config", "push", &path, "--base", &first]);
    assert!(!late.status.success());
    let words = format!("is at revision {second}, and not at {first} any more");
    assert!(errors(&late).contains(&words), "{late:?}");
    // And one whose configuration no front could run with.
    let mut wrong = shared("two");
    wrong["ReverseProxy"]["Routes"]["all"]["Match"]["Path"] = json!("/{");
    let path = file(&sandbox, "wrong.json", &wrong.to_string());
    let refused = ostler(&sandbox, &["config", "push", &path]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(
        errors(&refused).contains("ReverseProxy:Routes:all:Match:Path"),
        "{refused:?}"
    );

    let pulled = ostler(&sandbox, &["config", "pull"]);
    assert_eq!(out(&pulled), shared("two").to_string());
    assert_eq!(errors(&pulled).trim(), format!("revision {second}"));
    let path = file(&sandbox, "one.json", &shared("one").to_string());
    let diff = ostler(&sandbox, &["config", "diff", &path]);
    assert_eq!(diff.status.code(), Some(1));
    let line = "~ ReverseProxy:Clusters:c:Destinations:d:Metadata:HttpSysDelegationQueue = \"two\" -> \"one\"\n";
    assert_eq!(out(&diff), line);
    let history = out(&ostler(&sandbox, &["config", "history"]));
    let lines: Vec<_> = history.lines().collect();
    assert_eq!(lines.len(), 2, "{history}");
    assert!(lines[0].starts_with(&format!("* {second}  ")), "{history}");
    assert!(
        lines[1].contains("tester@") && lines[1].ends_with("to begin with"),
        "{history}"
    );

    let back = ostler(&sandbox, &["config", "rollback", &first]);
    assert!(back.status.success(), "{back:?}");
    until_answered_by(&front, one.pid());
    let current = out(&back);
    let current = current.trim().rsplit(' ').next().unwrap();
    let current: i64 = current.parse().unwrap();
    eventually("the front says so", || {
        let all = fleet(&sandbox);
        all["revision"] == current
            && all["fronts"][0]["state"] == "current"
            && all["fronts"][0]["queues"] == json!(["one"])
    });
    let unknown = ostler(&sandbox, &["config", "rollback", "999999"]);
    assert!(
        errors(&unknown).contains("no revision 999999"),
        "{unknown:?}"
    );

    // A key of its own, by whatever tool.
    etcd.etcdctl(&[
        "put",
        "/ostler/config/routes/deep",
        r#"{ "ClusterId": "none", "Match": { "Path": "/deep" } }"#,
    ]);
    eventually("the route is there", || {
        front.ask("GET", "/deep").status == 503
    });
    // A front that has ended is listed no more.
    drop_front(front);
    eventually("it is gone", || fleet(&sandbox)["fronts"] == json!([]));
}

fn drop_front(front: Front) {
    front.process.signal("TERM");
    assert!(front.process.wait().success());
}

#[test]
fn without_etcd_everything_goes_on_and_a_front_starts_with_what_was_in_force() {
    let sandbox = Sandbox::new();
    let Some(mut etcd) = EtcdMembers::start(&sandbox, 1) else {
        return;
    };
    let (one, two) = (sandbox.target("one", &[]), sandbox.target("two", &[]));
    let json = own(&sandbox, &etcd);
    file(&sandbox, "ostler.json", &json);
    push(&sandbox, &shared("one"), &[]);
    let front = sandbox.front(&json);
    until_answered_by(&front, one.pid());
    etcd.kill(0);
    let is_said = |front: &Front, words: &str| {
        let errors = front.process.errors();
        errors.iter().any(|line| line.contains(words))
    };
    eventually("it is told", || {
        is_said(&front, "etcd is away: the configuration in force stays")
    });
    assert_eq!(front.ask("GET", "/").pid(), one.pid());
    let late = sandbox.front(&json);
    assert!(is_said(
        &late,
        "the front starts with what was in force last"
    ));
    assert_eq!(late.ask("GET", "/").pid(), one.pid());
    let path = file(&sandbox, "new.json", &shared("two").to_string());
    let nowhere = ostler(&sandbox, &["config", "push", &path]);
    assert!(
        errors(&nowhere).contains("no endpoint of etcd answers"),
        "{nowhere:?}"
    );
    // It is back, with what it had, and with another configuration.
    etcd.begin(0);
    etcd.until_ready();
    push(&sandbox, &shared("two"), &[]);
    for front in [&front, &late] {
        until_answered_by(front, two.pid());
        assert!(is_said(front, "etcd is there again"));
    }
}

#[test]
fn what_a_front_refuses_changes_nothing_and_is_shown_with_the_reason() {
    let sandbox = Sandbox::new();
    let Some(etcd) = EtcdMembers::start(&sandbox, 1) else {
        return;
    };
    let one = sandbox.target("one", &[]);
    let json = own(&sandbox, &etcd);
    file(&sandbox, "ostler.json", &json);
    push(&sandbox, &shared("one"), &[]);
    let front = sandbox.front(&json);
    until_answered_by(&front, one.pid());
    let mut wrong = shared("one");
    wrong["ReverseProxy"]["Clusters"]["c"]["LoadBalancingPolicy"] = json!("Fairest");
    for (text, words) in [
        (wrong.to_string(), "Fairest"),
        ("{ \"a\": ".to_owned(), "etcd:/ostler/config/document:1:8"),
    ] {
        let put = etcd.etcdctl(&["put", "/ostler/config/document", &text]);
        assert!(put.status.success());
        eventually("it is shown", || {
            let all = fleet(&sandbox);
            let front = &all["fronts"][0];
            front["state"] == "refuses" && front["refused"].to_string().contains(words)
        });
        let lines = out(&ostler(&sandbox, &["fleet"]));
        assert!(lines.contains(words), "{lines}");
        assert_eq!(front.ask("GET", "/").pid(), one.pid());
    }
    // Nor does it keep another one from starting.
    let late = sandbox.front(&json);
    assert_eq!(late.ask("GET", "/").pid(), one.pid());
    // Nor does an empty store.
    etcd.etcdctl(&["del", "--prefix", "/ostler/config/"]);
    eventually("it is told", || {
        let errors = front.process.errors();
        errors
            .iter()
            .any(|line| line.contains("there is no configuration in etcd any more"))
    });
    assert_eq!(front.ask("GET", "/").pid(), one.pid());
}

#[test]
fn members_that_are_lost_fail_no_request_and_lose_no_change() {
    let sandbox = Sandbox::new();
    let Some(mut etcd) = EtcdMembers::start(&sandbox, 3) else {
        return;
    };
    let (one, two) = (sandbox.target("one", &[]), sandbox.target("two", &[]));
    let json = own(&sandbox, &etcd);
    file(&sandbox, "ostler.json", &json);
    push(&sandbox, &shared("one"), &[]);
    let fronts = [sandbox.front(&json), sandbox.front(&json)];
    let load = Load::default();
    let clients = Clients {
        http1: 4,
        tls: 0,
        http2: 1,
    };
    let ports = Ports {
        clear: fronts[0].port,
        tls: 0,
    };
    let authority = Authority::new("Nobody asks for it");
    load.during(clients, ports, &TlsSettings::new(&authority), || {
        fronts
            .iter()
            .for_each(|front| until_answered_by(front, one.pid()));
        let leader = etcd.leader();
        etcd.kill(leader);
        etcd.until_ready();
        push_at_last(&sandbox, &shared("two"));
        fronts
            .iter()
            .for_each(|front| until_answered_by(front, two.pid()));
        // Without a quorum nothing can be changed, and nothing changes.
        let other = (leader + 1) % 3;
        etcd.kill(other);
        let path = file(&sandbox, "new.json", &shared("one").to_string());
        assert!(
            !ostler(&sandbox, &["config", "push", &path])
                .status
                .success()
        );
        fronts
            .iter()
            .for_each(|front| assert_eq!(front.ask("GET", "/").pid(), two.pid()));
        etcd.begin(leader);
        etcd.begin(other);
        etcd.until_ready();
        push_at_last(&sandbox, &shared("one"));
        fronts
            .iter()
            .for_each(|front| until_answered_by(front, one.pid()));
        let before = load.answered();
        eventually("many more are answered", || {
            load.answered()[0] > before[0] + 100
        });
    });
}
