//! A file, or a part of one, as a response's body.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use ostler_target::SendFile;
use tokio::task::JoinHandle;

/// Bytes read at a time, and so the most that one response holds of a file.
const PIECE: u64 = 256 * 1024;

/// A part of a file that an application answers with.
#[derive(Debug)]
pub(crate) struct FilePart {
    file: File,
    /// `start <= end`
    part: Range<u64>,
}

impl FilePart {
    /// Opens a file; without a length, all that is behind the offset.
    pub(crate) fn open(path: &Path, offset: u64, length: Option<u64>) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        let start = offset.min(end);
        let end = length.map_or(end, |length| start.saturating_add(length).min(end));
        Ok(Self {
            file,
            part: start..end,
        })
    }

    /// The response that the target library sends without copying it.
    pub(crate) fn into_send_file(self) -> io::Result<SendFile> {
        SendFile::part(self.file, self.part)
    }

    /// The rest of a response whose head has gone.
    pub(crate) fn into_body(mut self) -> io::Result<FileBody> {
        self.file.seek(SeekFrom::Start(self.part.start))?;
        Ok(FileBody {
            left: self.part.end - self.part.start,
            reading: Reading::Idle(Some(self.file)),
        })
    }
}

/// A part of a file, read on the runtime's blocking threads as the client takes it.
#[derive(Debug)]
pub(crate) struct FileBody {
    left: u64,
    reading: Reading,
}

#[derive(Debug)]
enum Reading {
    Idle(Option<File>),
    Busy(JoinHandle<io::Result<(File, Vec<u8>)>>),
}

impl FileBody {
    /// Bytes to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match &mut self.reading {
                Reading::Idle(_) if self.left == 0 => return Poll::Ready(None),
                Reading::Idle(file) => {
                    let Some(file) = file.take() else {
                        return Poll::Ready(None);
                    };
                    let most = self.left.min(PIECE);
                    let read = tokio::task::spawn_blocking(move || read(file, most));
                    self.reading = Reading::Busy(read);
                }
                Reading::Busy(read) => {
                    let read = ready!(Pin::new(read).poll(cx));
                    self.reading = Reading::Idle(None);
                    let (file, data) = match read.unwrap_or_else(|error| Err(error.into())) {
                        Ok(read) => read,
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    };
                    self.left -= data.len() as u64;
                    self.reading = Reading::Idle(Some(file));
                    return Poll::Ready(Some(Ok(data.into())));
                }
            }
        }
    }
}

fn read(mut file: File, most: u64) -> io::Result<(File, Vec<u8>)> {
    let mut data = Vec::with_capacity(most as usize);
    (&mut file).take(most).read_to_end(&mut data)?;
    if data.is_empty() {
        // It has shrunk meanwhile: only breaking off says so.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((file, data))
}
