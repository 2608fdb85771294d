//! The demo's processes: this program, as a front and as targets.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// Where the demo plays: a folder with a configuration and a runtime folder.
#[derive(Debug)]
pub(super) struct Stage {
    folder: PathBuf,
    port: u16,
}

impl Stage {
    pub(super) fn set(port: u16) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("ostler-demo-{}", std::process::id()));
        fs::create_dir_all(folder.join("run")).context("cannot make a folder for the demo")?;
        let stage = Self { folder, port };
        fs::write(stage.configuration(), CONFIGURATION)?;
        Ok(stage)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("ostler.json")
    }

    pub(super) fn runtime(&self) -> PathBuf {
        self.folder.join("run")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const CONFIGURATION: &str = r#"{
  "ReverseProxy": {
    "Pipeline": [ "LoadBalancing", "HttpSysDelegation" ],
    "Routes": {
      "blue":  { "ClusterId": "blue",  "Match": { "Path": "/blue/{**rest}" } },
      "green": { "ClusterId": "green", "Match": { "Path": "/green/{**rest}" } },
    },
    "Clusters": {
      "blue": { "Destinations": { "blue/1": {
        "Address": "http://*:80/", "Metadata": { "HttpSysDelegationQueue": "blue" } } } },
      "green": { "Destinations": { "green/1": {
        "Address": "http://*:80/", "Metadata": { "HttpSysDelegationQueue": "green" } } } },
    },
  },
}
"#;

/// Running processes; all of them end with this.
#[derive(Debug)]
pub(super) struct Processes<'a> {
    stage: &'a Stage,
    front: Option<Child>,
    targets: BTreeMap<String, Child>,
    port: u16,
}

impl<'a> Processes<'a> {
    pub(super) fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            front: None,
            targets: BTreeMap::new(),
            port: stage.port,
        }
    }

    /// Starts the front and waits until it listens; gives its port, which stays the same when it
    /// is started again.
    pub(super) fn start_front(&mut self) -> anyhow::Result<u16> {
        let mut command = self.program()?;
        command.args([
            "--log",
            "error",
            "run",
            "--urls",
            &format!("http://127.0.0.1:{}", self.port),
        ]);
        command.arg("--config").arg(self.stage.configuration());
        let (child, line) = start(command)?;
        self.front = Some(child);
        let port = line
            .rsplit(':')
            .next()
            .and_then(|port| port.trim().parse().ok());
        self.port = port.with_context(|| format!("the front said {line:?}"))?;
        Ok(self.port)
    }

    pub(super) fn start_target(&mut self, queue: &str, mode: &str) -> anyhow::Result<()> {
        let mut command = self.program()?;
        command.args([
            "--log",
            "error",
            "sample-target",
            "--queue",
            queue,
            "--label",
            queue,
            "--mode",
            mode,
        ]);
        let (child, line) = start(command)?;
        if !line.ends_with("ready\n") {
            bail!("the target said {line:?}");
        }
        self.targets.insert(queue.to_owned(), child);
        Ok(())
    }

    /// SIGTERM, and the wait for the end that it asks for.
    pub(super) fn stop_front(&mut self) -> anyhow::Result<()> {
        let mut front = self.front.take().context("no front runs")?;
        terminate(&mut front)
    }

    /// SIGKILL.
    pub(super) fn kill_target(&mut self, queue: &str) -> anyhow::Result<()> {
        let mut target = self.targets.remove(queue).context("no such target runs")?;
        target.kill()?;
        target.wait()?;
        Ok(())
    }

    pub(super) fn front_pid(&self) -> u32 {
        self.front.as_ref().map_or(0, Child::id)
    }

    pub(super) fn target_pid(&self, queue: &str) -> anyhow::Result<u32> {
        self.targets
            .get(queue)
            .map(Child::id)
            .context("no such target runs")
    }

    /// Sends the front a signal by its name: `STOP`, `CONT`.
    pub(super) fn signal_front(&self, name: &str) -> anyhow::Result<()> {
        let front = self.front.as_ref().context("no front runs")?;
        signal(front, name)
    }

    fn program(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env("OSTLER_RUNTIME_DIR", self.stage.runtime());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(command)
    }
}

impl Drop for Processes<'_> {
    fn drop(&mut self) {
        for child in self.front.iter_mut().chain(self.targets.values_mut()) {
            let _ = terminate(child);
        }
    }
}

/// Starts a process and waits for its first line.
fn start(mut command: Command) -> anyhow::Result<(Child, String)> {
    let mut child = command
        .spawn()
        .context("cannot start a process of the demo")?;
    let output = child.stdout.take().context("standard output is piped")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    if line.is_empty() {
        let status = child.wait()?;
        bail!("a process of the demo ended ({status})");
    }
    Ok((child, line))
}

fn terminate(child: &mut Child) -> anyhow::Result<()> {
    // A process that has ended already is what is wanted.
    let _ = signal(child, "TERM");
    for _ in 0..100 {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn signal(child: &Child, name: &str) -> anyhow::Result<()> {
    // `kill` is everywhere, and saves this program a signal call of its own.
    let status = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .stderr(Stdio::null())
        .status()
        .context("cannot run kill")?;
    ensure!(status.success(), "cannot send SIG{name} to {}", child.id());
    Ok(())
}
