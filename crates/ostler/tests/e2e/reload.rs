//! Every way in which a configuration changes while the front runs (reference A1.14 and A2.4).

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::{Front, Process, Sandbox, delegating_by_path, delegating_to, eventually};

/// A route `/NAME` for each name; each answered by a cluster of its own: delegated to the queue of
/// that name, or forwarded to `address`.
fn by_path(names: &[&str], address: Option<&str>) -> String {
    let Some(address) = address else {
        return delegating_by_path(names);
    };
    let routes: Vec<_> = names
        .iter()
        .map(|name| {
            format!(r#""{name}": {{ "ClusterId": "{name}", "Match": {{ "Path": "/{name}/{{**rest}}" }} }}"#)
        })
        .collect();
    let clusters: Vec<_> = names
        .iter()
        .map(|name| {
            format!(
                r#""{name}": {{ "Destinations": {{ "{name}/1": {{ "Address": "{address}" }} }} }}"#
            )
        })
        .collect();
    format!(
        r#"{{ "ReverseProxy": {{ "Routes": {{ {} }}, "Clusters": {{ {} }} }} }}"#,
        routes.join(","),
        clusters.join(",")
    )
}

/// A target on a queue that is also served directly, and where.
fn target(sandbox: &Sandbox, queue: &str) -> (Process, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let process = sandbox.target(queue, &["--listen", &address]);
    (process, format!("http://{address}/"))
}

fn until_status(front: &Front, path: &str, status: u16) {
    eventually(&format!("{path} is answered {status}"), || {
        front.ask("GET", path).status == status
    });
}

fn until_said(front: &Front, words: &str) {
    eventually(&format!("the log says {words:?}"), || {
        front
            .process
            .errors()
            .iter()
            .any(|line| line.contains(words))
    });
}

/// How often the log has these words.
fn times_said(front: &Front, words: &str) -> usize {
    let errors = front.process.errors();
    errors.iter().filter(|line| line.contains(words)).count()
}

/// A front on a file of this sandbox, wherever it is, with environment variables.
fn front_on(sandbox: &Sandbox, file: &Path, variables: &[(&str, &str)], more: &[&str]) -> Front {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command
        .args([
            "run",
            "--urls",
            "http://127.0.0.1:0",
            "--threads",
            "1",
            "--config",
        ])
        .arg(file)
        .args(more)
        .env("OSTLER_RUNTIME_DIR", sandbox.runtime())
        .env_remove("ASPNETCORE_ENVIRONMENT")
        .env_remove("DOTNET_ENVIRONMENT")
        .envs(variables.iter().copied());
    let process = Process::spawn(command);
    let line = process.line();
    let port = line.rsplit(':').next().unwrap().parse().expect(&line);
    Front { process, port }
}

#[test]
fn a_write_in_place_and_a_rename_are_noticed_for_forwarded_and_delegated_clusters() {
    for is_forwarded in [false, true] {
        let sandbox = Sandbox::new();
        let (_target, address) = target(&sandbox, "a");
        let _other = sandbox.target("b", &[]);
        let address = is_forwarded.then_some(address.as_str());
        let front = sandbox.front(&by_path(&["a"], address));
        assert_eq!(front.ask("GET", "/a/").status, 200);
        assert_eq!(front.ask("GET", "/b/").status, 404);
        sandbox.configuration(&by_path(&["a", "b"], address));
        until_status(&front, "/b/", 200);
        // A route that is removed is found no more.
        let beside = sandbox.path().join("beside.json");
        std::fs::write(&beside, by_path(&["b"], address)).unwrap();
        std::fs::rename(&beside, sandbox.path().join("ostler.json")).unwrap();
        until_status(&front, "/a/", 404);
        assert_eq!(front.ask("GET", "/b/").status, 200);
    }
}

/// `file -> ..data/file`, `..data -> ..version`, and a rename of a new `..data` over the old one.
#[test]
fn a_swapped_link_as_in_kubernetes_is_noticed() {
    let sandbox = Sandbox::new();
    let _targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let folder = sandbox.path();
    for (version, queue) in [("..1", "a"), ("..2", "b")] {
        std::fs::create_dir(folder.join(version)).unwrap();
        let file = folder.join(version).join("appsettings.json");
        std::fs::write(file, delegating_by_path(&[queue])).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/appsettings.json", folder.join("appsettings.json")).unwrap();
    let front = front_on(&sandbox, &folder.join("appsettings.json"), &[], &[]);
    assert_eq!(front.ask("GET", "/a/").status, 200);
    symlink("..2", folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    std::fs::remove_dir_all(folder.join("..1")).unwrap();
    until_status(&front, "/b/", 200);
    assert_eq!(front.ask("GET", "/a/").status, 404);
}

#[test]
fn half_a_file_is_not_taken_and_the_whole_one_is() {
    let sandbox = Sandbox::new();
    let _targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_by_path(&["a"]));
    let whole = delegating_by_path(&["b"]);
    let (half, _) = whole.split_at(whole.len() / 2);
    sandbox.configuration(half);
    until_said(&front, "cannot be read and stays as it was");
    assert_eq!(front.ask("GET", "/a/").status, 200);
    sandbox.configuration(&whole);
    until_status(&front, "/b/", 200);
    assert_eq!(front.ask("GET", "/a/").status, 404);
}

#[test]
fn a_mistake_is_named_and_the_old_configuration_stays_until_it_is_mended() {
    let sandbox = Sandbox::new();
    let _targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_by_path(&["a"]));
    let wrong = delegating_by_path(&["b"]).replace("http://*:80/", "htp:/x");
    sandbox.configuration(&wrong);
    until_said(
        &front,
        "ReverseProxy:Clusters:b:Destinations:b/1:Address: \"htp:/x\" is no URL prefix",
    );
    until_said(&front, "the configuration has errors and stays as it was");
    assert!(times_said(&front, "ostler.json:") > 0);
    assert_eq!(front.ask("GET", "/a/").status, 200);
    assert_eq!(front.ask("GET", "/b/").status, 404);
    // A file that is gone changes nothing either.
    std::fs::remove_file(sandbox.path().join("ostler.json")).unwrap();
    until_said(&front, "cannot be read and stays as it was");
    assert_eq!(front.ask("GET", "/a/").status, 200);
    sandbox.configuration(&delegating_by_path(&["b"]));
    until_status(&front, "/b/", 200);
}

#[test]
fn the_environments_file_comes_changes_and_goes() {
    let sandbox = Sandbox::new();
    let _targets = ["a", "b", "c"].map(|queue| sandbox.target(queue, &[]));
    let file = sandbox.path().join("appsettings.json");
    std::fs::write(&file, delegating_by_path(&["a"])).unwrap();
    let front = front_on(&sandbox, &file, &[("DOTNET_ENVIRONMENT", "Staging")], &[]);
    assert_eq!(front.ask("GET", "/b/").status, 404);
    let over = sandbox.path().join("appsettings.Staging.json");
    // It is laid over the file, whose routes stay.
    std::fs::write(&over, delegating_by_path(&["b"])).unwrap();
    until_status(&front, "/b/", 200);
    assert_eq!(front.ask("GET", "/a/").status, 200);
    std::fs::write(&over, delegating_by_path(&["c"])).unwrap();
    until_status(&front, "/c/", 200);
    assert_eq!(front.ask("GET", "/b/").status, 404);
    // A mistake in it is named by its own place.
    std::fs::write(
        &over,
        r#"{ "ReverseProxy": { "Routes": { "a": { "Order": "x" } } } }"#,
    )
    .unwrap();
    until_said(&front, "appsettings.Staging.json:1:40");
    std::fs::remove_file(&over).unwrap();
    until_status(&front, "/c/", 404);
    assert_eq!(front.ask("GET", "/a/").status, 200);
}

#[test]
fn without_a_word_the_environment_is_production_and_the_command_line_wins_over_all() {
    let sandbox = Sandbox::new();
    let targets = ["a", "b", "c", "d"].map(|queue| sandbox.target(queue, &[]));
    let file = sandbox.path().join("x.json");
    std::fs::write(&file, delegating_to(&["a"])).unwrap();
    let queue = "Clusters:all:Destinations:a/1:Metadata:HttpSysDelegationQueue";
    let front = front_on(&sandbox, &file, &[], &[]);
    assert_eq!(front.ask("GET", "/").pid(), targets[0].pid());
    let over = r#"{ "ReverseProxy": { "Clusters": { "all": { "Destinations": { "a/1": {
        "Metadata": { "HttpSysDelegationQueue": "b" } } } } } } }"#;
    std::fs::write(sandbox.path().join("x.Production.json"), over).unwrap();
    eventually("the environment's file is laid over", || {
        front.ask("GET", "/").pid() == targets[1].pid()
    });
    let path = format!("ReverseProxy:{queue}");
    let variable = path.replace(':', "__");
    let front = front_on(&sandbox, &file, &[(&variable, "c")], &[]);
    assert_eq!(front.ask("GET", "/").pid(), targets[2].pid());
    for form in [
        vec![format!("--{path}=d")],
        vec![format!("--{path}"), "d".to_owned()],
        vec![format!("/{path}=d")],
        vec![format!("{path}=d")],
    ] {
        let form: Vec<_> = form.iter().map(String::as_str).collect();
        let front = front_on(&sandbox, &file, &[(&variable, "c")], &form);
        assert_eq!(front.ask("GET", "/").pid(), targets[3].pid(), "{form:?}");
    }
}

