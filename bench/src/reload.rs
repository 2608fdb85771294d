//! What a large configuration costs: the start, and reloads while exchanges go on.
#![expect(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

const QUEUE: &str = "reload";
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two requests of a connection: there is to be load, not saturation.
const PAUSE: Duration = Duration::from_millis(20);

/// Starts a front with a large configuration and reloads it under load.
#[derive(Debug, clap::Args)]
pub(crate) struct ReloadArgs {
    /// Routes of the configuration.
    #[arg(long, default_value_t = 10_000)]
    routes: u32,
    /// Clusters of the configuration.
    #[arg(long, default_value_t = 5_000)]
    clusters: u32,
    /// How often it is reloaded.
    #[arg(long, default_value_t = 10)]
    reloads: u32,
    /// Keep-alive connections, half of them delegated and half forwarded.
    #[arg(long, default_value_t = 100)]
    connections: u32,
}

/// A process that is stopped when it is let go of.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the connections saw.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    requests: u64,
    failed: u64,
    longest: Duration,
}

/// Measures, and prints a table.
pub(crate) fn run(args: &ReloadArgs, ostler: &Path) -> anyhow::Result<()> {
    ensure!(args.clusters > 0, "there must be a cluster");
    let folder = tempfile::Builder::new().prefix("ostler-bench-").tempdir()?;
    let runtime = folder.path().join("run");
    fs::create_dir(&runtime)?;
    let direct = free_address()?;
    let mut target = Command::new(ostler);
    target.args([
        "sample-target",
        "--queue",
        QUEUE,
        "--listen",
        &direct.to_string(),
    ]);
    let (_target, lines) = start(target.env("OSTLER_RUNTIME_DIR", &runtime))?;
    wait_for(&lines, &format!("queue {QUEUE} ready"))?;

    let file = folder.path().join("appsettings.json");
    fs::write(&file, configuration(args, direct, 0))?;
    let begun = Instant::now();
    let mut front = Command::new(ostler);
    front
        .args(["run", "--urls", "http://127.0.0.1:0", "--config"])
        .arg(&file);
    let (front, lines) = start(front.env("OSTLER_RUNTIME_DIR", &runtime))?;
    let listening = wait_for(&lines, "listening on http://")?;
    let started = begun.elapsed();
    let (_, address) = listening.rsplit_once("//").context("no address")?;
    let address: SocketAddr = address.parse()?;
    let before = resident(front.0.id())?;

    let quiet = under_load(args, address, || {
        thread::sleep(Duration::from_secs(2));
        Ok(())
    })?;
    let mut reloads = Vec::new();
    let loaded = under_load(args, address, || {
        for turn in 1..=args.reloads {
            let beside = folder.path().join("beside.json");
            fs::write(&beside, configuration(args, direct, turn))?;
            fs::rename(&beside, &file)?;
            let begun = Instant::now();
            hang_up(&front.0)?;
            wait_for(&lines, "is reloaded")?;
            reloads.push(begun.elapsed());
        }
        Ok(())
    })?;
    let after = resident(front.0.id())?;
    reloads.sort();
    let median = reloads.get(reloads.len() / 2).copied().unwrap_or_default();
    println!("| | |\n|---|---|");
    println!("| routes, clusters | {}, {} |", args.routes, args.clusters);
    println!(
        "| from the start till listening | {} ms |",
        started.as_millis()
    );
    println!(
        "| reload, from the signal till it is in force: median, longest | {} ms, {} ms |",
        median.as_millis(),
        reloads.last().copied().unwrap_or_default().as_millis()
    );
    println!(
        "| requests on {} connections, failed | {}, {} |",
        args.connections, loaded.requests, loaded.failed
    );
    println!(
        "| longest exchange during reloads | {:.1} ms |",
        loaded.longest.as_secs_f64() * 1000.0
    );
    println!(
        "| longest exchange without reloads | {:.1} ms |",
        quiet.longest.as_secs_f64() * 1000.0
    );
    println!(
        "| resident memory before, after {} reloads | {} MB, {} MB |",
        args.reloads,
        before / 1024,
        after / 1024
    );
    Ok(())
}

