//! Measures direct, delegated, forwarded and other proxies side by side: CPU time, throughput, latency.
#![forbid(unsafe_code)]

mod ask;
mod certificate;
mod cpu;
mod load;
mod machine;
mod measure;
mod plot;
mod protocol;
mod reload;
mod report;
mod servers;
mod trace;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum as _};

use crate::load::{Clients, Load};
use crate::measure::{Samples, Scenario, Trace};
use crate::protocol::Protocol;
use crate::servers::{Server, ServerKind};

/// What the trace asks for when it can choose.
const TRACED_CLIENTS: Clients = Clients::new(64);
const MOST_TRACED_SECONDS: u32 = 3;

/// Measures what a request costs, and writes `docs/performance.md`.
///
/// Needs wrk, and h2load for HTTP/2; measures nginx and HAProxy, and counts system calls by strace, where these are
/// installed (Debian: nginx-light, haproxy, wrk, nghttp2-client, strace).
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
    /// What the client speaks; each is measured by itself.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Protocol::Http1])]
    protocols: Vec<Protocol>,
    /// Connections of the client: 64 have one request at a time each, 10x10 are ten with ten streams each.
    #[arg(long, value_delimiter = ',')]
    connections: Option<Vec<Clients>>,
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
    protocols: Vec<Protocol>,
    /// What was asked for; otherwise each protocol has its own.
    connections: Option<Vec<Clients>>,
    quick: bool,
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
    let (mut samples, mut calls) = (Samples::default(), String::new());
    for &protocol in &plan.protocols {
        let folder = folder.path().join(protocol.scheme());
        let starts = plan.kinds.iter().map(|kind| {
            let program = match kind {
                ServerKind::Earlier => args.earlier.as_ref().context("--earlier is missing")?,
                _ => &ostler,
            };
            Server::start(*kind, protocol, program, &folder)
        });
        let servers: Vec<_> = starts.collect::<anyhow::Result<_>>()?;
        plan.measure(protocol, &servers, &mut samples)?;
        if plan.trace {
            calls += &plan.count_calls(protocol, &servers, &folder)?;
        }
    }
    println!("\n{}", report::results(&samples, false));
    println!("{calls}");
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
        for &protocol in &args.protocols {
            let program = Load::program(protocol).display();
            let is_there = Command::new(program.to_string()).arg("--version").output();
            ensure!(is_there.is_ok(), "{} needs {program}", protocol.name());
        }
        let (seconds, rounds) = if args.quick { (1, 1) } else { (5, 3) };
        Ok(Self {
            seconds: args.seconds.unwrap_or(seconds),
            rounds: args.rounds.unwrap_or(rounds),
            sizes: args.sizes.clone(),
            protocols: args.protocols.clone(),
            connections: args.connections.clone(),
            quick: args.quick,
            kinds,
            trace: !args.no_trace && strace(),
        })
    }

    /// How many clients, with how many streams.
    fn clients(&self, protocol: Protocol) -> Vec<Clients> {
        let alone = |connections: &[u32]| connections.iter().copied().map(Clients::new).collect();
        match (&self.connections, protocol) {
            (Some(asked_for), _) => asked_for.clone(),
            (None, Protocol::Http2Tls) => {
                let shared = Clients {
                    connections: 10,
                    streams: 10,
                };
                vec![shared, TRACED_CLIENTS]
            }
            (None, _) if self.quick => vec![TRACED_CLIENTS],
            (None, _) => alone(&[16, 64, 256]),
        }
    }

    /// The command that measures the same again.
    fn command(&self) -> String {
        let list = |items: Vec<String>| items.join(",");
        let kinds = self
            .kinds
            .iter()
            .filter_map(clap::ValueEnum::to_possible_value);
        let protocols = self
            .protocols
            .iter()
            .filter_map(clap::ValueEnum::to_possible_value);
        let connections = self.connections.as_ref().map_or_else(String::new, |all| {
            let all = all.iter().map(Clients::to_string).collect();
            format!(" --connections {}", list(all))
        });
        format!(
            "cargo run --release -p ostler-bench -- --seconds {} --rounds {} --sizes {} \
             --protocols {}{connections}{} --servers {}{}",
            self.seconds,
            self.rounds,
            list(self.sizes.iter().map(u64::to_string).collect()),
            list(protocols.map(|value| value.get_name().to_owned()).collect()),
            if self.quick { " --quick" } else { "" },
            list(kinds.map(|kind| kind.get_name().to_owned()).collect()),
            if self.trace { "" } else { " --no-trace" },
        )
    }

    fn measure(
        &self,
        protocol: Protocol,
        servers: &[Server],
        samples: &mut Samples,
    ) -> anyhow::Result<()> {
        let scenario = |size, clients| Scenario {
            protocol,
            size,
            clients,
        };
        // The first load of all pays for pages, pools and channels that later ones find.
        for server in servers {
            scenario(13, TRACED_CLIENTS).load(1).run(server.address)?;
        }
        for &size in &self.sizes {
            for clients in self.clients(protocol) {
                let (protocol, size_name) = (protocol.name(), report::size_name(size));
                eprintln!("{protocol}, {size_name}, {clients} connections");
                samples.take(scenario(size, clients), servers, self.rounds, self.seconds)?;
            }
        }
        Ok(())
    }

    /// Counts system calls for the smallest and the largest responses: what is between is too.
    fn count_calls(
        &self,
        protocol: Protocol,
        servers: &[Server],
        folder: &Path,
    ) -> anyhow::Result<String> {
        let all = self.clients(protocol);
        let clients = match all.first() {
            Some(&first) if !all.contains(&TRACED_CLIENTS) => first,
            _ => TRACED_CLIENTS,
        };
        let seconds = self.seconds.min(MOST_TRACED_SECONDS);
        let mut sizes = vec![self.sizes.iter().min(), self.sizes.iter().max()];
        sizes.dedup();
        let mut text = String::new();
        for &size in sizes.into_iter().flatten() {
            eprintln!("system calls, {}", report::size_name(size));
            let scenario = Scenario {
                protocol,
                size,
                clients,
            };
            let mut traces = Vec::new();
            for server in servers {
                traces.extend(Trace::take(server, &scenario.load(seconds), folder)?);
            }
            text += &report::system_calls(scenario, &traces);
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
