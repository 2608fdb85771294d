//! How this program takes the place of a front that runs (`--replace`), and how another takes its place:
//! whoever asks for its sockets, or a process of the same program that it starts (SIGUSR2).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use ostler_delegation::replacement::{OfferedSocket, Replacement, Request, RunningFront};
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::status::StatusListener;
use ostler_proxy::{Front, InheritedSockets, SocketOrigin, UnderWay};
use ostler_readiness::readable;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::args::ProcessArgs;

/// The socket of the front that a process replaces which that front has started.
const REPLACES: &str = "OSTLER_REPLACES";

/// The front that runs and is to be replaced, with its sockets added to those that there are; `None` where
/// none is.
///
/// # Errors
///
/// When it does not give them.
pub(crate) fn predecessor(
    args: &ProcessArgs,
    runtime: &RuntimeFolder,
    sockets: &mut InheritedSockets,
) -> anyhow::Result<Option<RunningFront>> {
    let found = match (std::env::var_os(REPLACES).map(PathBuf::from), args.replace) {
        (Some(socket), _) => {
            let (runtime, pid) =
                place(&socket).with_context(|| format!("{REPLACES} is no front's"))?;
            RunningFront::find(&runtime, Some(pid))
        }
        (None, Some(pid)) => RunningFront::find(runtime, pid),
        (None, None) => return Ok(None),
    };
    let Some(running) = found.context("cannot replace a front")? else {
        tracing::info!(folder = %runtime.path().display(), "no front runs here that could be replaced");
        return Ok(None);
    };
    let offered = running.sockets().context("cannot replace a front")?;
    for (socket, OfferedSocket { name, url, is_kept }) in offered {
        let origin = SocketOrigin { name, url, is_kept };
        let added = sockets.add(socket, origin);
        added.context("the front that runs gives something that is of no use")?;
    }
    Ok(Some(running))
}

/// The runtime folder and the process id of a front's socket, `<runtime folder>/fronts/<pid>.sock`.
fn place(socket: &Path) -> Option<(RuntimeFolder, u32)> {
    let runtime = RuntimeFolder::new(socket.parent()?.parent()?);
    let pid = socket.file_stem()?.to_str()?.parse().ok()?;
    Some((runtime, pid))
}

/// The front's socket in the runtime folder, attended to until it is closed.
pub(crate) struct Desk {
    task: JoinHandle<()>,
    asking: mpsc::Receiver<Asking>,
}

/// A process that wants to replace this one, and the version in which it speaks.
struct Asking {
    replacement: AsyncFd<Replacement>,
    version: u32,
}

impl Desk {
    /// Attends on the runtime that calls. Without it the front does its work all the same; nobody sees what
    /// waits in it or can replace it.
    pub(crate) fn open(runtime: &RuntimeFolder, under_way: UnderWay) -> Option<Self> {
        let unattended = |error: &dyn std::fmt::Display| {
            let error = error.to_string();
            tracing::info!(
                error,
                "nobody can ask what waits in this front, or replace it"
            );
        };
        let status = StatusListener::bind(runtime)
            .inspect_err(|error| unattended(error))
            .ok()?;
        let status = readable(status)
            .inspect_err(|error| unattended(error))
            .ok()?;
        let (sender, asking) = mpsc::channel(1);
        let task = tokio::spawn(attend(status, under_way, sender));
        Some(Self { task, asking })
    }

