//! A service manager (systemd) that listens itself, and is told how the front is. The tests are one.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::replacement::{both, configuration};
use crate::support::activation::{Notifications, Passed, activated, activated_in};
use crate::support::fronts::{Fronts, has_ended};
use crate::support::load::{Clients, Load, Ports};
use crate::support::{Authority, Client, Sandbox, TlsSettings, eventually};

const QUEUE: &str = "q";

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn ten_fronts_are_killed_under_load_and_nobody_is_refused() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let authority = Authority::new("Test Root");
    let ((clear, clear_port), (secure, tls_port)) = (listener(), listener());
    let ports = Ports {
        clear: clear_port,
        tls: tls_port,
    };
    let file = sandbox.configuration(&configuration(&both(&sandbox, &authority, ports)));
    let arguments = ["run", "--config", file.to_str().unwrap(), "--threads", "2"];
    let passed: [Passed<'_>; 2] = [(&clear, "ostler.socket"), (&secure, "ostler.socket")];
    let load = Load::default();
    let clients = Clients {
        http1: 24,
        tls: 12,
        http2: 6,
    };
    let mut last = None;
    // Whoever comes before there is a front waits for it.
    load.during(clients, ports, &TlsSettings::new(&authority), || {
        for _ in 0..10 {
            let before = load.answered();
            let front = activated(&sandbox, &passed, &arguments);
            eventually("all kinds of clients are answered", || {
                let now = load.answered();
                before.iter().zip(now).all(|(before, now)| *before < now)
            });
            load.killing(|| front.kill());
        }
        // For those who wait when the clients are told to stop.
        last = Some(activated(&sandbox, &passed, &arguments));
    });
    let last = last.unwrap();
    assert_eq!(
        last.line(),
        format!("listening on http://127.0.0.1:{clear_port}")
    );
    last.signal("TERM");
    assert!(last.wait().success());
}

/// Nothing of them has reached the front that dies: not one is reset.
#[test]
fn who_waits_to_be_accepted_is_served_by_the_next_front() {
    const WAITING: usize = 50;
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let (listener, port) = listener();
    let json = configuration(&json!({ "a": { "Url": format!("http://127.0.0.1:{port}") } }));
    let file = sandbox.configuration(&json);
    let arguments = ["run", "--config", file.to_str().unwrap(), "--threads", "2"];
    let passed: [Passed<'_>; 1] = [(&listener, "a")];
    for end in ["KILL", "TERM"] {
        let front = activated(&sandbox, &passed, &arguments);
        front.line();
        assert_eq!(Client::connect(port).ask("GET", "/").status, 200);
        front.stop();
        let mut clients: Vec<_> = (0..WAITING).map(|_| Client::connect(port)).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        front.signal(end);
        front.signal("CONT");
        front.wait();
        let _next = activated(&sandbox, &passed, &arguments);
        for client in &mut clients {
            assert_eq!(client.response().status, 200, "{end}");
        }
    }
}

#[test]
fn sockets_are_the_endpoints_by_name_or_address() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let ((named, named_port), (found, found_port), (nobodys, nobodys_port)) =
        (listener(), listener(), listener());
    let both_families = TcpListener::bind("[::]:0").unwrap();
    let any_port = both_families.local_addr().unwrap().port();
    let path = sandbox.path().join("http.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let json = configuration(&json!({
        "Web": { "Url": "http://127.0.0.1:1" },
        "b": { "Url": format!("http://127.0.0.1:{found_port}") },
        "c": { "Url": format!("http://*:{any_port}") },
        "d": { "Url": format!("http://unix:{}", path.display()) },
        "e": { "Url": "http://127.0.0.1:0" },
    }));
    let file = sandbox.configuration(&json);
    let passed: [Passed<'_>; 5] = [
        (&named, "web"),
        (&found, "ostler.socket"),
        (&both_families, "ostler.socket"),
        (&unix, "ostler.socket"),
        (&nobodys, "forgotten"),
    ];
    let front = activated(
        &sandbox,
        &passed,
        &["run", "--config", file.to_str().unwrap()],
    );
    let lines = [(); 5].map(|()| front.line());
    let own = lines[4].rsplit(':').next().unwrap().parse().unwrap();
    for port in [named_port, found_port, any_port, own] {
        let mut client = Client::connect(port);
        let seen = client.ask("GET", "/echo").json()["client"].clone();
        // A client of IPv4 is one, whatever socket it came to.
        let address = client.local_address().to_string();
        assert_eq!(seen, address, "{lines:?}");
    }
    let stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(Client::over(stream).ask("GET", "/").status, 200);
    front.signal("TERM");
    assert!(front.wait().success());
    let lines = front.errors();
    let warned = |line: &&String| line.contains("no endpoint is for") && line.contains("WARN");
    let warnings: Vec<_> = lines.iter().filter(warned).collect();
    assert_eq!(warnings.len(), 1, "{lines:#?}");
    assert!(warnings[0].contains(&format!("127.0.0.1:{nobodys_port}")));
    assert!(warnings[0].contains("forgotten"));
    assert!(path.exists(), "the file is the service manager's");
}

