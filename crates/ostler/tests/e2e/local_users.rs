//! Users of one host: what others put into the runtime folder, and a front and an application that
//! run as two users. The tests with two users need root, to be somebody else.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::relay::shared_sandbox;
use crate::support::{Client, Process, Sandbox, delegating_by_path, delegating_to, eventually};

/// Numbers that no user of a system has.
const OSTLER: u32 = 61_001;
const WWW_DATA: u32 = 61_002;

fn make_pipe(path: PathBuf) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn says(log: &Process, parts: &[&str]) -> bool {
    let mut lines = log.errors().into_iter();
    lines.any(|line| parts.iter().all(|part| line.contains(part)))
}

/// Before, one request for such a queue blocked the thread in open(2) for good.
#[test]
fn pipes_and_endless_files_in_a_queue_s_folder_hold_nobody_up() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("good", &[]);
    let queues = sandbox.runtime().join("queues");
    for name in ["pipe", "sparse", "link"] {
        fs::create_dir(queues.join(name)).unwrap();
    }
    make_pipe(queues.join("pipe/queue.json"));
    for name in ["1.json", "1.sock"] {
        make_pipe(queues.join("pipe").join(name));
    }
    let sparse = File::create(queues.join("sparse/queue.json")).unwrap();
    sparse.set_len(8 << 30).unwrap();
    symlink("/dev/zero", queues.join("link/queue.json")).unwrap();

    let bad = ["pipe", "sparse", "link"];
    let front = sandbox.front(&delegating_by_path(&["good", "pipe", "sparse", "link"]));
    // They wait for an instance, and hold up nobody else.
    let waiting = bad.map(|name| {
        let mut client = front.connect();
        client.send(format!("GET /{name}/ HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        client
    });
    for _ in 0..3 {
        assert_eq!(front.ask("GET", "/good/").pid(), target.pid());
    }
    for name in bad {
        let file = format!("{name}/queue.json is not used");
        eventually("the log names the file", || says(&front.process, &[&file]));
    }
    drop(waiting);
    assert!(sandbox.output(&["queues"]).contains("good"));
}

#[test]
fn a_link_in_place_of_a_queue_s_folder_is_no_queue() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target("real", &[]);
    symlink("real", sandbox.runtime().join("queues/linked")).unwrap();
    let front = sandbox.front(&delegating_by_path(&["linked", "real"]));
    assert_eq!(front.ask("GET", "/linked/").status, 503);
    assert_eq!(front.ask("GET", "/real/").status, 200);
    eventually("the log names the link", || {
        says(
            &front.process,
            &["queue linked cannot be used", "symbolic link"],
        )
    });
    assert!(!says(&front.process, &["does not exist"]));
}

