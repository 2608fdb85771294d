//! The access log: a line for each exchange, whoever answers it, and what becomes of lines when the file is
//! renamed or nobody reads them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::relay::{shared_sandbox, target_of_a_stranger};
use crate::support::http2_client::{Http2Client, run};
use crate::support::{BothWays, Front, Sandbox, delegating_to, eventually};

/// Where the log is, and the section that says so.
fn log(sandbox: &Sandbox, format: &str) -> (PathBuf, String) {
    let path = sandbox.path().join("access.log");
    let section = json!({ "Format": format, "Path": path });
    (path, format!(r#""Ostler": {{ "AccessLog": {section} }},"#))
}

/// `section` beside what is there.
fn with(section: &str, configuration: &str) -> String {
    configuration.replacen('{', &format!("{{ {section}"), 1)
}

fn lines(path: &PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The log's lines, once there are so many.
fn so_many_lines(path: &PathBuf, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines"), || lines(path).len() >= count);
    let lines = lines(path);
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

/// An exchange of each way but the relayed one, one after the other.
fn ask_each_way(front: &Front) {
    for way in ["forwarded", "delegated"] {
        let mut client = front.connect();
        client.send(format!(
            "POST /{way}/upload?a=b HTTP/1.1\r\nHost: h.example\r\nContent-Length: 5\r\n\
             User-Agent: a \"b\"\r\nReferer: https://r/\r\n\r\nhello"
        ));
        assert_eq!(client.response().status, 200);
        // What a target has completed is told with the connection's next event.
    }
    run(async {
        let client = Http2Client::connect(front.port).await;
        assert_eq!(client.get("/delegated/echo").await.status(), 200);
    });
    assert_eq!(front.ask("GET", "/nowhere").status, 404);
    let mut client = front.connect();
    client.send("GET /malformed HTTP/9.9\r\nHost: x\r\n\r\n");
    assert_eq!(client.response().status, 505);
}

fn find<'l>(lines: &'l [String], part: &str) -> &'l str {
    let mut found = lines.iter().filter(|line| line.contains(part));
    let (Some(line), None) = (found.next(), found.next()) else {
        panic!("not one line has {part:?}: {lines:#?}");
    };
    line
}

#[test]
fn every_way_is_a_line_of_json() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (path, section) = log(&sandbox, "Json");
    let front = sandbox.front(&both.configuration("", &section));
    ask_each_way(&front);
    let lines = so_many_lines(&path, 5);
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |mode: &'static str| lines.iter().filter(move |line| line["mode"] == mode);
    for way in ["forwarded", "delegated"] {
        let line = of(way).next().unwrap();
        assert_eq!(line["client"], "127.0.0.1");
        assert_eq!(line["method"], "POST");
        assert_eq!(line["target"], format!("/{way}/upload?a=b"));
        assert_eq!(line["version"], "HTTP/1.1");
        assert_eq!(line["host"], "h.example");
        assert_eq!(line["user_agent"], "a \"b\"");
        assert_eq!(line["referer"], "https://r/");
        assert_eq!(line["status"], 200);
        assert!(line["bytes_sent"].as_u64().unwrap() > 0, "{line}");
        assert!(line["first_byte_micros"].is_u64(), "{line}");
        assert_eq!(line["route"], way);
        assert_eq!(line["cluster"], way);
        assert_eq!(line["destination"], "d");
        assert_eq!(line["error"], Value::Null);
        // The target's own numbers.
        let is_delegated = way == "delegated";
        assert_eq!(line["queued_micros"].is_u64(), is_delegated, "{line}");
        assert_eq!(line["bytes_received"] == 5, is_delegated, "{line}");
    }
    let streamed = of("streamed").next().unwrap();
    assert_eq!(streamed["version"], "HTTP/2.0");
    assert_eq!(streamed["target"], "/delegated/echo");
    assert_eq!(streamed["status"], 200);
    let statuses: Vec<_> = of("local").map(|line| &line["status"]).collect();
    assert_eq!(statuses, [404, 505]);
    assert_eq!(of("local").next().unwrap()["target"], "/nowhere");
    let malformed = of("local").nth(1).unwrap();
    assert_eq!(malformed["malformed"], "GET /malformed HTTP/9.9");
}

#[test]
fn every_way_is_a_line_of_the_combined_format() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (path, section) = log(&sandbox, "Combined");
    let front = sandbox.front(&both.configuration("", &section));
    ask_each_way(&front);
    let lines = so_many_lines(&path, 5);
    for way in ["forwarded", "delegated"] {
        let line = find(&lines, &format!("\"POST /{way}/upload?a=b HTTP/1.1\" 200 "));
        assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
        assert!(line.ends_with(" \"https://r/\" \"a \\\"b\\\"\""), "{line}");
    }
    find(&lines, "\"GET /delegated/echo HTTP/2.0\" 200 ");
    find(&lines, "\"GET /nowhere HTTP/1.1\" 404 ");
    find(&lines, "\"GET /malformed HTTP/9.9\" 505 ");
}

