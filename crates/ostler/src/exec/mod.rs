//! `ostler exec`: starts a program that knows nothing of queues, and serves a queue through it.
//!
//! 1. the program is started with a place to listen at of its own (`listening.rs`, `program.rs`);
//! 2. once it is ready (`ready.rs`) the queue is opened, and its requests are passed on (`forward.rs`);
//! 3. asked to end, the queue is left first, what is under way ends, and then the program is stopped.

mod become_program;
mod connect;
mod connections;
mod fields;
mod forward;
mod listening;
mod passed_signals;
mod program;
mod ready;

use std::future::IntoFuture as _;
use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use become_program::become_program;

use crate::args::ExecArgs;
use crate::service_manager;
use connections::Connections;
use forward::{Forward, ProgramState, UnderWay};
use listening::Listening;
use passed_signals::{Asked, Signals};
use program::{Program, exit_code};

/// How long what a program said before it ended may take to reach its clients.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the program until it ends, or a signal ends both. The exit code is the program's.
pub(crate) fn run(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let mut builder = match args.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if args.threads > 1 {
        builder.worker_threads(args.threads);
    }
    let runtime = builder.enable_all().build()?;
    let code = runtime.block_on(start(args))?;
    // Not waited for: what is left are connections that nobody will hear of again.
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}

