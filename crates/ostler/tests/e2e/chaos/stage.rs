//! A front, two instances of a queue, a destination by HTTP; and what is done to them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::verdict::{Cause, Disturbance};
use crate::support::{Front, Mischief, Process, Sandbox, eventually};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    KillInstance,
    KillEveryInstance,
    PauseInstance,
    PauseEveryInstance,
    RestartInstance,
    PauseDestination,
    KillDestination,
    RestartDestination,
    Reload,
    AddOrRemoveRoute,
    PauseFront,
    KillFront,
    RestartFront,
}

impl Trick {
    pub(super) const ALL: [Self; 13] = [
        Self::KillInstance,
        Self::KillEveryInstance,
        Self::PauseInstance,
        Self::PauseEveryInstance,
        Self::RestartInstance,
        Self::PauseDestination,
        Self::KillDestination,
        Self::RestartDestination,
        Self::Reload,
        Self::AddOrRemoveRoute,
        Self::PauseFront,
        Self::KillFront,
        Self::RestartFront,
    ];
}

pub(super) struct Stage {
    sandbox: Sandbox,
    front: Front,
    instances: Vec<Process>,
    destination: Process,
    /// `http://ADDRESS:PORT/`, the same after a restart.
    address: String,
    with_sometimes: bool,
    reloads: usize,
    disturbances: Vec<Disturbance>,
    /// What the fronts have said that are no more.
    said: Vec<String>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let sandbox = Sandbox::new();
        let instances = vec![instance(&sandbox), instance(&sandbox)];
        let (destination, address) = destination(&sandbox, "127.0.0.1:0");
        let front = sandbox.front_with(&configuration(&address, false, 0), &["--threads", "2"]);
        let mut stage = Self {
            sandbox,
            front,
            instances,
            destination,
            address,
            with_sometimes: false,
            reloads: 0,
            disturbances: Vec::new(),
            said: Vec::new(),
        };
        stage.until_answered("/delegated/", 200);
        stage.until_answered("/forwarded/", 200);
        stage.configure(true);
        stage
    }

    pub(super) fn port(&self) -> u16 {
        self.front.port
    }

    pub(super) fn disturbances(&self) -> &[Disturbance] {
        &self.disturbances
    }

    pub(super) fn play(&mut self, trick: Trick, mischief: &mut Mischief) {
        let (begun, count) = (Instant::now(), self.disturbances.len());
        self.act(trick, mischief);
        if self.disturbances.len() == count {
            self.remember(Cause::Harmless(trick), begun, Instant::now());
        }
    }

    fn act(&mut self, trick: Trick, mischief: &mut Mischief) {
        let pause = Duration::from_millis(20 + mischief.number() % 130);
        let one = mischief.below(self.instances.len());
        match trick {
            Trick::KillInstance => self.kill_instances(one..one + 1, pause),
            Trick::KillEveryInstance => self.kill_instances(0..self.instances.len(), pause),
            Trick::PauseInstance => pause_all(&self.instances[one..=one], pause),
            Trick::PauseEveryInstance => pause_all(&self.instances, pause),
            Trick::RestartInstance => {
                // The other instances serve meanwhile, the new one as soon as it is there.
                self.instances[one].signal("TERM");
                assert!(self.instances[one].wait().success());
                self.instances[one] = instance(&self.sandbox);
            }
            Trick::PauseDestination => pause_all([&self.destination], pause),
            Trick::KillDestination => self.renew_destination("KILL"),
            Trick::RestartDestination => self.renew_destination("TERM"),
            Trick::Reload => self.configure(self.with_sometimes),
            Trick::AddOrRemoveRoute => self.configure(!self.with_sometimes),
            Trick::PauseFront => pause_all([&self.front.process], pause),
            Trick::KillFront => self.renew_front("KILL", Cause::FrontKilled),
            Trick::RestartFront => self.renew_front("TERM", Cause::FrontRestarted),
        }
    }

    /// What comes in while an instance is stopped waits in its queue: when it dies, nobody has
    /// begun that.
    fn kill_instances(&mut self, which: std::ops::Range<usize>, pause: Duration) {
        let begun = Instant::now();
        let killed = &self.instances[which.clone()];
        killed.iter().for_each(Process::stop);
        let settled = Instant::now();
        std::thread::sleep(pause);
        killed.iter().for_each(Process::kill);
        for at in which {
            self.instances[at] = instance(&self.sandbox);
        }
        self.remember(Cause::InstanceKilled, begun, settled);
    }

    fn renew_destination(&mut self, signal: &str) {
        let begun = Instant::now();
        self.destination.signal(signal);
        self.destination.wait();
        let address = self.address.trim_start_matches("http://");
        let address = address.trim_end_matches('/').to_owned();
        (self.destination, _) = destination(&self.sandbox, &address);
        self.until_answered("/forwarded/", 200);
        self.remember(Cause::DestinationDown, begun, Instant::now());
    }

    fn renew_front(&mut self, signal: &str, cause: Cause) {
        let begun = Instant::now();
        self.front.process.signal(signal);
        let status = self.front.process.wait();
        self.said.extend(self.front.process.errors());
        assert_eq!(status.success(), signal == "TERM", "{status}");
        let (file, port) = (self.file(), self.front.port);
        let urls = format!("http://127.0.0.1:{port}");
        let arguments = ["run", "--config", file.to_str().unwrap(), "--urls", &urls];
        let arguments = [&arguments[..], &["--threads", "2"]].concat();
        self.front.process = self.sandbox.ostler(&arguments);
        let line = self.front.process.line();
        assert_eq!(line, format!("listening on {urls}"));
        self.until_answered("/delegated/", 200);
        self.until_answered("/forwarded/", 200);
        self.remember(cause, begun, Instant::now());
    }

    /// Another configuration, taken without a moment in which a request would fail.
    fn configure(&mut self, with_sometimes: bool) {
        self.reloads += 1;
        self.with_sometimes = with_sometimes;
        let json = configuration(&self.address, with_sometimes, self.reloads);
        let beside = self.sandbox.path().join("beside.json");
        std::fs::write(&beside, json).unwrap();
        std::fs::rename(&beside, self.file()).unwrap();
        self.front.process.signal("HUP");
        self.until_answered("/sometimes/", if with_sometimes { 200 } else { 404 });
    }

    fn file(&self) -> PathBuf {
        self.sandbox.path().join("ostler.json")
    }

    fn until_answered(&self, path: &str, status: u16) {
        eventually(&format!("{path} is answered {status}"), || {
            self.front.ask("GET", path).status == status
        });
    }

    fn remember(&mut self, cause: Cause, begun: Instant, settled: Instant) {
        self.disturbances.push(Disturbance {
            cause,
            begun,
            settled,
        });
    }

    /// What the fronts have said.
    pub(super) fn said(&self) -> Vec<String> {
        [self.said.clone(), self.front.process.errors()].concat()
    }

    /// Everything works still, and ends as it should.
    pub(super) fn end(self) {
        self.until_answered("/delegated/", 200);
        self.until_answered("/forwarded/", 200);
        for process in [&self.front.process].into_iter().chain(&self.instances) {
            process.signal("TERM");
            assert!(process.wait().success());
        }
    }
}

