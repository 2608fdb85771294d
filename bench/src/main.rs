//! Measures direct, delegated, forwarded and other proxies side by side: CPU time, throughput, latency.
#![forbid(unsafe_code)]

mod cpu;
mod load;
mod machine;
mod measure;
mod plot;
mod reload;
mod report;
mod servers;
mod trace;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum as _};

use crate::load::Load;
use crate::measure::{Samples, Scenario, Trace};
use crate::servers::{Server, ServerKind};

/// What the trace asks for when it can choose.
const TRACED_CONNECTIONS: u32 = 64;
const MOST_TRACED_SECONDS: u32 = 3;

/// Measures what a request costs, and writes `docs/performance.md`.
///
/// Needs wrk; measures nginx and HAProxy, and counts system calls by strace, where these are
/// installed (Debian: nginx-light, haproxy, wrk, strace).
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Instead>,
    /// One short round with 64 connections: a look, not a result.
    #[arg(long)]
    quick: bool,
    /// How long each load lasts.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// How often each server is loaded; the tables show medians.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Bytes in a response's body.
    #[arg(long, value_delimiter = ',', default_values_t = [13, 1024, 65_536, 1_048_576])]
    sizes: Vec<u64>,
    /// Connections of the client, each with one request at a time.
    #[arg(long, value_delimiter = ',')]
    connections: Option<Vec<u32>>,
    /// What to measure; without this, everything that is installed.
    #[arg(long, value_delimiter = ',', value_enum)]
    servers: Option<Vec<ServerKind>>,
    /// The ostler program; without this, it is built.
    #[arg(long, value_name = "PATH")]
    ostler: Option<PathBuf>,
    /// An earlier ostler program, to be measured in the same run.
    #[arg(long, value_name = "PATH")]
    earlier: Option<PathBuf>,
    /// Count no system calls.
    #[arg(long)]
    no_trace: bool,
    /// Write docs/performance.md and its plots.
    #[arg(long)]
    write: bool,
}

/// What is measured instead of requests.
#[derive(Debug, clap::Subcommand)]
enum Instead {
    /// Starting with a large configuration, and reloading it under load.
    Reload(reload::ReloadArgs),
}

/// The arguments with what was left out filled in.
#[derive(Debug)]
struct Plan {
    seconds: u32,
    rounds: u32,
    sizes: Vec<u64>,
    connections: Vec<u32>,
    kinds: Vec<ServerKind>,
    trace: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the bench folder is not in the workspace")?;
    let ostler = match &args.ostler {
        Some(path) => path
            .canonicalize()
            .with_context(|| format!("no {}", path.display()))?,
        None => build_ostler(workspace)?,
    };
    if let Some(Instead::Reload(arguments)) = &args.command {
        return reload::run(arguments, &ostler);
    }
    let plan = Plan::new(&args)?;
    // Before anything runs, for the load average is in it.
    let machine = machine::describe(&ostler, &plan.kinds);
    let machine = format!("{machine}- Command: `{}`\n", plan.command());
    println!("{machine}");

    let folder = tempfile::Builder::new().prefix("ostler-bench-").tempdir()?;
    allow_entry(folder.path())?;
    let starts = plan.kinds.iter().map(|kind| {
        let program = match kind {
            ServerKind::Earlier => args.earlier.as_ref().context("--earlier is missing")?,
            _ => &ostler,
        };
        Server::start(*kind, program, folder.path())
    });
    let servers: Vec<_> = starts.collect::<anyhow::Result<_>>()?;

    let samples = plan.measure(&servers)?;
    println!("\n{}", report::results(&samples, false));
    let calls = if plan.trace {
        plan.count_calls(&servers, folder.path())?
    } else {
        String::new()
    };
    println!("{calls}");
    drop(servers);
    if args.write {
        let page = workspace.join("docs/performance.md");
        let results = report::results(&samples, true);
        report::write(&page, &[&machine, &results, &calls], &samples)?;
        println!("written: {}", page.display());
    }
    Ok(())
}

