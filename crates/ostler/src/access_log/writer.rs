//! The thread that writes an access log, and the lines that wait for it: so many bytes at most. Who has a
//! line never waits; one that there is no room for is dropped and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of lines that wait to be written.
const ROOM: usize = 1024 * 1024;

/// How long lines are gathered, once there is one: a wake-up and a write cost more than a line.
const GATHER: Duration = Duration::from_millis(20);

/// From a failed write to the next.
const RETRY: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug)]
pub(super) enum Output {
    StandardOutput,
    File(PathBuf),
}

/// The side of those who have lines.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// What waits for the thread.
#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that there was no room for, and that nobody has been told of.
    untold: u64,
    /// All that have ever been dropped.
    dropped: u64,
    /// Lines have been dropped since the thread last came by.
    is_full: bool,
    /// The bytes at the front of `lines` that belong to the file of before, once it is to be opened anew.
    reopen_behind: Option<usize>,
    /// Lines that the thread has, and has not written to their end.
    in_hand: u64,
    is_closing: bool,
    has_ended: bool,
}

impl Writer {
    /// Opens the output, and starts the thread. Each file begins with a preamble.
    pub(super) fn start(output: Output, preamble: fn() -> Vec<u8>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut thread = Thread {
            file: output.open(preamble)?,
            shared: Arc::clone(&shared),
            output,
            preamble,
            is_failing: false,
        };
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self(shared))
    }

    /// Has a line written, if there is room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.0.lock();
        if waiting.is_closing || waiting.lines.len() + line.len() > ROOM {
            waiting.drop_lines(1);
            let is_first = !std::mem::replace(&mut waiting.is_full, true) && !waiting.is_closing;
            drop(waiting);
            if is_first {
                tracing::warn!("the access log is not written fast enough: lines are dropped");
            }
            return;
        }
        let is_first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.0.changed.notify_all();
        }
    }

    /// How many lines have been dropped up to now.
    pub(super) fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }

    /// Lines from here on go to the file that has the path then.
    pub(super) fn reopen(&self) {
        let mut waiting = self.0.lock();
        waiting.reopen_behind = Some(waiting.lines.len());
        drop(waiting);
        self.0.changed.notify_all();
    }

    /// Waits until all lines are written, or for so long. Says what has been lost.
    pub(super) fn close(&self, patience: Duration) {
        let mut waiting = self.0.lock();
        waiting.is_closing = true;
        self.0.changed.notify_all();
        let changed = &self.0.changed;
        let ended = changed.wait_timeout_while(waiting, patience, |waiting| !waiting.has_ended);
        let (mut waiting, timeout) = ended.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            let left = waiting.in_hand + count(&waiting.lines);
            tracing::warn!(
                left,
                "the access log is cut short: nobody takes its last lines"
            );
        }
        waiting.say_what_was_dropped();
    }
}

impl Shared {
    /// A thread that panicked has left whole lines behind.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, or so long.
    fn wait<'a>(
        &self,
        waiting: MutexGuard<'a, Waiting>,
        time: Duration,
    ) -> MutexGuard<'a, Waiting> {
        let waited = self
            .changed
            .wait_timeout_while(waiting, time, |waiting| !waiting.is_closing);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Waiting {
    fn drop_lines(&mut self, count: u64) {
        self.untold += count;
        self.dropped += count;
    }

    fn say_what_was_dropped(&mut self) {
        self.is_full = false;
        let dropped = std::mem::take(&mut self.untold);
        if dropped > 0 {
            tracing::warn!(dropped, "lines of the access log have been dropped");
        }
    }
}

/// How many lines these are.
fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Lines for the thread to write.
struct Batch {
    lines: Vec<u8>,
    /// Where the file is to be opened anew, if it is.
    reopen_behind: Option<usize>,
}

/// The thread that writes.
struct Thread {
    shared: Arc<Shared>,
    output: Output,
    file: File,
    preamble: fn() -> Vec<u8>,
    /// The last write failed, and the log has been told.
    is_failing: bool,
}

impl Thread {
    fn run(&mut self) {
        while let Some(batch) = self.next() {
            let behind = batch.reopen_behind.map(|at| at.min(batch.lines.len()));
            let (before, after) = batch.lines.split_at(behind.unwrap_or_default());
            if behind.is_some() {
                self.write(before);
                self.reopen();
            }
            self.write(after);
            let mut waiting = self.shared.lock();
            waiting.in_hand = 0;
            waiting.say_what_was_dropped();
        }
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_all();
    }