#[test]
fn a_descriptor_that_is_of_no_use_is_an_error() {
    let sandbox = Sandbox::new();
    let file = sandbox.configuration(r#"{ "ReverseProxy": {} }"#);
    let (listener, _) = listener();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let passed: [Passed<'_>; 2] = [(&listener, "web"), (&datagrams, "dns")];
    let front = activated(
        &sandbox,
        &passed,
        &["run", "--config", file.to_str().unwrap()],
    );
    assert!(!front.wait().success());
    let said = front.errors().join("\n");
    assert!(
        said.contains("descriptor 4 (dns)") && said.contains("no stream socket"),
        "{said}"
    );
}

#[test]
fn a_number_of_descriptors_that_no_process_has_is_an_error() {
    let sandbox = Sandbox::new();
    let json = r#"{ "Urls": "http://127.0.0.1:0", "ReverseProxy": {} }"#;
    let file = sandbox.configuration(json);
    let arguments = ["run", "--config", file.to_str().unwrap()];
    for count in ["2000000000", "99999999999999999999", "-1", "two"] {
        let environment = [("LISTEN_FDS", count)];
        let failed = activated_in(&sandbox, &[], &arguments, &environment);
        assert!(!failed.wait().success(), "{count}");
        let said = failed.errors().join("\n");
        assert!(said.contains("LISTEN_FDS"), "{count}: {said}");
    }
}

#[test]
fn the_service_manager_is_told_how_the_front_is() {
    let sandbox = Sandbox::new();
    let _target = sandbox.target(QUEUE, &[]);
    let manager = Notifications::new(&sandbox);
    let path = Notifications::path(&sandbox);
    let json = configuration(&json!({ "a": { "Url": "http://127.0.0.1:0" } }));
    let file = sandbox.configuration(&json);
    let environment = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "3000000"),
    ];
    let arguments = ["run", "--config", file.to_str().unwrap()];
    let fronts = Fronts::new(&sandbox.runtime());
    let front = activated_in(&sandbox, &[], &arguments, &environment);
    let ready = manager.wait_for("READY=1");
    let status = ready.iter().find(|line| line.starts_with("STATUS="));
    assert!(status.is_some_and(|status| status.contains("listening on http://127.0.0.1:")));
    manager.wait_for("WATCHDOG=1");
    front.signal("HUP");
    let reloading = manager.wait_for("RELOADING=1");
    let time = reloading
        .iter()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(time.is_some_and(|time| time.parse::<u64>().is_ok()));
    manager.wait_for("READY=1");
    // Who takes its place is the service from then on.
    front.signal("USR2");
    let main = manager.wait_for("MAINPID=");
    let pid = fronts.other_than(front.pid());
    assert_eq!(main, [format!("MAINPID={pid}")]);
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    eventually("the old front ends", || has_ended(front.pid()));
    assert!(crate::support::fronts::signal(pid, "TERM"));
    let stopping = manager.wait_for("STOPPING=1");
    assert!(
        stopping
            .iter()
            .any(|line| line.starts_with("EXTEND_TIMEOUT_USEC="))
    );
    eventually("the new front ends", || has_ended(pid));
}

