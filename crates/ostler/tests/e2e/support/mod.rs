//! What the tests are written with: a sandbox, processes in it, and raw clients.

pub(crate) mod activation;
pub(crate) mod admin;
mod both_ways;
mod client;
pub(crate) mod collector;
mod etcd_members;
pub(crate) mod fronts;
mod hostile_target;
pub(crate) mod http2_client;
pub(crate) mod http2_destination;
pub(crate) mod http2_frames;
pub(crate) mod load;
mod mischief;
mod name_server;
mod old_target;
mod process;
mod raw_destination;
pub(crate) mod routes_both_ways;
mod tls_client;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) use both_ways::{BothWays, WAYS};
pub(crate) use client::{Client, Response};
pub(crate) use etcd_members::EtcdMembers;
pub(crate) use hostile_target::{Hello, HostileChannel, HostileQueue, answered};
pub(crate) use mischief::{Mischief, RegionBytes};
pub(crate) use name_server::NameServer;
pub(crate) use old_target::OldTarget;
pub(crate) use process::Process;
pub(crate) use raw_destination::{Destination, Incoming};
use tempfile::TempDir;
pub(crate) use tls_client::{Authority, Identity, TlsClient, TlsSettings, tls};

/// How long anything may take before a test gives up; never how long something should take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of its own for a test, with a runtime folder in it.
pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Writes the configuration file of the first front here, which reloads it if it runs.
    pub(crate) fn configuration(&self, json: &str) -> PathBuf {
        let path = self.folder.path().join("ostler.json");
        std::fs::write(&path, json).unwrap();
        path
    }

    /// Writes a configuration file that nobody else has: fronts that run beside this one would
    /// reload theirs.
    pub(crate) fn own_configuration(&self, json: &str) -> PathBuf {
        let others = (2..).map(|number| format!("ostler-{number}.json"));
        for name in std::iter::once("ostler.json".to_owned()).chain(others) {
            let path = self.folder.path().join(name);
            match File::create_new(&path) {
                Ok(mut file) => {
                    file.write_all(json.as_bytes()).unwrap();
                    return path;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
            }
        }
        unreachable!("numbers do not end")
    }

    /// This program with arguments, in this sandbox.
    pub(crate) fn ostler(&self, arguments: &[&str]) -> Process {
        Process::start(&self.runtime(), arguments)
    }

    /// What this program prints with these arguments, once it has succeeded.
    pub(crate) fn output(&self, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ostler"));
        let output = command
            .args(arguments)
            .env("OSTLER_RUNTIME_DIR", self.runtime())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A front on a port of its own, ready; one thread unless `arguments` say otherwise.
    pub(crate) fn front(&self, json: &str) -> Front {
        self.front_with(json, &["--threads", "1"])
    }

    pub(crate) fn front_with(&self, json: &str, arguments: &[&str]) -> Front {
        self.start_front(json, arguments, &[])
    }

    /// A front of one thread with these environment variables.
    pub(crate) fn front_in(&self, json: &str, environment: &[(&str, &str)]) -> Front {
        self.start_front(json, &["--threads", "1"], environment)
    }

    fn start_front(&self, json: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Front {
        let configuration = self.own_configuration(json);
        let mut all = vec!["run", "--config", configuration.to_str().unwrap()];
        all.extend(["--urls", "http://127.0.0.1:0"]);
        all.extend(arguments);
        let process = Process::start_in(&self.runtime(), &all, environment);
        let line = process.line();
        let port = line
            .strip_prefix("listening on http://127.0.0.1:")
            .expect(&line);
        Front {
            port: port.parse().unwrap(),
            process,
        }
    }

    /// A sample target on a queue that listens on an address too, ready; and `http://ADDRESS:PORT/`.
    pub(crate) fn listening_target(&self, queue: &str) -> (Process, String) {
        let mut arguments = vec!["sample-target", "--queue", queue, "--threads", "1"];
        arguments.extend(["--listen", "127.0.0.1:0"]);
        let target = self.ostler(&arguments);
        let line = target.line();
        let address = line.strip_prefix("listening on ").expect(&line);
        let address = format!("{address}/");
        target.wait_for_line(&format!("queue {queue} ready"));
        (target, address)
    }

    /// A sample target on a queue, ready.
    pub(crate) fn target(&self, queue: &str, arguments: &[&str]) -> Process {
        let mut all = vec!["sample-target", "--queue", queue, "--threads", "1"];
        all.extend(arguments);
        let process = self.ostler(&all);
        process.wait_for_line(&format!("queue {queue} ready"));
        process
    }
}

/// A running front.
pub(crate) struct Front {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Front {
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Response {
        self.connect().ask(method, path)
    }
}

/// One route, for everything, to one cluster whose destinations are request queues.
pub(crate) fn delegating_to(queues: &[&str]) -> String {
    let destinations: Vec<_> = queues
        .iter()
        .map(|queue| {
            format!(
                r#""{queue}/1": {{ "Address": "http://*:80/",
                     "Metadata": {{ "HttpSysDelegationQueue": "{queue}" }} }}"#
            )
        })
        .collect();
    format!(
        r#"{{ "ReverseProxy": {{
            "Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],
            "Routes": {{ "all": {{ "ClusterId": "all", "Match": {{ "Path": "{{**rest}}" }} }} }},
            "Clusters": {{ "all": {{ "LoadBalancingPolicy": "RoundRobin",
                "Destinations": {{ {} }} }} }} }} }}"#,
        destinations.join(",")
    )
}

/// A route `/NAME/...` for each queue.
pub(crate) fn delegating_by_path(queues: &[&str]) -> String {
    let mut routes = Vec::new();
    let mut clusters = Vec::new();
    for queue in queues {
        routes.push(format!(
            r#""{queue}": {{ "ClusterId": "{queue}", "Match": {{ "Path": "/{queue}/{{**rest}}" }} }}"#
        ));
        clusters.push(format!(
            r#""{queue}": {{ "Destinations": {{ "{queue}/1": {{ "Address": "http://*:80/",
                 "Metadata": {{ "HttpSysDelegationQueue": "{queue}" }} }} }} }}"#
        ));
    }
    format!(
        r#"{{ "ReverseProxy": {{
            "Pipeline": [ "SessionAffinity", "LoadBalancing", "PassiveHealthChecks", "HttpSysDelegation" ],
            "Routes": {{ {} }}, "Clusters": {{ {} }} }} }}"#,
        routes.join(","),
        clusters.join(",")
    )
}

/// A port that nobody has and, since it is none of those that the kernel gives to whoever asks for any, that is
/// still free when whoever listens there is started again.
pub(crate) fn unclaimed_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 97;
        let port = 10_240 + u16::try_from(number % 20_000).unwrap();
        let at = ("127.0.0.1", port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            return port;
        }
    }
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < PATIENCE,
            "it never came to be that {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