impl Plan {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let kinds = match &args.servers {
            Some(kinds) => {
                let mut kinds = kinds.clone();
                kinds.sort();
                kinds.dedup();
                for kind in &kinds {
                    ensure!(kind.is_installed(), "{} is not installed", kind.name());
                }
                kinds
            }
            None => {
                let all = ServerKind::value_variants().iter().copied();
                let earlier = args.earlier.is_some();
                all.filter(|kind| *kind != ServerKind::Earlier || earlier)
                    .filter(|kind| {
                        let installed = kind.is_installed();
                        if !installed {
                            eprintln!("{} is not installed and left out", kind.name());
                        }
                        installed
                    })
                    .collect()
            }
        };
        let strace = || Command::new("strace").arg("-V").output().is_ok();
        let (seconds, rounds, connections) = if args.quick {
            (1, 1, vec![64])
        } else {
            (5, 3, vec![16, 64, 256])
        };
        Ok(Self {
            seconds: args.seconds.unwrap_or(seconds),
            rounds: args.rounds.unwrap_or(rounds),
            sizes: args.sizes.clone(),
            connections: args.connections.clone().unwrap_or(connections),
            kinds,
            trace: !args.no_trace && strace(),
        })
    }

    /// The command that measures the same again.
    fn command(&self) -> String {
        let list = |items: Vec<String>| items.join(",");
        let kinds = self
            .kinds
            .iter()
            .filter_map(clap::ValueEnum::to_possible_value);
        format!(
            "cargo run --release -p ostler-bench -- --seconds {} --rounds {} --sizes {} \
             --connections {} --servers {}{}",
            self.seconds,
            self.rounds,
            list(self.sizes.iter().map(u64::to_string).collect()),
            list(self.connections.iter().map(u32::to_string).collect()),
            list(kinds.map(|kind| kind.get_name().to_owned()).collect()),
            if self.trace { "" } else { " --no-trace" },
        )
    }

    fn measure(&self, servers: &[Server]) -> anyhow::Result<Samples> {
        // The first load of all pays for pages, pools and channels that later ones find.
        for server in servers {
            Load {
                size: 13,
                connections: 64,
                seconds: 1,
            }
            .run(server.address)?;
        }
        let mut samples = Samples::default();
        for &size in &self.sizes {
            for &connections in &self.connections {
                eprintln!("{}, {connections} connections", report::size_name(size));
                let scenario = Scenario { size, connections };
                samples.take(scenario, servers, self.rounds, self.seconds)?;
            }
        }
        Ok(samples)
    }

    /// Counts system calls for the smallest and the largest responses: what is between is too.
    fn count_calls(&self, servers: &[Server], folder: &Path) -> anyhow::Result<String> {
        let connections = if self.connections.contains(&TRACED_CONNECTIONS) {
            TRACED_CONNECTIONS
        } else {
            self.connections
                .first()
                .copied()
                .unwrap_or(TRACED_CONNECTIONS)
        };
        let seconds = self.seconds.min(MOST_TRACED_SECONDS);
        let mut sizes = vec![self.sizes.iter().min(), self.sizes.iter().max()];
        sizes.dedup();
        let mut text = String::new();
        for &size in sizes.into_iter().flatten() {
            eprintln!("system calls, {}", report::size_name(size));
            let load = Load {
                size,
                connections,
                seconds,
            };
            let mut traces = Vec::new();
            for server in servers {
                traces.extend(Trace::take(server, &load, folder)?);
            }
            text += &report::system_calls(size, connections, &traces);
        }
        Ok(text)
    }
}

/// The servers may give up root, and then still have to reach their files.
fn allow_entry(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Builds `ostler` as it is released, and says where it is.
fn build_ostler(workspace: &Path) -> anyhow::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--release",
            "-p",
            "ostler",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(workspace)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "ostler does not build");
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).context("cargo does not say where ostler is")
}

/// The program `ostler` among cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    messages
        .filter(|message: &serde_json::Value| message["target"]["name"] == "ostler")
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_program_among_cargo_s_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"itoa"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"ostler_model"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"ostler"},"executable":"/t/release/ostler"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executable(messages),
            Some(PathBuf::from("/t/release/ostler"))
        );
        assert_eq!(executable("{\"reason\":\"build-finished\"}"), None);
    }

    #[test]
    fn the_command_measures_the_same_again() {
        let quick = [
            "ostler-bench",
            "--quick",
            "--servers",
            "delegated,direct",
            "--no-trace",
        ];
        let plan = Plan::new(&Args::parse_from(quick)).unwrap();
        let command = plan.command();
        let (_, arguments) = command.split_once(" -- ").unwrap();
        let again = Args::parse_from(["ostler-bench"].into_iter().chain(arguments.split(' ')));
        let again = Plan::new(&again).unwrap();
        assert_eq!(format!("{again:?}"), format!("{plan:?}"));
        assert_eq!(again.kinds, [ServerKind::Direct, ServerKind::Delegated]);
        assert_eq!((again.seconds, again.rounds), (1, 1));
    }
}
