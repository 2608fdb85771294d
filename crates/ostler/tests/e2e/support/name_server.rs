//! A real DNS server for a test: Debian's dnsmasq.

use std::path::PathBuf;
use std::process::Command;

use super::{Process, Sandbox, eventually, unclaimed_port};

/// A name server whose names a test sets, below `test.`.
pub(crate) struct NameServer {
    process: Option<Process>,
    hosts: PathBuf,
    arguments: Vec<String>,
    port: u16,
}

impl NameServer {
    /// A server that is not started yet, with more arguments of dnsmasq's. `None`, said aloud, where
    /// dnsmasq is missing.
    pub(crate) fn new(sandbox: &Sandbox, arguments: &[&str]) -> Option<Self> {
        if Command::new("dnsmasq").arg("--version").output().is_err() {
            eprintln!(
                "\n!!! PASSED OVER: names are tested with dnsmasq, which is not here; \
                 on Debian: apt-get install dnsmasq-base\n"
            );
            return None;
        }
        let hosts = sandbox.path().join("hosts");
        std::fs::write(&hosts, "").unwrap();
        Some(Self {
            process: None,
            hosts,
            arguments: arguments.iter().map(|&one| one.to_owned()).collect(),
            port: unclaimed_port(),
        })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sets the addresses of names, and has a running server read them.
    pub(crate) fn set(&self, names: &[(&str, &[&str])]) {
        let lines = names.iter().flat_map(|(name, addresses)| {
            let addresses = addresses.iter();
            addresses.map(move |address| format!("{address} {name}\n"))
        });
        std::fs::write(&self.hosts, lines.collect::<String>()).unwrap();
        if let Some(process) = &self.process {
            process.signal("HUP");
        }
    }

    pub(crate) fn start(&mut self) {
        let mut command = Command::new("dnsmasq");
        // It is not to become somebody else, who may not read the names.
        let user = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(user.stdout).unwrap();
        command
            .args([
                "--no-daemon",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
            ])
            .args([
                "--bind-interfaces",
                "--listen-address=127.0.0.1",
                "--pid-file=",
            ])
            .args(["--local=/test/", "--local-ttl=1"])
            .arg(format!("--user={}", user.trim()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--addn-hosts={}", self.hosts.display()))
            .args(&self.arguments);
        let process = Process::spawn(command);
        eventually("dnsmasq has started", || {
            assert!(process.is_running(), "{:?}", process.errors());
            let errors = process.errors();
            errors.iter().any(|line| line.contains("read "))
        });
        self.process = Some(process);
    }

    /// From now on nobody answers.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }
}