#[test]
fn a_signal_reloads_and_what_says_the_same_changes_nothing() {
    let sandbox = Sandbox::new();
    let _targets = ["a", "b"].map(|queue| sandbox.target(queue, &[]));
    let front = sandbox.front(&delegating_by_path(&["a"]));
    front.process.signal("HUP");
    until_said(&front, "the configuration says what it said");
    // Other blanks and a comment say the same.
    let text = delegating_by_path(&["a"]).replacen('{', "{ /* the same */ ", 1);
    let before = times_said(&front, "says what it said");
    sandbox.configuration(&text);
    eventually("the file is read once more", || {
        times_said(&front, "says what it said") > before
    });
    assert_eq!(times_said(&front, "is reloaded"), 0);
    sandbox.configuration(&delegating_by_path(&["a", "b"]));
    front.process.signal("HUP");
    until_status(&front, "/b/", 200);
}

#[test]
fn a_removed_cluster_answers_what_it_has_begun() {
    for is_forwarded in [false, true] {
        let sandbox = Sandbox::new();
        let (target, address) = target(&sandbox, "a");
        let address = is_forwarded.then_some(address.as_str());
        let front = sandbox.front(&by_path(&["a"], address));
        let mut upload = front.connect();
        upload.send("POST /a/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
        let mut download = front.connect();
        download.send("GET /a/bytes/20000000 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(download.try_head().unwrap().0, 200);
        sandbox.configuration(r#"{ "ReverseProxy": {} }"#);
        until_status(&front, "/a/", 404);
        upload.send("world");
        let answer = upload.response();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["length"], 10);
        assert_eq!(answer.json()["pid"], target.pid());
        assert_eq!(download.read(20_000_000).len(), 20_000_000);
        for client in [&mut upload, &mut download] {
            assert_eq!(client.ask("GET", "/a/").status, 404);
        }
    }
}