/// A file of those that are installed.
fn packaged(name: &str) -> PathBuf {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    packaging.join(name)
}

#[test]
fn the_installed_configuration_has_no_mistake_and_its_endpoint_is_the_socket_unit_s() {
    let sandbox = Sandbox::new();
    let file = packaged("ostler.json");
    sandbox.output(&["check", "--strict", "--config", file.to_str().unwrap()]);
    let unit = std::fs::read_to_string(packaged("ostler.socket")).unwrap();
    let configuration = std::fs::read_to_string(file).unwrap();
    let names = unit
        .lines()
        .filter_map(|line| line.strip_prefix("FileDescriptorName="));
    let names: Vec<_> = names.collect();
    assert_eq!(names.len(), 1, "{unit}");
    for name in names {
        assert!(
            configuration.contains(&format!("\"{name}\": {{ \"Url\"")),
            "{name}"
        );
    }
}

/// Where there is systemd to ask.
#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_exposed() {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_ostler");
    for name in ["ostler.service", "ostler.socket"] {
        let unit = std::fs::read_to_string(packaged(name)).unwrap();
        let unit = unit.replace("/usr/bin/ostler", program);
        std::fs::write(sandbox.path().join(name), unit).unwrap();
    }
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).current_dir(sandbox.path()).output()
    };
    let units = ["./ostler.service", "./ostler.socket"];
    let verified = match analyze(&["verify", "--man=no", units[0], units[1]]) {
        Ok(verified) => verified,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("not verified: there is no systemd-analyze here");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // Of others' units it may say what it likes.
    let own: Vec<_> = said
        .lines()
        .filter(|line| line.contains("ostler."))
        .collect();
    assert!(own.is_empty(), "{own:#?}");
    // From 0 to 100; a service without any protection has 96.
    let arguments = ["security", "--offline=yes", "--threshold=25", units[0]];
    let exposed = analyze(&arguments).unwrap();
    assert!(exposed.status.success(), "{exposed:?}");
}

/// Where packages of Debian can be made.
#[test]
fn a_debian_package_has_what_a_service_needs() {
    let sandbox = Sandbox::new();
    let package = sandbox.path().join("ostler.deb");
    let made = match Command::new("dpkg-deb").arg("--version").output() {
        Ok(_) => Command::new(packaged("deb"))
            .arg(env!("CARGO_BIN_EXE_ostler"))
            .arg(&package)
            .output()
            .unwrap(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("not packaged: there is no dpkg-deb here");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(made.status.success(), "{made:?}");
    let listed = Command::new("dpkg-deb")
        .arg("--contents")
        .arg(&package)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for path in [
        "/usr/bin/ostler",
        "/usr/lib/systemd/system/ostler.service",
        "/usr/lib/systemd/system/ostler.socket",
        "/usr/lib/sysusers.d/ostler.conf",
        "/usr/lib/tmpfiles.d/ostler.conf",
        "/etc/ostler/ostler.json",
        "/usr/share/man/man1/ostler.1.gz",
        "/usr/share/man/man1/ostler-run.1.gz",
        "/usr/share/bash-completion/completions/ostler",
        "/usr/share/zsh/vendor-completions/_ostler",
        "/usr/share/fish/vendor_completions.d/ostler.fish",
    ] {
        let is_there = listed
            .lines()
            .any(|line| line.ends_with(&format!(" .{path}")));
        assert!(is_there, "{path} is missing in {listed}");
    }
    assert!(
        listed.lines().all(|line| line.contains(" root/root ")),
        "{listed}"
    );
    let said = Command::new("dpkg-deb")
        .arg("--info")
        .arg(&package)
        .arg("conffiles")
        .output();
    assert_eq!(said.unwrap().stdout, b"/etc/ostler/ostler.json\n");

    // What is in it, run where it would be installed.
    let root = sandbox.path().join("root");
    let unpacked = Command::new("dpkg-deb")
        .arg("--extract")
        .args([&package, &root])
        .status();
    assert!(unpacked.unwrap().success());
    let checked = Command::new(root.join("usr/bin/ostler"))
        .args(["check", "--config"])
        .arg(root.join("etc/ostler/ostler.json"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
