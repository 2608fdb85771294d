//! How many requests wait in fronts for queues, told as it changes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use anyhow::Context as _;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::status::FollowedFront;
use ostler_readiness::readable;
use ostler_shm::WatchedFolder;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};

/// How often fronts are looked for that the folder's watch has not told of.
const INTERVAL: Duration = Duration::from_secs(1);

/// Waiting requests by queue folder.
type Waiting = BTreeMap<String, usize>;

/// The fronts of a runtime folder, followed.
pub(super) struct Demand(watch::Receiver<Waiting>);

impl Demand {
    /// Begins to follow the fronts that run here, and those to come.
    pub(super) fn follow(runtime: &RuntimeFolder) -> anyhow::Result<Self> {
        runtime.make_fronts()?;
        let mut watched = WatchedFolder::new().context("cannot watch for fronts")?;
        watched
            .watch(&runtime.fronts_path())
            .context("cannot watch for fronts")?;
        let ready = readable(watched.as_fd().try_clone_to_owned()?)?;
        let (sender, receiver) = watch::channel(Waiting::new());
        tokio::spawn(follow(runtime.clone(), watched, ready, sender));
        Ok(Self(receiver))
    }

    /// The requests that wait now, once that is something else than before.
    pub(super) async fn changed(&mut self) -> Waiting {
        if self.0.changed().await.is_err() {
            // It ends with the process.
            return std::future::pending().await;
        }
        self.0.borrow_and_update().clone()
    }
}

/// A front has said something; `None` is its end.
type Said = (u32, Option<Waiting>);

async fn follow(
    runtime: RuntimeFolder,
    mut watched: WatchedFolder,
    ready: AsyncFd<OwnedFd>,
    sum: watch::Sender<Waiting>,
) {
    let (sender, mut said) = mpsc::unbounded_channel::<Said>();
    let mut fronts: BTreeMap<u32, Waiting> = BTreeMap::new();
    loop {
        let known: Vec<_> = fronts.keys().copied().collect();
        for front in FollowedFront::others_than(&known, &runtime) {
            fronts.insert(front.pid(), Waiting::new());
            tokio::spawn(hear(front, sender.clone()));
        }
        tokio::select! {
            heard = said.recv() => {
                match heard {
                    Some((pid, Some(waiting))) => _ = fronts.insert(pid, waiting),
                    Some((pid, None)) => _ = fronts.remove(&pid),
                    None => return,
                }
                let mut now = Waiting::new();
                for (queue, waiting) in fronts.values().flatten() {
                    *now.entry(queue.clone()).or_default() += waiting;
                }
                now.retain(|_, waiting| *waiting > 0);
                sum.send_if_modified(|before| std::mem::replace(before, now.clone()) != now);
            }
            guard = ready.readable() => {
                match guard {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => return,
                }
                let _ = watched.drain();
            }
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn hear(front: FollowedFront, said: mpsc::UnboundedSender<Said>) {
    let pid = front.pid();
    let heard = async {
        let front = readable(front)?;
        loop {
            let mut ready = front.readable().await?;
            if let Ok(waiting) = ready.try_io(|front| front.get_ref().receive())
                && said.send((pid, Some(waiting?))).is_err()
            {
                return Ok(());
            }
        }
    };
    let _: io::Result<()> = heard.await;
    let _ = said.send((pid, None));
}
