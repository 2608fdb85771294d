//! A file, or a part of one, as a response's body.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

/// Bytes read at a time, and so the most that one response holds of a file.
const PIECE: u64 = 256 * 1024;

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
    /// Opens a file; without a length, all that is behind the offset.
    pub(crate) fn open(path: &Path, offset: u64, length: Option<u64>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let text = format!("{} is no file", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        let there = metadata.len().saturating_sub(offset);
        Ok(Self {
            left: length.map_or(there, |length| length.min(there)),
            reading: Reading::Idle(Some(file)),
        })
    }

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