#[test]
fn every_way_is_a_line_of_the_w3c_format() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (path, section) = log(&sandbox, "W3C");
    let front = sandbox.front(&both.configuration("", &section));
    ask_each_way(&front);
    let lines = so_many_lines(&path, 7);
    assert_eq!(lines[0], "#Version: 1.0");
    let names: Vec<_> = lines[1].split(' ').skip(1).collect();
    let column = |line: &str, name: &str| {
        let at = names.iter().position(|&other| other == name).unwrap();
        line.split(' ').nth(at).unwrap().to_owned()
    };
    for way in ["forwarded", "delegated"] {
        let line = find(&lines, &format!(" POST /{way}/upload ?a=b 200 "));
        assert_eq!(column(line, "c-ip"), "127.0.0.1");
        assert_eq!(column(line, "s-port"), front.port.to_string());
        assert_eq!(column(line, "cs-host"), "h.example");
        assert_eq!(column(line, "cs(User-Agent)"), "a+\"b\"");
        assert_eq!(column(line, "cs(Cookie)"), "-");
        assert_eq!(column(line, "cs(Referer)"), "https://r/");
        assert_eq!(column(line, "x-mode"), way);
        assert_eq!(column(line, "x-route"), way);
        assert_eq!(column(line, "x-queued") == "-", way == "forwarded");
    }
    let streamed = find(&lines, " streamed ");
    assert_eq!(column(streamed, "cs-version"), "HTTP/2.0");
    assert_eq!(column(find(&lines, " /nowhere "), "sc-status"), "404");
    assert_eq!(column(find(&lines, " 505 "), "cs-method"), "-");
}

#[test]
fn a_relayed_exchange_is_a_line() {
    let Some(sandbox) = shared_sandbox() else {
        return;
    };
    let _target = target_of_a_stranger(&sandbox, "q", "create");
    let (path, section) = log(&sandbox, "Json");
    let front = sandbox.front(&with(&section, &delegating_to(&["q"])));
    assert_eq!(front.ask("GET", "/echo").status, 200);
    let lines = so_many_lines(&path, 1);
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["mode"], "relayed");
    assert_eq!(line["status"], 200);
    assert_eq!(line["target"], "/echo");
}

#[test]
fn a_renamed_file_and_sigusr1_lose_no_line() {
    const EACH: usize = 200;
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let (path, section) = log(&sandbox, "Combined");
    let front = sandbox.front(&with(&section, &delegating_to(&["q"])));
    let old = |number: usize| sandbox.path().join(format!("access.log.{number}"));
    let mut client = front.connect();
    for round in 0..3 {
        for number in 0..EACH {
            let path = format!("/echo?{round}.{number}.");
            assert_eq!(client.ask("GET", &path).status, 200);
            if number == EACH / 2 {
                std::fs::rename(sandbox.path().join("access.log"), old(round)).unwrap();
                front.process.signal("USR1");
            }
        }
        eventually("there is a new file", || path.exists());
    }
    let files = [old(0), old(1), old(2), path];
    eventually("every exchange has a line", || {
        files.iter().flat_map(lines).count() == 3 * EACH
    });
    let all: Vec<String> = files.iter().flat_map(lines).collect();
    assert_eq!(all.len(), 3 * EACH);
    for round in 0..3 {
        for number in 0..EACH {
            find(&all, &format!("/echo?{round}.{number}. "));
        }
    }
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_exchange() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("q", &[]);
    let (path, section) = log(&sandbox, "Json");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let front = sandbox.front(&with(&section, &delegating_to(&["q"])));
    let said = |text: &str| {
        let lines = front.process.errors();
        lines.iter().any(|line| line.contains(text))
    };
    // Far more than a pipe and the lines that may wait have room for.
    let target = format!("/echo?{}", "x".repeat(7000));
    let mut client = front.connect();
    for _ in 0..600 {
        assert_eq!(client.ask("GET", &target).status, 200);
    }
    eventually("that lines are dropped is said", || {
        said("lines are dropped")
    });
    front.process.signal("TERM");
    assert!(front.process.wait().success());
    assert!(said("lines of the access log have been dropped dropped="));
    assert!(said("the access log is cut short"));
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
    let sandbox = Sandbox::new();
    let section = r#""Ostler": { "AccessLog": { "Format": "Json", "Path": "/nowhere/a.log" } },"#;
    let configuration = sandbox.own_configuration(&with(section, &delegating_to(&["q"])));
    let config = configuration.to_str().unwrap();
    let front = sandbox.ostler(&["run", "--urls", "http://127.0.0.1:0", "--config", config]);
    assert!(!front.wait().success());
    let errors = front.errors().join("\n");
    assert!(
        errors.contains("Ostler:AccessLog:Path: cannot write to /nowhere/a.log"),
        "{errors}"
    );
}

#[test]
fn a_front_that_stops_writes_the_lines_of_what_it_forwarded() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let (path, section) = log(&sandbox, "Json");
    let front = sandbox.front(&both.configuration("", &section));
    let mut client = front.connect();
    for _ in 0..20 {
        assert_eq!(client.ask("GET", "/forwarded/echo").status, 200);
    }
    drop(client);
    front.process.signal("TERM");
    assert!(front.process.wait().success());
    assert_eq!(lines(&path).len(), 20);
}

#[test]
fn only_what_failed_has_a_line_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let both = BothWays::new(&sandbox);
    let path = sandbox.path().join("access.log");
    let section = json!({ "Format": "Json", "Path": path, "StatusFrom": 400, "Sample": 0 });
    let section = format!(r#""Ostler": {{ "AccessLog": {section} }},"#);
    let front = sandbox.front(&both.configuration("", &section));
    for way in ["forwarded", "delegated"] {
        for status in ["200", "302", "404", "503"] {
            let answer = front.ask("GET", &format!("/{way}/status/{status}"));
            assert_eq!(answer.status.to_string(), status);
        }
    }
    let lines = so_many_lines(&path, 4);
    for line in &lines {
        assert!(
            line.contains("/status/404") || line.contains("/status/503"),
            "{line}"
        );
    }
}