fn instance(sandbox: &Sandbox) -> Process {
    let arguments = ["--mode", "create-or-attach", "--label", "delegated"];
    sandbox.target("chaos", &arguments)
}

/// A target on an address; the queue it has as well is nobody's.
fn destination(sandbox: &Sandbox, address: &str) -> (Process, String) {
    let arguments = ["sample-target", "--queue", "unused", "--threads", "1"];
    let more = ["--label", "forwarded", "--listen", address];
    let process = sandbox.ostler(&[&arguments[..], &more[..]].concat());
    let line = process.line();
    let address = line.strip_prefix("listening on ").expect(&line);
    let address = format!("{address}/");
    process.wait_for_line("queue unused ready");
    (process, address)
}

fn pause_all<'a>(processes: impl IntoIterator<Item = &'a Process>, pause: Duration) {
    let processes: Vec<_> = processes.into_iter().collect();
    processes.iter().for_each(|process| process.stop());
    std::thread::sleep(pause);
    for process in processes {
        process.signal("CONT");
    }
}

/// Stops a process and waits until each of its threads stands.
/// Two clusters and their routes; each `reload` is another configuration.
fn configuration(address: &str, with_sometimes: bool, reload: usize) -> String {
    let mut names = vec!["delegated", "forwarded"];
    if with_sometimes {
        names.push("sometimes");
    }
    let routes = names.iter().map(|name| {
        let cluster = if *name == "forwarded" {
            name
        } else {
            "delegated"
        };
        let path = format!("/{name}/{{**rest}}");
        let route = serde_json::json!({ "ClusterId": cluster, "Match": { "Path": path } });
        ((*name).to_owned(), route)
    });
    let routes: serde_json::Map<_, _> = routes.collect();
    let policy = ["RoundRobin", "LeastRequests", "PowerOfTwoChoices"][reload % 3];
    let queue = serde_json::json!({ "Address": "http://*:80/",
        "Metadata": { "HttpSysDelegationQueue": "chaos", "Reload": reload.to_string() } });
    serde_json::json!({ "ReverseProxy": {
        "Pipeline": ["LoadBalancing", "PassiveHealthChecks", "HttpSysDelegation"],
        "Routes": routes,
        "Clusters": {
            "delegated": { "LoadBalancingPolicy": policy, "Destinations": { "queue": queue } },
            "forwarded": { "Destinations": { "one": { "Address": address } } },
        },
    } })
    .to_string()
}
