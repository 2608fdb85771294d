//! The service manager (systemd): the sockets that it passes (sd_listen_fds(3)), and what it is told
//! (sd_notify(3)). Where there is none, none are passed and nobody is told.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use listenfd::ListenFd;
use ostler_proxy::{Heartbeats, InheritedSockets, SocketOrigin};
use sd_notify::NotifyState;

/// What the service manager says to a process of it, in its environment: not for those that it starts to hear.
pub(crate) const OF_THE_SERVICE: [&str; 6] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// The first descriptor that is passed.
const FIRST: usize = 3;

/// Takes the sockets that have been passed. Once, before there are threads: it takes the variables that
/// say so out of the environment.
///
/// # Errors
///
/// When one of them is no socket that is listened on, or their number is none.
pub(crate) fn passed_sockets() -> anyhow::Result<InheritedSockets> {
    check_count()?;
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut sockets = InheritedSockets::default();
    for number in 0..passed.len() {
        let name = names.next().filter(|name| !name.is_empty());
        let origin = SocketOrigin {
            name: name.map(str::to_owned),
            url: None,
            is_kept: true,
        };
        take(&mut passed, number)
            .and_then(|socket| Ok(sockets.add(socket, origin)?))
            .with_context(|| {
                let descriptor = FIRST + number;
                let name = name.unwrap_or("without a name");
                format!("the service manager passes descriptor {descriptor} ({name}), which is of no use")
            })?;
    }
    Ok(sockets)
}

/// Checks how many sockets are passed to this process, which a list is about to be made of.
fn check_count() -> anyhow::Result<()> {
    let own = std::process::id().to_string();
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    // Those of another process are inherited by mistake, and mean nothing.
    let is_meant = variable("LISTEN_PID").is_none_or(|meant| meant == own);
    let Some(said) = variable("LISTEN_FDS").filter(|_| is_meant) else {
        return Ok(());
    };
    let most = ostler_shm::open_file_limit();
    let count = said.parse::<u64>().ok();
    count
        .filter(|count| *count < most)
        .map(drop)
        .with_context(|| {
            format!("LISTEN_FDS is {said:?}: this process can have {most} descriptors at most")
        })
}

fn take(passed: &mut ListenFd, number: usize) -> anyhow::Result<OwnedFd> {
    if let Ok(Some(listener)) = passed.take_tcp_listener(number) {
        return Ok(listener.into());
    }
    let listener = passed.take_unix_listener(number).ok().flatten();
    let listener = listener.ok_or_else(|| anyhow!("it is no stream socket"))?;
    Ok(listener.into())
}

/// The front serves at these URLs.
pub(crate) fn tell_ready(urls: &[String]) {
    let status = format!("listening on {}", urls.join(" "));
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// A queue is served.
pub(crate) fn tell_serving(queue: &str) {
    let status = format!("serving queue {queue}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// So many applications are looked after.
pub(crate) fn tell_serving_applications(count: usize) {
    let status = format!("{count} application(s)");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Runs a reload between telling that it begins and that it is over.
pub(crate) fn telling_of_reload(reload: impl FnOnce()) {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
    reload();
    tell(&[NotifyState::Ready]);
}

/// What runs here stops, which may take so long.
pub(crate) fn tell_stopping(patience: Duration) {
    let patience = patience.saturating_add(Duration::from_secs(5));
    let patience = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(patience),
        NotifyState::Status("draining"),
    ]);
}

/// Another process of the service serves in this one's place.
pub(crate) fn tell_main_process(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told how it goes");
    }
}

/// Tells the service manager again and again that the front's threads go on, if it wants to know. Never
/// completes.
pub(crate) async fn watchdog(mut heartbeats: Heartbeats) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(patience / 3).await;
        if heartbeats.have_all_beaten() {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("a thread of the front stands still");
        }
    }
}
