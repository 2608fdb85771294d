//! `ostler demo`: a front, two targets, and what delegation does, told in five steps.

mod client;
mod processes;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use ostler_shm::monotonic_nanoseconds;

use self::client::{Client, WebSocket};
use self::processes::{Processes, Stage};
use crate::args::DemoArgs;

/// Tells the story, then runs on for the reader to try.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let stage = Stage::set(args.port)?;
    let mut processes = Processes::new(&stage);
    println!("Ostler: one front door, and behind it processes that answer for themselves.\n");
    processes.start_target("blue", "create")?;
    processes.start_target("green", "create")?;
    let port = processes.start_front()?;
    println!(
        "  front   pid {:<7} listening on http://127.0.0.1:{port}",
        processes.front_pid()
    );
    println!(
        "  target  pid {:<7} request queue \"blue\",  for /blue/...",
        processes.target_pid("blue")?
    );
    println!(
        "  target  pid {:<7} request queue \"green\", for /green/...\n",
        processes.target_pid("green")?
    );

    alternate(port)?;
    download(port, &processes)?;
    restart_target(port, &mut processes)?;
    survive(port, &mut processes)?;
    direct_address(port, &processes)?;
    println!("\nThat was the tour.");
    if args.once {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nEverything runs on; try it (Ctrl-C ends it):\n");
    println!("  curl http://127.0.0.1:{port}/blue/echo");
    println!("  curl http://127.0.0.1:{port}/green/sse");
    println!("  curl http://127.0.0.1:{port}/blue/upload --data-binary @some-file");
    println!(
        "  OSTLER_RUNTIME_DIR={} ostler queues",
        stage.runtime().display()
    );
    wait_for_interrupt()?;
    Ok(ExitCode::SUCCESS)
}

/// Two requests on one connection go to two processes.
fn alternate(port: u16) -> anyhow::Result<()> {
    println!("1. One connection, requests alternating between two processes");
    let mut client = Client::connect(port)?;
    for path in ["/blue/", "/green/", "/blue/", "/green/"] {
        let answer = client.request("GET", path, b"")?;
        println!("   GET {path:<8} -> answered by {}", answer.text().trim());
    }
    Ok(())
}

/// The front's own byte counts stay where they were.
fn download(port: u16, processes: &Processes<'_>) -> anyhow::Result<()> {
    const SIZE: u64 = 1_000_000_000;
    println!("\n2. A download of 1 GB, and what the front had to do with it");
    let mut client = Client::connect(port)?;
    let size = client.begin_download(&format!("/blue/bytes/{SIZE}"))?;
    processes.signal_front("STOP")?;
    let begun = monotonic_nanoseconds();
    let received = client.finish_download(size);
    let seconds = Duration::from_nanos(monotonic_nanoseconds() - begun).as_secs_f64();
    processes.signal_front("CONT")?;
    let received = received?;
    ensure!(received == SIZE, "{received} bytes came");
    println!("   the head of the response is there: the front is stopped (SIGSTOP)");
    println!(
        "   {received} bytes reached the client in {seconds:.1} s, 0 of them through the front"
    );
    Ok(())
}

/// Requests wait for a target that was killed.
fn restart_target(port: u16, processes: &mut Processes<'_>) -> anyhow::Result<()> {
    const BEFORE: usize = 12;
    const AFTER: usize = 28;
    println!("\n3. A target is killed and started again while a client sends requests");
    let old = processes.target_pid("blue")?;
    let mut client = Client::connect(port)?;
    let mut answers = ask_again_and_again(&mut client, BEFORE)?;
    // Between two answers: one that has begun when its target is killed breaks off, and no front
    // could give the rest of it.
    processes.kill_target("blue")?;
    let requests = std::thread::spawn(move || ask_again_and_again(&mut client, AFTER));
    std::thread::sleep(Duration::from_millis(300));
    processes.start_target("blue", "create-or-attach")?;
    answers.extend(requests.join().ok().context("the client failed")??);
    let by_old = answers
        .iter()
        .filter(|answer| answer.ends_with(&format!(" {old}")))
        .count();
    let all = answers.len();
    println!("   {all} requests, {all} answers: {by_old} by pid {old} before SIGKILL,");
    println!(
        "   {} by pid {} after; those in between waited",
        all - by_old,
        processes.target_pid("blue")?
    );
    Ok(())
}

fn ask_again_and_again(client: &mut Client, count: usize) -> anyhow::Result<Vec<String>> {
    let mut answers = Vec::new();
    for _ in 0..count {
        let answer = client.request("GET", "/blue/", b"")?;
        ensure!(answer.status == 200, "status {}", answer.status);
        answers.push(answer.text().trim().to_owned());
        std::thread::sleep(Duration::from_millis(25));
    }
    Ok(answers)
}

/// A WebSocket outlives the front.
fn survive(port: u16, processes: &mut Processes<'_>) -> anyhow::Result<()> {
    println!("\n4. A WebSocket, while the front is stopped and started");
    let mut socket = WebSocket::connect(port, "/green/ws")?;
    println!(
        "   front up:   sent \"one\", got back {:?}",
        socket.echo("one")?
    );
    let old = processes.front_pid();
    processes.stop_front()?;
    println!(
        "   front gone: sent \"two\", got back {:?}",
        socket.echo("two")?
    );
    processes.start_front()?;
    let text = socket.echo("three")?;
    println!(
        "   new front:  sent \"three\", got back {text:?} (pid {old} became {})",
        processes.front_pid()
    );
    Ok(())
}

/// The target sees the client itself.
fn direct_address(port: u16, processes: &Processes<'_>) -> anyhow::Result<()> {
    println!("\n5. What the target knows of its client");
    let mut client = Client::connect(port)?;
    let own = client.local_address()?;
    let answer = client.request("POST", "/green/echo", b"some body")?;
    let echo: serde_json::Value = serde_json::from_slice(&answer.body)?;
    println!(
        "   the client's socket is {own}; the target (pid {}) says:",
        processes.target_pid("green")?
    );
    println!(
        "   client {}, arrived {}, body of {} bytes",
        echo["client"], echo["arrival"], echo["length"]
    );
    Ok(())
}

fn wait_for_interrupt() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