async fn start(args: &ExecArgs) -> anyhow::Result<u8> {
    let mut signals = Signals::receive()?;
    let mut listening = Listening::open(args)?;
    let mut program = Program::start(args, &listening)?;
    let connections = Connections::new(
        listening.address().clone(),
        args.http2,
        Duration::from_secs(args.keep_alive),
    );
    let stop_timeout = Duration::from_secs(args.stop_timeout);
    match until_ready(args, &listening, &connections, &mut program, &mut signals).await {
        Ok(Start::Ready) => {}
        Ok(Start::Asked) => {
            let status = program.stop(stop_timeout, &mut signals).await?;
            return Ok(asked_exit_code(status));
        }
        Ok(Start::Ended(status)) => {
            let (name, said) = (program.name(), program.last_lines());
            tracing::error!("{name} ended before it was ready ({status}){said}");
            // Nothing is served, so this is no success.
            return Ok(exit_code(status).max(1));
        }
        Err(error) => {
            program.kill();
            return Err(error);
        }
    }
    listening.leave_to_program();
    let queue = match args.queue.open(&label(args)) {
        Ok(queue) => queue,
        Err(error) => {
            program.stop(stop_timeout, &mut signals).await?;
            return Err(error);
        }
    };
    let (state, under_way) = (watch::Sender::new(ProgramState::Runs), UnderWay::default());
    let forward = Forward::new(
        connections,
        args.forwarded,
        state.subscribe(),
        under_way.clone(),
    );
    let stop = watch::Sender::new(false);
    let mut stopped = stop.subscribe();
    let serving = ostler_target::serve(queue, forward).with_graceful_shutdown(async move {
        // An error is the sender's end, which is a reason to stop too.
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let serving = Serving {
        task: tokio::spawn(serving.into_future()),
        stop,
        state,
        under_way,
        stop_timeout,
    };
    println!("queue {} ready", args.queue.name);
    let _ = std::io::stdout().flush();
    service_manager::tell_serving(&args.queue.name);
    serving.until_end(program, signals).await
}

/// What `ostler queues` calls this process.
fn label(args: &ExecArgs) -> String {
    let program = args.program.first().map(Path::new);
    let name = program.and_then(Path::file_name);
    let name = name.map(|name| name.to_string_lossy().into_owned());
    args.label.clone().or(name).unwrap_or_default()
}

/// How a start went.
enum Start {
    Ready,
    /// A signal has asked for the end.
    Asked,
    /// The program has ended.
    Ended(ExitStatus),
}

/// Waits until the program is ready.
async fn until_ready(
    args: &ExecArgs,
    listening: &Listening,
    connections: &Connections,
    program: &mut Program,
    signals: &mut Signals,
) -> anyhow::Result<Start> {
    let patience = Duration::from_secs(args.start_timeout);
    let ready = ready::until_ready(listening, connections, args.ready_path.as_ref());
    let mut ready = pin!(timeout(patience, ready));
    loop {
        tokio::select! {
            ready = &mut ready => return match ready {
                Ok(ready) => ready.map(|()| Start::Ready),
                Err(_elapsed) => bail!(
                    "{} is not ready after {} s: {}{}",
                    program.name(),
                    patience.as_secs(),
                    match &args.ready_path {
                        None => format!("it does not accept connections at {}", listening.address()),
                        Some(path) => format!(
                            "it does not answer {path} at {} with a status below 500",
                            listening.address()
                        ),
                    },
                    program.last_lines()
                ),
            },
            ended = program.ended() => return ended.map(Start::Ended),
            asked = signals.next() => match asked {
                Asked::End => return Ok(Start::Asked),
                Asked::PassOn(signal) => program.signal(signal),
            },
        }
    }
}

/// A queue that is served through a program.
struct Serving {
    task: JoinHandle<std::io::Result<()>>,
    stop: watch::Sender<bool>,
    state: watch::Sender<ProgramState>,
    under_way: UnderWay,
    stop_timeout: Duration,
}

impl Serving {
    async fn until_end(mut self, mut program: Program, mut signals: Signals) -> anyhow::Result<u8> {
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::End => return self.stop(program, signals).await,
                    Asked::PassOn(signal) => program.signal(signal),
                },
                ended = program.ended() => {
                    let status = ended?;
                    return Ok(self.after_program(&program, status).await);
                }
                served = &mut self.task => {
                    let failed = served.map_err(anyhow::Error::from);
                    let failed = failed.and_then(|served| served.context("the queue's socket failed"));
                    program.stop(self.stop_timeout, &mut signals).await?;
                    failed?;
                    bail!("the queue is served no more");
                }
            }
        }
    }

    /// Leaves the queue, waits for what is under way, and stops the program.
    async fn stop(self, mut program: Program, mut signals: Signals) -> anyhow::Result<u8> {
        tracing::info!("draining");
        service_manager::tell_stopping(self.stop_timeout * 2);
        self.stop.send_replace(true);
        let mut served = pin!(timeout(self.stop_timeout, self.task));
        loop {
            tokio::select! {
                served = &mut served => {
                    if served.is_err() {
                        tracing::warn!("exchanges are cut short: the stop timeout is over");
                    }
                    break;
                }
                asked = signals.next() => match asked {
                    Asked::End => {
                        tracing::warn!("exchanges are cut short: asked to end again");
                        break;
                    }
                    Asked::PassOn(signal) => program.signal(signal),
                },
                ended = program.ended() => {
                    ended?;
                    break;
                }
            }
        }
        let status = program.stop(self.stop_timeout, &mut signals).await?;
        // What it says at its end, in WebSockets above all.
        let _ = timeout(LAST_WORDS, self.under_way.over()).await;
        Ok(asked_exit_code(status))
    }

    /// The program has ended by itself.
    async fn after_program(self, program: &Program, status: ExitStatus) -> u8 {
        let code = exit_code(status);
        if status.success() {
            tracing::info!("{} has ended ({status})", program.name());
            self.state.send_replace(ProgramState::Left);
            self.stop.send_replace(true);
            let _ = timeout(LAST_WORDS, self.task).await;
            let _ = timeout(LAST_WORDS, self.under_way.over()).await;
            return code;
        }
        tracing::error!(
            "{} has ended ({status}){}",
            program.name(),
            program.last_lines()
        );
        // From here on this process ends as the program did, without leaving the queue: requests that the
        // program may be asked again go to another instance, or wait for the next one.
        self.state.send_replace(ProgramState::Crashed);
        let _ = timeout(LAST_WORDS, self.under_way.over()).await;
        std::process::exit(code.into())
    }
}

/// The exit code after a stop that was asked for: a program that dies of the signal has done as it was told.
fn asked_exit_code(status: ExitStatus) -> u8 {
    match std::os::unix::process::ExitStatusExt::signal(&status) {
        Some(signal) if signal == rustix::process::Signal::TERM.as_raw() => 0,
        _ => exit_code(status),
    }
}