/// Routes of paths of their own, the first two of which are asked for; in each turn a tenth of the
/// routes and one destination of each tenth cluster are others.
fn configuration(args: &ReloadArgs, direct: SocketAddr, turn: u32) -> String {
    let mut text = String::from(
        "{ \"ReverseProxy\": { \"Pipeline\": [ \"LoadBalancing\", \"HttpSysDelegation\" ],\n\"Routes\": {\n",
    );
    for route in 0..args.routes {
        let path = match route {
            0 => "/bytes/{**rest}".to_owned(),
            1 => "/f/{**rest}".to_owned(),
            route if route % 10 == turn % 10 => format!("/turn{turn}/r{route}/{{**rest}}"),
            route => format!("/r{route}/{{id}}/{{**rest}}"),
        };
        let cluster = route % args.clusters;
        let _ = writeln!(
            text,
            "\"r{route}\": {{ \"ClusterId\": \"c{cluster}\", \"Match\": {{ \"Path\": \"{path}\" }} }},"
        );
    }
    text += "}, \"Clusters\": {\n";
    for cluster in 0..args.clusters {
        let destination = match cluster {
            0 => format!(
                "\"Address\": \"http://*:80/\", \"Metadata\": {{ \"HttpSysDelegationQueue\": \"{QUEUE}\" }}"
            ),
            cluster if cluster % 10 == turn % 10 && cluster > 1 => {
                format!("\"Address\": \"http://{direct}/turn{turn}/\"")
            }
            _ => format!("\"Address\": \"http://{direct}/\""),
        };
        let _ = writeln!(
            text,
            "\"c{cluster}\": {{ \"Destinations\": {{ \"d\": {{ {destination} }} }} }},"
        );
    }
    text + "} } }"
}

/// Does something while connections ask.
fn under_load(
    args: &ReloadArgs,
    address: SocketAddr,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Seen> {
    let done = Arc::new(AtomicBool::new(false));
    let count = args.connections as usize;
    let ready = Arc::new(Barrier::new(count + 1));
    let connections: Vec<_> = (0..count)
        .map(|number| {
            let (done, ready) = (Arc::clone(&done), Arc::clone(&ready));
            let path = if number % 2 == 0 { "/bytes/13" } else { "/f/x" };
            thread::spawn(move || {
                ready.wait();
                ask_on(address, path, &done)
            })
        })
        .collect();
    ready.wait();
    let worked = work();
    done.store(true, Ordering::SeqCst);
    let mut all = Seen::default();
    for connection in connections {
        let seen = connection
            .join()
            .ok()
            .context("a connection's thread panicked")?;
        all.requests += seen.requests;
        all.failed += seen.failed;
        all.longest = all.longest.max(seen.longest);
    }
    worked.map(|()| all)
}

/// Asks on one connection, which is made anew when it fails.
fn ask_on(address: SocketAddr, path: &str, done: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut connection = None;
    while !done.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let answered = ask(&mut connection, address, path);
        seen.longest = seen.longest.max(begun.elapsed());
        seen.requests += 1;
        if !matches!(answered, Ok(200)) {
            seen.failed += 1;
            connection = None;
        }
        thread::sleep(PAUSE);
    }
    seen
}

/// The status of one request.
fn ask(
    connection: &mut Option<BufReader<TcpStream>>,
    address: SocketAddr,
    path: &str,
) -> anyhow::Result<u16> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            connection.insert(BufReader::new(stream))
        }
    };
    let head = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("no status line")?.parse()?;
    let mut length = None;
    while line != "\r\n" {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the connection has ended");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let mut body = vec![0; length.context("no length")?];
    stream.read_exact(&mut body)?;
    Ok(status)
}

/// Starts a process and passes on what it says on both of its outputs.
fn start(command: &mut Command) -> anyhow::Result<(Running, Receiver<String>)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, lines) = channel();
    let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Read on when nobody listens: a full pipe would stop the process.
                let _ = sender.send(line);
            }
        });
    }
    Ok((Running(child), lines))
}

fn wait_for(lines: &Receiver<String>, words: &str) -> anyhow::Result<String> {
    loop {
        let line = lines
            .recv_timeout(PATIENCE)
            .with_context(|| format!("nobody said {words:?}"))?;
        if line.contains(words) {
            return Ok(line);
        }
        ensure!(!line.contains("stays as it was"), "{line}");
    }
}

fn hang_up(process: &Child) -> anyhow::Result<()> {
    let pid = Pid::from_child(process);
    Ok(kill_process(pid, Signal::HUP)?)
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Resident memory in KiB.
fn resident(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(number.trim().parse()?)
}
