//! The servers that are measured: starts each with its application, and stops what it started.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::ask::ask;
use crate::certificate::Certificate;
use crate::cpu::{self, Usage};
use crate::protocol::Protocol;

const QUEUE: &str = "bench";
/// How often to look whether a process is ready, or gone.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(10);

/// What stands between the client and the application. The order is that of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum ServerKind {
    /// Nothing: the application listens.
    Direct,
    /// Ostler, which delegates to it.
    Delegated,
    /// An earlier Ostler, which delegates to it: what a change costs (`--earlier`).
    Earlier,
    /// Ostler, which relays to it: the application is another user's. Only root can measure that.
    Relayed,
    /// Ostler, which forwards to it over HTTP.
    Forwarded,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

impl ServerKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Delegated => "delegated",
            Self::Earlier => "delegated, earlier",
            Self::Relayed => "relayed",
            Self::Forwarded => "forwarded",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }

    /// What the tables call it. What goes to a queue over TLS is delegated where the kernel does TLS, and
    /// passes through the front elsewhere.
    pub(crate) fn name_over(self, protocol: Protocol) -> &'static str {
        match self {
            Self::Delegated if protocol.is_tls() => "to a queue",
            Self::Earlier if protocol.is_tls() => "to a queue, earlier",
            _ => self.name(),
        }
    }

    /// How the application says that requests come through it; what is forwarded it cannot tell
    /// from what is direct.
    fn arrivals(self, protocol: Protocol) -> &'static [&'static str] {
        match self {
            Self::Delegated | Self::Earlier if protocol.is_tls() => {
                &["delegated", "streamed", "relayed"]
            }
            Self::Delegated | Self::Earlier => &["delegated"],
            Self::Relayed => &["relayed"],
            Self::Direct | Self::Forwarded | Self::Nginx | Self::Haproxy => &["direct"],
        }
    }

    /// Whether its program is on this host; Ostler's own is always there.
    pub(crate) fn is_installed(self) -> bool {
        if self == Self::Relayed && !rustix::process::geteuid().is_root() {
            return false;
        }
        let version = match self {
            Self::Direct | Self::Delegated | Self::Earlier | Self::Forwarded => return true,
            Self::Relayed => Command::new("setpriv").arg("--version").output(),
            Self::Nginx => Command::new("nginx").arg("-v").output(),
            Self::Haproxy => Command::new("haproxy").arg("-v").output(),
        };
        version.is_ok_and(|output| output.status.success())
    }
}

/// A server that answers, with all its processes.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: ServerKind,
    pub(crate) address: SocketAddr,
    processes: Vec<Process>,
}

/// What a process does for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// It accepts the client's connections, and is not the application.
    Front,
    /// It is the application.
    App,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::App => "app",
        }
    }
}

impl Server {
    /// Starts a server of this kind, with an application of its own, and waits until it answers.
    pub(crate) fn start(
        kind: ServerKind,
        protocol: Protocol,
        ostler: &Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(kind.name());
        fs::create_dir_all(&folder)?;
        let certificate = protocol
            .is_tls()
            .then(|| Certificate::make(&folder))
            .transpose()?;
        Self::start_in(
            kind,
            &Starter {
                ostler,
                folder: &folder,
                protocol,
                certificate: certificate.as_ref(),
            },
        )
        .with_context(|| format!("cannot start {}", kind.name()))
    }

    fn start_in(kind: ServerKind, starter: &Starter<'_>) -> anyhow::Result<Self> {
        // The application first: the front may want to see it.
        let app = free_address()?;
        let mut processes = vec![match kind {
            ServerKind::Direct => starter.direct(app)?,
            ServerKind::Relayed => starter.app_of_another_user(app)?,
            _ => starter.app(app)?,
        }];
        let address = match kind {
            ServerKind::Direct => app,
            _ => free_address()?,
        };
        match kind {
            ServerKind::Direct => {}
            ServerKind::Delegated | ServerKind::Earlier | ServerKind::Relayed => {
                processes.push(starter.delegating_front(address)?);
            }
            ServerKind::Forwarded => processes.push(starter.forwarding_front(address, app)?),
            ServerKind::Nginx => processes.push(starter.nginx(address, app)?),
            ServerKind::Haproxy => processes.push(starter.haproxy(address, app)?),
        }
        let mut server = Self {
            kind,
            address,
            processes,
        };
        server.wait_until_it_answers(starter)?;
        Ok(server)
    }