/// Whoever may write to a queue's folder could have its requests go to another application that way.
#[test]
fn a_link_in_place_of_an_instance_s_socket_is_not_connected_to() {
    let sandbox = Sandbox::new();
    let target = sandbox.target("real", &[]);
    let queues = sandbox.runtime().join("queues");
    let copy = queues.join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(queues.join("real/queue.json"), copy.join("queue.json")).unwrap();
    let socket = format!("{}-0.sock", target.pid());
    symlink(queues.join("real").join(&socket), copy.join(&socket)).unwrap();
    let front = sandbox.front(&delegating_by_path(&["copy", "real"]));
    let mut client = front.connect();
    client.send(b"GET /copy/ HTTP/1.1\r\nHost: h\r\n\r\n");
    eventually("the log names the link", || {
        says(&front.process, &["queue=copy", "symbolic link"])
    });
    assert_eq!(front.ask("GET", "/real/").pid(), target.pid());
    let listed = sandbox.output(&["queues", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    // The folders' order: the copy, which says that it is the other, comes first.
    assert_eq!(listed[0]["instances"][0]["state"], "dead");
    assert_eq!(listed[1]["instances"][0]["completed"], 1);
}

/// A sandbox in which the front's user owns the runtime folder.
fn two_users() -> Option<Sandbox> {
    let sandbox = shared_sandbox()?;
    let runtime = sandbox.runtime();
    fs::remove_dir(runtime.join("queues")).unwrap();
    give(&runtime, OSTLER, OSTLER, 0o755);
    Some(sandbox)
}

fn give(path: &Path, user: u32, group: u32, mode: u32) {
    chown(path, Some(user), Some(group)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// This program, run by a user of these groups whose umask leaves nothing to others.
fn run_as(sandbox: &Sandbox, user: u32, groups: &[u32], arguments: &[&str]) -> Process {
    let all: Vec<_> = groups.iter().map(u32::to_string).collect();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec setpriv \"$@\"", "sh"]);
    command.args(["--reuid", &user.to_string(), "--regid", &all[0]]);
    command.args(["--groups", &all.join(",")]);
    command.arg(sandbox.path().join("ostler")).args(arguments);
    command.env("OSTLER_RUNTIME_DIR", sandbox.runtime());
    command.current_dir(sandbox.path());
    Process::spawn(command)
}

fn front_of(sandbox: &Sandbox, groups: &[u32], ostler: &str) -> Process {
    let configuration = delegating_to(&["q"]);
    let configuration = configuration.trim_end().strip_suffix('}').unwrap();
    let configuration = format!("{configuration}, \"Ostler\": {ostler} }}");
    let configuration = sandbox.own_configuration(&configuration);
    let mut arguments = vec!["run", "--threads", "1", "--urls", "http://127.0.0.1:0"];
    arguments.extend(["--config", configuration.to_str().unwrap()]);
    run_as(sandbox, OSTLER, groups, &arguments)
}

fn port_of(front: &Process) -> u16 {
    let line = front.line();
    line.rsplit(':').next().unwrap().parse().expect(&line)
}

const APPLICATION: [&str; 5] = ["sample-target", "--queue", "q", "--threads", "1"];

#[test]
fn a_group_lets_an_application_of_another_user_open_queues_whatever_the_umasks_are() {
    let Some(sandbox) = two_users() else { return };
    for (permissions, group_mode) in [("750", 0o2750), ("2770", 0o2770)] {
        let settings = format!(r#"{{ "QueueGroup": {WWW_DATA}, "TrustedUsers": [ {WWW_DATA} ] }}"#);
        let front = front_of(&sandbox, &[OSTLER, WWW_DATA], &settings);
        let port = port_of(&front);
        let queues = sandbox.runtime().join("queues");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&queues), 0o2770);
        let mut arguments = APPLICATION.to_vec();
        arguments.extend(["--permissions", permissions]);
        let target = run_as(&sandbox, WWW_DATA, &[WWW_DATA], &arguments);
        target.wait_for_line("queue q ready");
        assert_eq!(mode(&queues.join("q")), group_mode);
        let socket = format!("q/{}-0.sock", target.pid());
        assert_eq!(mode(&queues.join(socket)), 0o660);
        let echo = Client::connect(port).ask("GET", "/echo").json();
        assert_eq!(echo["arrival"], "delegated");
        assert_eq!(echo["pid"], target.pid());
        for process in [&target, &front] {
            process.signal("TERM");
            process.wait();
        }
        // What the key has made is found as it should be, by a front that may not change it.
        give(&queues, 0, WWW_DATA, 0o2770);
    }
}

#[test]
fn a_front_that_may_not_enter_a_queue_says_whose_it_is() {
    let Some(sandbox) = two_users() else { return };
    fs::create_dir(sandbox.runtime().join("queues")).unwrap();
    give(&sandbox.runtime().join("queues"), WWW_DATA, WWW_DATA, 0o755);
    let target = run_as(&sandbox, WWW_DATA, &[WWW_DATA], &APPLICATION);
    target.wait_for_line("queue q ready");
    let front = front_of(&sandbox, &[OSTLER], "{}");
    let port = port_of(&front);
    for _ in 0..3 {
        assert_eq!(Client::connect(port).ask("GET", "/").status, 503);
    }
    let owner = format!("owner uid {WWW_DATA}, group gid {WWW_DATA}, mode 0750");
    let own = format!("runs as user uid {OSTLER} (groups gid {OSTLER})");
    eventually("the log says why", || {
        says(
            &front,
            &["requests for a queue are answered 503", &owner, &own],
        )
    });
    assert!(!says(&front, &["does not exist"]));
    let told = front.errors();
    let told = told
        .iter()
        .filter(|line| line.contains("the queue cannot be used as it is"));
    assert_eq!(told.count(), 1, "one line a change of state");

    // The folder may be entered now, the socket still not be connected to.
    fs::set_permissions(
        sandbox.runtime().join("queues/q"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    assert_eq!(Client::connect(port).ask("GET", "/").status, 503);
    eventually("the answer's line names the socket", || {
        says(
            &front,
            &[
                "requests for a queue are answered 503",
                ".sock denied",
                "mode 0660",
            ],
        )
    });
}

#[test]
fn a_group_that_the_front_cannot_give_the_folder_to_is_a_mistake_that_names_both() {
    let Some(sandbox) = two_users() else { return };
    let front = front_of(
        &sandbox,
        &[OSTLER],
        &format!(r#"{{ "QueueGroup": {WWW_DATA} }}"#),
    );
    assert!(!front.wait().success());
    let group = format!("cannot be given to group gid {WWW_DATA} with mode 2770");
    eventually("it says so", || {
        says(&front, &["Ostler:QueueGroup", &group])
    });
    let front = front_of(&sandbox, &[OSTLER], r#"{ "QueueGroup": "no such group" }"#);
    assert!(!front.wait().success());
    eventually("it says so", || {
        says(
            &front,
            &["Ostler:QueueGroup", "there is no group \"no such group\""],
        )
    });
}

#[test]
fn an_application_that_may_not_open_queues_says_what_it_would_take() {
    let Some(sandbox) = two_users() else { return };
    let target = run_as(&sandbox, WWW_DATA, &[WWW_DATA], &APPLICATION);
    assert!(!target.wait().success());
    let owner = format!("owner uid {OSTLER}, group gid {OSTLER}, mode 0755");
    eventually("it names owner, group and mode", || {
        says(&target, &["denied", &owner])
    });
}

/// Before, the reason was lost on its way, and requests waited for two minutes.
#[test]
fn a_front_that_the_application_does_not_serve_says_whom_it_does() {
    let Some(sandbox) = two_users() else { return };
    // Neither root's nor the application's user, and not the runtime folder's owner.
    give(&sandbox.runtime(), 0, 0, 0o755);
    let queues = sandbox.runtime().join("queues");
    fs::create_dir(&queues).unwrap();
    give(&queues, 0, WWW_DATA, 0o2770);
    let target = run_as(&sandbox, WWW_DATA, &[WWW_DATA], &APPLICATION);
    target.wait_for_line("queue q ready");
    let front = front_of(&sandbox, &[OSTLER, WWW_DATA], "{}");
    let port = port_of(&front);
    for _ in 0..3 {
        assert_eq!(Client::connect(port).ask("GET", "/").status, 503);
    }
    let reason = format!(
        "user uid {OSTLER} is no front of this queue; its fronts run as root, uid {WWW_DATA}"
    );
    eventually("the log says whom the application serves", || {
        says(&front, &["requests for a queue are answered 503", &reason])
    });
    let turned_away = || {
        let said = target.errors();
        let said = said.iter().filter(|line| line.contains("turned away"));
        said.count()
    };
    eventually("the application says so, too", || turned_away() > 0);
    assert_eq!(turned_away(), 1, "one line, not one an attempt");
}