    /// The next lines, once some have been gathered; `None` at the end.
    fn next(&self) -> Option<Batch> {
        let mut waiting = self.shared.lock();
        while waiting.lines.is_empty() && waiting.reopen_behind.is_none() {
            if waiting.is_closing {
                return None;
            }
            let woken = self.shared.changed.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
        waiting = self.shared.wait(waiting, GATHER);
        let lines = std::mem::take(&mut waiting.lines);
        waiting.in_hand = count(&lines);
        Some(Batch {
            lines,
            reopen_behind: waiting.reopen_behind.take(),
        })
    }

    /// Writes all of it, after failures too: to the file that has the path then. Gives up when the log is
    /// closed meanwhile.
    fn write(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            match self.file.write(lines) {
                Ok(written) if written > 0 => {
                    lines = &lines[written..];
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("the access log is written again");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                failed => {
                    let error = failed.err().unwrap_or(io::ErrorKind::WriteZero.into());
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::error!(%error, "the access log cannot be written");
                    }
                    let mut waiting = self.shared.wait(self.shared.lock(), RETRY);
                    if waiting.is_closing {
                        waiting.drop_lines(count(lines));
                        return;
                    }
                    drop(waiting);
                    self.reopen();
                }
            }
        }
    }

    /// Opens the file anew. Where that fails, the one of before is kept.
    fn reopen(&mut self) {
        match self.output.open(self.preamble) {
            Ok(file) => self.file = file,
            Err(error) if !self.is_failing => {
                tracing::error!(%error, "the access log cannot be opened again");
            }
            Err(_) => {}
        }
    }
}

impl Output {
    /// A file that is new, or nothing that keeps what is written, gets the preamble.
    fn open(&self, preamble: fn() -> Vec<u8>) -> io::Result<File> {
        let mut file = match self {
            Self::StandardOutput => io::stdout().as_fd().try_clone_to_owned()?.into(),
            Self::File(path) => {
                // Opened for both, a pipe need not have a reader yet.
                let found = std::fs::metadata(path);
                let is_pipe = found.is_ok_and(|found| found.file_type().is_fifo());
                OpenOptions::new()
                    .append(true)
                    .read(is_pipe)
                    .create(true)
                    .open(path)?
            }
        };
        if file.metadata()?.len() == 0 {
            file.write_all(&preamble())?;
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never how long something should take.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn written(path: &std::path::Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_before_a_reopening_are_the_old_file_s() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let writer = Writer::start(Output::File(path.clone()), || b"#\n".to_vec()).unwrap();
        writer.push(b"one\n");
        std::fs::rename(&path, &old).unwrap();
        writer.push(b"two\n");
        writer.reopen();
        writer.push(b"three\n");
        writer.close(PATIENCE);
        assert_eq!(written(&old), ["#", "one", "two"]);
        assert_eq!(written(&path), ["#", "three"]);
    }

    #[test]
    fn a_file_that_is_there_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for line in ["one\n", "two\n"] {
            let writer = Writer::start(Output::File(path.clone()), || b"#\n".to_vec()).unwrap();
            writer.push(line.as_bytes());
            writer.close(PATIENCE);
        }
        assert_eq!(written(&path), ["#", "one", "two"]);
    }

    #[test]
    fn what_there_is_no_room_for_is_dropped_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::File(folder.path().join("log"));
        let writer = Writer::start(output, Vec::new).unwrap();
        let mut line = vec![b'x'; ROOM];
        line.push(b'\n');
        writer.push(&line);
        assert_eq!(writer.0.lock().untold, 1);
        assert!(writer.0.lock().lines.is_empty());
        writer.close(PATIENCE);
        assert_eq!(writer.0.lock().untold, 0, "it has been said");
    }

    /// What a full disk is like.
    #[test]
    fn a_write_that_fails_holds_up_neither_lines_nor_the_end() {
        let output = Output::File("/dev/full".into());
        let writer = Writer::start(output, Vec::new).unwrap();
        writer.push(b"one\n");
        writer.push(b"two\n");
        writer.close(PATIENCE);
        assert!(writer.0.lock().has_ended);
        writer.push(b"late\n");
        assert_eq!(writer.0.lock().untold, 1);
    }
}