    /// Removes the socket.
    pub(crate) async fn close(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn attend(
    status: AsyncFd<StatusListener>,
    under_way: UnderWay,
    asking: mpsc::Sender<Asking>,
) {
    loop {
        let Ok(mut ready) = status.readable().await else {
            return;
        };
        match ready.try_io(|status| status.get_ref().answer(&under_way.queue_depths())) {
            Ok(Ok(Some(replacement))) => {
                tokio::spawn(hear_first(replacement, under_way.clone(), asking.clone()));
            }
            Ok(Ok(None)) | Err(_) => {}
            // Descriptors are short.
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Waits for what one has to ask who has been told how many requests wait: most ask nothing.
async fn hear_first(replacement: Replacement, under_way: UnderWay, asking: mpsc::Sender<Asking>) {
    const PATIENCE: Duration = Duration::from_secs(10);
    let Ok(replacement) = readable(replacement) else {
        return;
    };
    let heard = tokio::time::timeout(PATIENCE, hear(&replacement)).await;
    match heard {
        Ok(Ok(Request::Replace { version })) => {
            let asks = Asking {
                replacement,
                version,
            };
            let _ = asking.send(asks).await;
        }
        Ok(Ok(Request::Follow)) => tell_waiting(&replacement, &under_way).await,
        _ => {}
    }
}

/// Tells one who follows how many requests wait, whenever that has changed, until it has gone.
async fn tell_waiting(follower: &AsyncFd<Replacement>, under_way: &UnderWay) {
    /// How often it is looked at while requests wait.
    const STEP: Duration = Duration::from_millis(100);
    let mut waits = under_way.queue_waits();
    let mut told = BTreeMap::new();
    loop {
        waits.borrow_and_update();
        let mut waiting: BTreeMap<_, _> = under_way.queue_depths().into_iter().collect();
        waiting.retain(|_, count| *count > 0);
        // Until there are none and it has been told so.
        let is_over = waiting.is_empty() && told.is_empty();
        if waiting != told {
            match follower.get_ref().tell_waiting(&waiting) {
                Ok(()) => told = waiting,
                // It is busy, and is told the next time.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        let step = async {
            match is_over {
                true => std::future::pending().await,
                false => tokio::time::sleep(STEP).await,
            }
        };
        tokio::select! {
            changed = waits.changed() => if changed.is_err() { return },
            () = step => {}
            // It says nothing more, so this is its end.
            _ = hear(follower) => return,
        }
    }
}

async fn hear(replacement: &AsyncFd<Replacement>) -> io::Result<Request> {
    loop {
        let mut ready = replacement.readable().await?;
        if let Ok(heard) = ready.try_io(|replacement| replacement.get_ref().receive()) {
            return heard;
        }
    }
}

/// Whoever is about to replace this process, if anybody.
pub(crate) struct Successor {
    desk: Option<Desk>,
    /// Where the front can be asked for its sockets.
    socket: PathBuf,
    /// The program that this process has started.
    child: Option<Child>,
    /// It has the front's sockets, and is not ready yet.
    starting: Option<AsyncFd<Replacement>>,
}

/// A front that serves in this one's place.
pub(crate) struct Ready {
    replacement: Replacement,
    /// What this process listened on and the other one does.
    pub(crate) addresses: Vec<String>,
    /// Whether this process has started it.
    is_child: bool,
}

impl Ready {
    pub(crate) fn pid(&self) -> u32 {
        self.replacement.pid()
    }

    /// Whether it is of this process' service.
    pub(crate) fn is_child(&self) -> bool {
        self.is_child
    }

    /// Tells it that this process has let go.
    pub(crate) fn release(&self) {
        self.replacement.release();
    }
}

impl Successor {
    pub(crate) fn new(desk: Option<Desk>, runtime: &RuntimeFolder) -> Self {
        Self {
            desk,
            socket: runtime.front_socket(std::process::id()),
            child: None,
            starting: None,
        }
    }

    /// Starts this program anew, by the path and with the arguments that it was started with, to take this
    /// process' place.
    pub(crate) fn start(&mut self) {
        let starting = self.starting.as_ref().map(|one| one.get_ref().pid());
        if let Some(pid) = starting.or_else(|| self.child.as_ref().and_then(Child::id)) {
            tracing::warn!(
                pid,
                "another front is starting to replace this one already; if it hangs, end that process and ask again"
            );
            return;
        }
        if self.desk.is_none() {
            tracing::error!(
                "this front cannot be replaced: it has no socket in the runtime folder"
            );
            return;
        }
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_else(|| OsString::from("ostler"));
        let mut command = Command::new(&program);
        command.args(arguments).env(REPLACES, &self.socket);
        // What the service manager says to this process is not meant for that one, which gets the sockets
        // from here.
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(variable);
        }
        match command.spawn() {
            Ok(child) => {
                tracing::info!(
                    pid = child.id(),
                    "a new front is started to replace this one"
                );
                self.child = Some(child);
            }
            Err(error) => {
                let program = program.display();
                tracing::error!(%program, %error, "the new front cannot be started; this one goes on");
            }
        }
    }

    /// Waits until another front serves in this one's place. Gives those that ask the front's sockets
    /// meanwhile; one that ends before it is ready changes nothing.
    pub(crate) async fn ready(&mut self, front: &Front) -> Ready {
        loop {
            let desk = self.desk.as_mut();
            tokio::select! {
                Some(asking) = async { desk?.asking.recv().await } => self.answer(asking, front),
                status = ended(&mut self.child) => {
                    self.child = None;
                    tracing::error!(status, "the new front has ended; this one goes on");
                }
                heard = heard(self.starting.as_ref()) => {
                    let replacement = self.starting.take().map(AsyncFd::into_inner);
                    match (heard, replacement) {
                        (Ok(Request::Ready { addresses }), Some(replacement)) => {
                            let child = self.child.as_ref().and_then(Child::id);
                            let is_child = child == Some(replacement.pid());
                            return Ready { replacement, addresses, is_child };
                        }
                        (_, Some(replacement)) => {
                            let pid = replacement.pid();
                            tracing::error!(
                                pid,
                                "the front that was to replace this one was not ready; this one goes on"
                            );
                        }
                        (_, None) => {}
                    }
                }
            }
        }
    }

    fn answer(&mut self, asking: Asking, front: &Front) {
        let Asking {
            replacement,
            version,
        } = asking;
        let one = replacement.get_ref();
        if let Some(other) = &self.starting {
            let other = other.get_ref().pid();
            return one.refuse(&format!("process {other} is about to replace it"));
        }
        let pid = one.pid();
        let sockets = match front.sockets() {
            Ok(sockets) => sockets,
            Err(error) => return one.refuse(&error.to_string()),
        };
        let offered = sockets.into_iter().map(|(socket, origin)| {
            let SocketOrigin { name, url, is_kept } = origin;
            (socket, OfferedSocket { name, url, is_kept })
        });
        match one.offer(version, &offered.collect::<Vec<_>>()) {
            Ok(()) => {
                tracing::info!(pid, "another front takes this one's sockets to replace it");
                self.starting = Some(replacement);
            }
            Err(error) => tracing::warn!(pid, %error, "a front cannot replace this one"),
        }
    }

    /// Nobody replaces this process any more.
    pub(crate) async fn close(self) {
        if let Some(desk) = self.desk {
            desk.close().await;
        }
    }
}

async fn ended(child: &mut Option<Child>) -> String {
    match child {
        Some(child) => match child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        },
        None => std::future::pending().await,
    }
}

async fn heard(starting: Option<&AsyncFd<Replacement>>) -> io::Result<Request> {
    match starting {
        Some(replacement) => hear(replacement).await,
        None => std::future::pending().await,
    }
}
