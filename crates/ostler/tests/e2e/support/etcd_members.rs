//! A real etcd for a test: Debian's, one member or several, on loopback.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use super::{Process, Sandbox, eventually, unclaimed_port};

/// Members of one etcd, any of which may be killed and started again with what it had.
pub(crate) struct EtcdMembers {
    folder: PathBuf,
    /// Each one's ports, for clients and for others.
    ports: Vec<[u16; 2]>,
    processes: Vec<Option<Process>>,
}

impl EtcdMembers {
    /// All of them, ready. `None`, said aloud, where etcd is missing.
    pub(crate) fn start(sandbox: &Sandbox, count: usize) -> Option<Self> {
        let version = |program| Command::new(program).arg("--version").output();
        if version("etcd").is_err() || version("etcdctl").is_err() {
            eprintln!(
                "\n!!! PASSED OVER: this is tested with etcd, which is not here; \
                 on Debian: apt-get install etcd-server etcd-client\n"
            );
            return None;
        }
        let ports = (0..count).map(|_| [unclaimed_port(), unclaimed_port()]);
        let mut members = Self {
            folder: sandbox.path().join("etcd"),
            ports: ports.collect(),
            processes: (0..count).map(|_| None).collect(),
        };
        (0..count).for_each(|at| members.begin(at));
        members.until_ready();
        Some(members)
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        let clients = self.ports.iter();
        clients
            .map(|[client, _]| format!("http://127.0.0.1:{client}"))
            .collect()
    }

    /// Starts a member, with what it had.
    pub(crate) fn begin(&mut self, at: usize) {
        let [client, peer] = self.ports[at].map(|port| format!("http://127.0.0.1:{port}"));
        let all = self.ports.iter().enumerate();
        let all: Vec<_> = all
            .map(|(at, [_, peer])| format!("m{at}=http://127.0.0.1:{peer}"))
            .collect();
        let mut command = Command::new("etcd");
        command
            .args([
                "--name",
                &format!("m{at}"),
                "--log-level",
                "error",
                "--unsafe-no-fsync",
            ])
            .arg("--data-dir")
            .arg(self.folder.join(format!("m{at}")))
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", &all.join(",")]);
        self.processes[at] = Some(Process::spawn(command));
    }

    /// Waits until those that run are answered by a quorum.
    pub(crate) fn until_ready(&self) {
        eventually("etcd is ready", || {
            self.etcdctl(&["get", "anything"]).status.success()
        });
    }

    pub(crate) fn kill(&mut self, at: usize) {
        self.processes[at] = None;
    }

    /// Which one leads.
    pub(crate) fn leader(&self) -> usize {
        let mut leader = None;
        eventually("somebody leads", || {
            let output = self.etcdctl(&["endpoint", "status", "--write-out", "json"]);
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let members = said.as_array().cloned().unwrap_or_default();
            let leads = |one: &Value| {
                let status = &one["Status"];
                status["leader"] == status["header"]["member_id"]
            };
            let endpoint = members.iter().find(|one| leads(one));
            let endpoint = endpoint.and_then(|one| one["Endpoint"].as_str());
            leader = self
                .endpoints()
                .iter()
                .position(|at| Some(at.as_str()) == endpoint);
            leader.is_some()
        });
        leader.unwrap()
    }

    /// Asks those that run.
    pub(crate) fn etcdctl(&self, arguments: &[&str]) -> Output {
        let running = self.endpoints().into_iter().zip(&self.processes);
        let running = running.filter(|(_, process)| process.is_some());
        let endpoints: Vec<_> = running.map(|(endpoint, _)| endpoint).collect();
        Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args([
                "--endpoints",
                &endpoints.join(","),
                "--command-timeout",
                "2s",
            ])
            .args(arguments)
            .output()
            .unwrap()
    }
}