    /// What the processes of each role have consumed so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Vec<(Role, Usage)>> {
        self.pids()?
            .into_iter()
            .map(|(role, pids)| {
                let usages = pids.into_iter().map(Usage::of_process);
                let sum = usages.reduce(|sum, usage| Ok(sum? + usage?));
                Ok((role, sum.context("no process")??))
            })
            .collect()
    }

    /// The processes of each role.
    pub(crate) fn pids(&self) -> anyhow::Result<Vec<(Role, Vec<u32>)>> {
        let pids = self
            .processes
            .iter()
            .map(|process| Ok((process.role, cpu::with_descendants(process.child.id())?)));
        let mut pids: Vec<_> = pids.collect::<anyhow::Result<_>>()?;
        pids.sort();
        Ok(pids)
    }

    fn wait_until_it_answers(&mut self, starter: &Starter<'_>) -> anyhow::Result<()> {
        let arrivals = self.kind.arrivals(starter.protocol);
        let mut answer = Ok(());
        for _ in 0..TRIES {
            for process in &mut self.processes {
                if let Some(status) = process.child.try_wait()? {
                    bail!("a process ended ({status}): {}", process.said());
                }
            }
            answer = ask(self.address, starter.certificate, arrivals);
            if answer.is_ok() {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        let said: String = self.processes.iter().map(Process::said).collect();
        answer.with_context(|| {
            format!(
                "no answer from {}; its processes said: {said}",
                self.address
            )
        })
    }
}

#[derive(Debug)]
struct Process {
    role: Role,
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(role: Role, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{}.log", role.name()));
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self { role, child, log })
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Asks a child to end, insists after a while, and leaves no zombie.
pub(crate) fn stop(child: &mut Child) {
    // Errors below mean that the child has ended already.
    if let Ok(None) = child.try_wait()
        && let Ok(Some(pid)) = i32::try_from(child.id()).map(Pid::from_raw)
    {
        let _ = kill_process(pid, Signal::TERM);
        for _ in 0..TRIES {
            match child.try_wait() {
                Ok(None) => thread::sleep(PAUSE),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = child.kill();
    }
    let _ = child.wait();
}

struct Starter<'a> {
    ostler: &'a Path,
    folder: &'a Path,
    protocol: Protocol,
    /// What the server shows its clients; `None` in clear.
    certificate: Option<&'a Certificate>,
}

impl Starter<'_> {
    fn ostler(&self) -> Command {
        let mut command = Command::new(self.ostler);
        command
            .env("OSTLER_RUNTIME_DIR", self.folder)
            .env("OSTLER_LOG", "warn");
        command
    }

    /// The application where there is no front.
    fn direct(&self, address: SocketAddr) -> anyhow::Result<Process> {
        let mut command = self.ostler();
        if let Some(Certificate { chain, key, .. }) = self.certificate {
            let files = format!("{},{}", chain.display(), key.display());
            command.args(["sample-target", "--tls", &files]);
        } else {
            command.arg("sample-target");
        }
        self.app_by(command, address)
    }

    /// The application behind a front, which speaks to it in clear.
    fn app(&self, address: SocketAddr) -> anyhow::Result<Process> {
        let mut command = self.ostler();
        command.arg("sample-target");
        self.app_by(command, address)
    }

    fn app_by(&self, mut command: Command, address: SocketAddr) -> anyhow::Result<Process> {
        command.args(["--threads", "1", "--queue", QUEUE]);
        command.arg("--listen").arg(address.to_string());
        Process::start(Role::App, &mut command, self.folder)
    }

    /// The front does not hand clients' sockets to what another user runs.
    fn app_of_another_user(&self, address: SocketAddr) -> anyhow::Result<Process> {
        use std::os::unix::fs::PermissionsExt as _;
        // A user nobody is logged in as.
        const STRANGER: &str = "65534";
        let queues = self.folder.join("queues");
        fs::create_dir_all(&queues)?;
        for folder in [self.folder, &queues] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
        }
        // The program itself may lie where only root can go.
        let program = self.folder.join("ostler");
        fs::copy(self.ostler, &program)?;
        let mut command = Command::new("setpriv");
        command.args(["--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"]);
        command
            .arg(program)
            .arg("sample-target")
            .env("OSTLER_RUNTIME_DIR", self.folder)
            .env("OSTLER_LOG", "warn")
            .current_dir(self.folder);
        self.app_by(command, address)
    }

    fn delegating_front(&self, address: SocketAddr) -> anyhow::Result<Process> {
        let destination = json!({
            "Address": "http://*:80/",
            "Metadata": { "HttpSysDelegationQueue": QUEUE },
        });
        let steps = json!([
            "SessionAffinity",
            "LoadBalancing",
            "PassiveHealthChecks",
            "HttpSysDelegation"
        ]);
        self.front(address, &destination, Some(&steps))
    }

    fn forwarding_front(&self, address: SocketAddr, app: SocketAddr) -> anyhow::Result<Process> {
        self.front(
            address,
            &json!({ "Address": format!("http://{app}/") }),
            None,
        )
    }

    fn front(
        &self,
        address: SocketAddr,
        destination: &serde_json::Value,
        pipeline: Option<&serde_json::Value>,
    ) -> anyhow::Result<Process> {
        let mut proxy = json!({
            "Routes": { "all": { "ClusterId": "app", "Match": { "Path": "{**catch-all}" } } },
            "Clusters": { "app": { "Destinations": { "one": destination } } },
        });
        if let Some(steps) = pipeline {
            proxy["Pipeline"] = steps.clone();
        }
        let config = self.folder.join("ostler.json");
        let mut settings = json!({ "ReverseProxy": proxy });
        if let Some(Certificate { chain, key, .. }) = self.certificate {
            settings["Kestrel"] =
                json!({ "Certificates": { "Default": { "Path": chain, "KeyPath": key } } });
        }
        fs::write(&config, settings.to_string())?;
        let mut command = self.ostler();
        command
            .args(["run", "--threads", "1", "--drain-timeout", "1", "--config"])
            .arg(config);
        command
            .arg("--urls")
            .arg(format!("{}://{address}", self.protocol.scheme()));
        Process::start(Role::Front, &mut command, self.folder)
    }

    fn nginx(&self, address: SocketAddr, app: SocketAddr) -> anyhow::Result<Process> {
        let folder = self.folder.display();
        let listen = match self.certificate {
            None => format!("listen {address};"),
            Some(Certificate { chain, key, .. }) => format!(
                "listen {address} ssl http2; ssl_certificate {}; ssl_certificate_key {};",
                chain.display(),
                key.display()
            ),
        };
        let mut config = String::new();
        // Connections to the application are kept, none is closed for its age, and a slow client
        // does not make nginx write to the disk. The rest is nginx's default.
        write!(
            config,
            "daemon off;
            worker_processes 1;
            user root;
            pid {folder}/nginx.pid;
            error_log stderr warn;
            events {{ worker_connections 4096; }}
            http {{
                access_log off;
                keepalive_requests 1000000000;
                client_body_temp_path {folder}/client_body;
                proxy_temp_path {folder}/proxy;
                fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi;
                scgi_temp_path {folder}/scgi;
                upstream app {{
                    server {app};
                    keepalive 512;
                    keepalive_requests 1000000000;
                }}
                server {{
                    {listen}
                    location / {{
                        proxy_pass http://app;
                        proxy_http_version 1.1;
                        proxy_set_header Connection \"\";
                        proxy_max_temp_file_size 0;
                    }}
                }}
            }}"
        )?;
        if !rustix::process::geteuid().is_root() {
            // Only root may change the user, and only root has to.
            config = config.replace("user root;", "");
        }
        let path = self.folder.join("nginx.conf");
        fs::write(&path, config)?;
        let mut command = Command::new("nginx");
        command
            .args(["-e", "stderr", "-p"])
            .arg(self.folder)
            .arg("-c")
            .arg(path);
        Process::start(Role::Front, &mut command, self.folder)
    }

    fn haproxy(&self, address: SocketAddr, app: SocketAddr) -> anyhow::Result<Process> {
        let path = self.folder.join("haproxy.cfg");
        let tls = self.certificate.map_or_else(String::new, |certificate| {
            let file = certificate.both.display();
            format!(" ssl crt {file} alpn h2,http/1.1")
        });
        let config = format!(
            "global
                nbthread 1
                maxconn 4096
            defaults
                mode http
                http-reuse always
                timeout connect 5s
                timeout client 60s
                timeout server 60s
            frontend clients
                bind {address}{tls}
                default_backend app
            backend app
                server app {app}\n"
        );
        fs::write(&path, config)?;
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(path);
        Process::start(Role::Front, &mut command, self.folder)
    }
}

/// An address on the loopback interface that nobody listens on, now at least.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_child_is_gone() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        stop(&mut child);
        assert!(child.try_wait().unwrap().is_some());
        stop(&mut child);
    }
}
