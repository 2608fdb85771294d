//! One instance of an application: a process from its start to its end.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use ostler_config::{ApplicationConfig, ApplicationListen};
use ostler_delegation::QueueName;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::event::{Event, News};
use super::measure::is_of;
use super::program::{Surroundings, command};

/// How often it is looked for in its queue until it is ready.
const STEP: Duration = Duration::from_millis(10);
/// What `ostler exec` may take longer than its own patience.
const MARGIN: Duration = Duration::from_secs(5);
/// A longer line of a program's is several.
const LONGEST_LINE: u64 = 16 * 1024;

/// What an instance is made of.
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) config: Arc<ApplicationConfig>,
    pub(super) queue: QueueName,
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

impl Start {
    /// Runs it until it has ended, which `stop` asks for, and tells of that.
    pub(super) async fn run(self, stop: oneshot::Receiver<()>) {
        let how = match self.start() {
            Ok(process) => self.until_end(process, stop).await,
            Err(error) => format!("{error:#}"),
        };
        self.tell(News::Ended { how });
    }

    fn start(&self) -> anyhow::Result<Process> {
        let command = command(&self.config, &self.surroundings)?;
        let mut child = Command::from(command)
            .spawn()
            .with_context(|| format!("cannot start {}", self.config.command))?;
        let pid = child
            .id()
            .context("a process that has just begun has an id")?;
        let group = Pid::from_raw(pid.cast_signed()).context("a process has an id")?;
        let last = Arc::<Mutex<Option<String>>>::default();
        let name = &self.config.name;
        let logs = [
            child
                .stdout
                .take()
                .map(|out| collect(out, name, pid, &last)),
            child
                .stderr
                .take()
                .map(|err| collect(err, name, pid, &last)),
        ];
        self.tell(News::Started { pid });
        Ok(Process {
            child,
            group,
            pid,
            logs: logs.into_iter().flatten().collect(),
            last,
        })
    }

    async fn until_end(&self, mut process: Process, mut stop: oneshot::Receiver<()>) -> String {
        let is_target = self.config.listen == ApplicationListen::Queue;
        let margin = if is_target { Duration::ZERO } else { MARGIN };
        let ready = timeout(self.config.start_timeout + margin, self.serves(process.pid));
        tokio::select! {
            ready = ready => match ready {
                Ok(ready) => self.tell(ready),
                Err(_elapsed) => {
                    let patience = self.config.start_timeout.as_secs();
                    process.stop(self.config.stop_timeout).await;
                    return format!("it has not opened the queue after {patience} s");
                }
            },
            how = process.ended() => return how,
            _ = &mut stop => return self.stop(process).await,
        }
        tokio::select! {
            how = process.ended() => how,
            _ = &mut stop => self.stop(process).await,
        }
    }

    async fn stop(&self, mut process: Process) -> String {
        let patience = match self.config.listen {
            ApplicationListen::Queue => self.config.stop_timeout,
            // What is under way may take so long, and then the program.
            _ => self.config.stop_timeout * 2 + MARGIN,
        };
        process.stop(patience).await
    }

    /// Waits until the process, or one that it has started, is in the queue.
    async fn serves(&self, pid: u32) -> News {
        let folder = self.surroundings.runtime.queue(&self.queue);
        loop {
            let mut ids = Vec::new();
            let mut url_prefixes = Vec::new();
            for id in folder.instances() {
                if let Some(said) = folder.instance(&id)
                    && is_of(said.pid, pid)
                {
                    ids.push(id);
                    url_prefixes = said.url_prefixes;
                }
            }
            if !ids.is_empty() {
                return News::Ready { ids, url_prefixes };
            }
            sleep(STEP).await;
        }
    }

    fn tell(&self, news: News) {
        let _ = self.events.send(Event::News(self.number, news));
    }
}

/// The process of an instance.
struct Process {
    child: Child,
    group: Pid,
    pid: u32,
    logs: Vec<JoinHandle<()>>,
    /// What it said last.
    last: Arc<Mutex<Option<String>>>,
}

impl Process {
    /// Completes when it has ended, with how.
    async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        // Those that it has left behind would hold its port, and go on serving its queue.
        let _ = kill_process_group(self.group, Signal::KILL);
        // One by one: this may be given up on the way, and begun anew.
        while let Some(log) = self.logs.last_mut() {
            let _ = timeout(Duration::from_millis(200), log).await;
            self.logs.pop();
        }
        match status {
            Ok(status) => self.how(status),
            Err(error) => format!("it cannot be waited for: {error}"),
        }
    }

    fn how(&self, status: ExitStatus) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(line) => format!("{status}: {line}"),
            None => status.to_string(),
        }
    }

    /// Asks it to end, and ends it when it takes longer than that.
    async fn stop(&mut self, patience: Duration) -> String {
        if self.child.id().is_some() {
            let _ = kill_process(self.group, Signal::TERM);
        }
        match timeout(patience, self.ended()).await {
            Ok(how) => how,
            Err(_elapsed) => {
                tracing::warn!(
                    pid = self.pid,
                    "an instance is killed: its stop timeout is over"
                );
                let _ = kill_process_group(self.group, Signal::KILL);
                self.ended().await
            }
        }
    }
}

/// Puts what a program says into the log, line by line.
fn collect(
    from: impl AsyncRead + Unpin + Send + 'static,
    application: &str,
    pid: u32,
    last: &Arc<Mutex<Option<String>>>,
) -> JoinHandle<()> {
    let (application, last) = (application.to_owned(), Arc::clone(last));
    tokio::spawn(async move {
        let mut from = BufReader::new(from);
        loop {
            let mut line = Vec::new();
            match (&mut from)
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)
                .await
            {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            tracing::info!(application, pid, "{line}");
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(line.to_owned());
        }
    })
}
