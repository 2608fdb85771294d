//! Where records end in what a client sends, told by their headers alone (RFC 8446 section 5.1).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a record's header: type, version, length.
const HEADER: usize = 5;

/// Follows a stream of records, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct RecordBoundary {
    header: [u8; HEADER],
    /// Bytes of a header that are here; all of them never, since then `left` says what is to come.
    /// < HEADER
    filled: usize,
    /// Bytes of a record's content that are to come.
    left: usize,
}

impl RecordBoundary {
    /// Takes note of bytes that have been received.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let content = self.left.min(bytes.len());
                self.left -= content;
                bytes = &bytes[content..];
                continue;
            }
            let taken = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEADER {
                let [_, _, _, high, low] = self.header;
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.filled = 0;
            }
        }
    }

    /// Bytes to come that belong to a record that has begun, as far as its header tells; 0 where the
    /// next byte begins a record.
    pub(crate) fn missing(&self) -> usize {
        match self.filled {
            0 => self.left,
            filled => HEADER - filled,
        }
    }
}

/// A stream during the handshake, followed by what is read from it.
#[derive(Debug)]
pub(crate) struct Followed<S> {
    pub(crate) stream: S,
    pub(crate) boundary: RecordBoundary,
}

impl<S> Followed<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            boundary: RecordBoundary::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Followed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.boundary.pass(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Followed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_ends_of_records_however_they_are_cut() {
        let mut stream = vec![23, 3, 3, 0, 3, 1, 2, 3];
        stream.extend([20, 3, 3, 0, 0]);
        stream.extend([23, 3, 3, 1, 2]);
        stream.extend([9; 258]);
        let ends = [0, 8, 13, 276];
        for size in 1..=stream.len() {
            let mut boundary = RecordBoundary::default();
            let mut passed = 0;
            for piece in stream.chunks(size) {
                boundary.pass(piece);
                passed += piece.len();
                assert_eq!(
                    boundary.missing() == 0,
                    ends.contains(&passed),
                    "{passed} by {size}"
                );
            }
        }
    }

    #[test]
    fn says_how_much_is_missing() {
        let mut boundary = RecordBoundary::default();
        assert_eq!(boundary.missing(), 0);
        for (piece, missing) in [
            (&[23, 3][..], 3),
            (&[3, 0], 1),
            (&[7], 7),
            (&[0; 6], 1),
            (&[0], 0),
        ] {
            boundary.pass(piece);
            assert_eq!(boundary.missing(), missing);
        }
    }
}
