//! The pool's socket in the runtime folder, where `ostler apps` asks.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use ostler_delegation::runtime::RuntimeFolder;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::pool_words::{Answer, Question, pools_path};

/// How long whoever connects may take.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_QUESTION: u64 = 16 * 1024;

/// A question, and where its answer goes.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Answer>,
}

pub(super) struct Desk {
    path: PathBuf,
    asked: mpsc::Receiver<Asked>,
    task: JoinHandle<()>,
}

impl Desk {
    /// Opens it, for this user alone, and removes those that dead pools left.
    pub(super) fn open(runtime: &RuntimeFolder) -> anyhow::Result<Self> {
        runtime.make_queues()?;
        let folder = pools_path(runtime);
        let failed = || format!("cannot open a socket in {}", folder.display());
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(failed);
            }
            _ => {}
        }
        for entry in fs::read_dir(&folder).with_context(failed)?.flatten() {
            let path = entry.path();
            let refused = std::os::unix::net::UnixStream::connect(&path).err();
            if refused.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
                let _ = fs::remove_file(path);
            }
        }
        let path = folder.join(format!("{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).with_context(failed)?;
        let (sender, asked) = mpsc::channel(16);
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => _ = tokio::spawn(attend(stream, sender.clone())),
                    // Descriptors are short.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok(Self { path, asked, task })
    }

    /// The next question.
    pub(super) async fn asked(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }

    pub(super) fn close(self) {
        self.task.abort();
        let _ = fs::remove_file(self.path);
    }
}

async fn attend(stream: UnixStream, asked: mpsc::Sender<Asked>) {
    let attended = async {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let mut read = BufReader::new(read.take(LONGEST_QUESTION));
        read.read_line(&mut line).await?;
        let question = serde_json::from_str(&line)?;
        let (answer, answered) = oneshot::channel();
        let _ = asked.send(Asked { question, answer }).await;
        let mut line = serde_json::to_vec(&answered.await?)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        anyhow::Ok(())
    };
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, attended).await {
        tracing::debug!("a question has no answer: {error:#}");
    }
}
